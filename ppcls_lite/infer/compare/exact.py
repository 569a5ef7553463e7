"""What each engine computed of each image, kept in files of full precision: a reader can compare them without Paddle.

`FOLDER/<engine>.json` is {"engine": words, "against": the file that it must equal or null, "limit": by how much a
number may differ (0: the same bits), "left_out": how many images are not in it, "images": {file name: {"kind", "rows",
...}}}. Rows of `classes` are [class, score] for all classes that there are, of `boxes` [class, score, x1, y1, x2, y2]
with the image's longer side as "side": corners may differ by the limit as a share of it; of `embedding` they are its
numbers. "sha256" is that of the bytes of all that came out for the image, raw maps included. A number is the shortest
decimal that gives its float32 back.
"""

import hashlib
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np

from ppcls_lite.utils.files import atomic_write

MOST_IMAGES, LEAST_IMAGES = 64, 4
MOST_NUMBERS = 10_000  # of one file, but for the first LEAST_IMAGES
MOST_EMBEDDINGS = 20_000  # numbers of embeddings: a search needs all images
TRAINING, STRICT, ROWS = "training", "strict", "rows_"  # ROWS: of the images of one batch only
_WORDS = {TRAINING: "training engine", STRICT: "Paddle Inference, no optimisation"}


def folder_beside(path):
    """The folder of the predictions that belong to a file of figures: `agree_predictions` of `agree.json`."""
    return Path(f"{str(path).removesuffix('.json')}_predictions")


def class_rows(scores):
    """One image's entry of a classifier's scores [C]."""
    return {
        "kind": "classes",
        "rows": [[label, score] for label, score in enumerate(numbers(scores))],
        "sha256": digest([scores]),
    }


def box_rows(boxes, side, outputs=()):
    """One image's entry of boxes [K, 6]; `side` is its longer one in pixels, `outputs` all that came out for it."""
    rows = [[int(row[0]), *numbers(row[1:])] for row in boxes]
    return {"kind": "boxes", "rows": rows, "side": int(side), "sha256": digest(outputs or [boxes])}


def embedding_row(features):
    """One image's entry of its embedding [D]."""
    return {"kind": "embedding", "rows": numbers(features), "sha256": digest([features])}


def answer_rows(result):
    """One image's entry of a top-k result: a dict with `class_ids` and `scores`, unrounded."""
    pairs = zip(result["class_ids"], np.asarray(result["scores"], np.float32))
    return {"kind": "classes", "rows": [[int(label), *numbers(score)] for label, score in pairs]}


def numbers(array):
    """A list of the shortest decimal numbers that give the same float32 numbers back; None for nan and infinity."""
    return [float(str(number)) if math.isfinite(number) else None for number in np.asarray(array).reshape(-1)]


def digest(arrays):
    """The SHA-256 of the bytes of arrays, one behind the other."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


class ExactPredictions:
    """Collects the predictions of engines for the images at `paths`, and writes a file for each engine."""

    def __init__(self, paths):
        paths = list(map(str, paths))
        common = os.path.dirname(os.path.commonprefix([f"{os.path.dirname(path)}/" for path in paths]))
        self.names = [os.path.relpath(path, common) if common else path for path in paths]
        self.engines = {}

    def add(self, engine, batch, entries):
        """Note what an engine gave for the images in the slice `batch`: an entry for each, of `class_rows` or so."""
        images = self.engines.setdefault(engine, {"against": None, "limit": None, "images": {}})["images"]
        for name, one in zip(self.names[batch], entries):
            if len(images) < self._room(one):
                images[name] = one

    def _room(self, one):
        size = max(sum(len(row) if isinstance(row, list) else 1 for row in one["rows"]), 1)
        if one["kind"] == "embedding":
            return max(LEAST_IMAGES, MOST_EMBEDDINGS // size)
        return min(MOST_IMAGES, max(LEAST_IMAGES, MOST_NUMBERS // size))

    def compare(self, engine, against, limit):
        """Note that an engine's predictions must be those of another one, within `limit`."""
        self.engines[engine].update(against=f"{against}.json", limit=limit)

    def describe(self, engine, words):
        """Say in words what an engine is, where its name does not."""
        self.engines[engine]["words"] = words

    def rename(self, end):
        """Add `end` to the names of the engines that were noted since the last call."""
        for engine in [name for name in self.engines if not self.engines[name].get("named")]:
            one = self.engines.pop(engine)
            one["against"] = one["against"] and f"{one['against'].removesuffix('.json')}{end}.json"
            self.engines[f"{engine}{end}"] = {**one, "named": True}

    def write(self, folder):
        """Write a file for each engine into `folder`."""
        for engine, one in self.engines.items():
            content = {
                "engine": one.get("words") or _words(engine),
                "against": one["against"],
                "limit": one["limit"],
                "left_out": 0 if engine.startswith(ROWS) else len(self.names) - len(one["images"]),
            }
            with atomic_write(Path(folder) / f"{engine}.json") as stream:
                _write(content, one["images"], stream)


def write_all(collected, folder):
    """Write the files of several `ExactPredictions` into `folder`, which has nothing else afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    for exact in collected:
        exact.write(folder)


def _words(engine):
    known = next((name for name in _WORDS if engine.split("_batchsize")[0] == name), None)
    return engine.replace(known, _WORDS[known], 1).replace("_", " ") if known else engine.replace("_", " ")


def _write(content, images, stream):
    """Each image on a line of its own."""
    lines = [f' "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in content.items()]
    dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    rows = ",\n".join(f"  {dump(name)}: {dump(one)}" for name, one in images.items())
    stream.write("{\n" + ",\n".join([*lines, f' "images": {{\n{rows}\n }}']) + "\n}\n")
