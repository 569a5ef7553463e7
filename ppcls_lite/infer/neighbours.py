"""Queries with their nearest neighbours in the gallery, of a recognition config's evaluation, as a picture."""

import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.postprocess import read_label_names
from ppcls_lite.infer.neighbour_drawing import draw
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.infer.tasks import Recognition, task_of
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError


def nearest(queries, gallery, count, excluded=()):
    """(numbers [Q, count], cosines [Q, count]) of the `count` nearest rows of `gallery` [G, D] to `queries` [Q, D].

    The rows are of length 1. `excluded` are pairs (query, row) that do not count: an image is not its own neighbour.
    """
    cosines = queries @ gallery.T
    for query, row in excluded:
        cosines[query, row] = -np.inf
    numbers = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return numbers, np.take_along_axis(cosines, numbers, axis=1)


def spread(labels, rows):
    """Numbers of `rows` queries: the first of each of `rows` identities, evenly spaced among the identities."""
    _, firsts = np.unique(labels, return_index=True)
    firsts = np.sort(firsts)
    return firsts[np.linspace(0, len(firsts) - 1, min(rows, len(firsts))).round().astype(int)].tolist()


def neighbours_picture(config, predictor, names=None, count=10, neighbours=6):
    """The picture, (h, w, 3) uint8 BGR, of queries and gallery of the config, embedded by `predictor`.

    `names` is a file with `id name` in each line; None for label_list.txt in the folder of the queries, if it is there.
    UserError for a file that is not an image, and whatever is wrong with the config's lists.
    """
    datasets = Recognition().datasets(config)
    asked, listed = datasets[0], datasets[-1]
    names = names or _usual_names(config)
    names = read_label_names(names) if names else {}
    features = _embed(predictor, list(dict.fromkeys([*asked.paths, *listed.paths])))
    queries, gallery = (np.stack([features[path] for path in part.paths]) for part in (asked, listed))
    places = _places(listed.paths)
    own = [(number, row) for number, path in enumerate(asked.paths) for row in places[os.path.abspath(path)]]
    numbers, cosines = nearest(queries, gallery, min(neighbours, len(gallery)), own)
    right = np.asarray(listed.labels)[numbers] == np.asarray(asked.labels)[:, None]
    rows = []
    for query in spread(asked.labels, count):
        found = [
            (listed.paths[row], _name(names, listed.labels[row]), cosine, good)
            for row, cosine, good in zip(numbers[query], cosines[query], right[query])
            if np.isfinite(cosine)
        ]
        rows.append(((asked.paths[query], _name(names, asked.labels[query])), found))
    first = right[:, 0]
    note = f"{first.sum()} of {len(first)} queries have a right first neighbour ({first.mean():.4f})"
    return draw(rows, f"{note}; gallery: {len(gallery)} images of {len(set(listed.labels))} identities")


def _embed(predictor, paths):
    """{path: features [D] float32 of length 1}."""
    found = {}
    for batch in predictor.predict_all(paths):
        for path, result in batch:
            if isinstance(result, UserError):
                raise result
            row = np.array(result["features"], np.float32)
            found[path] = row / np.linalg.norm(row)
    return found


def _places(paths):
    """{file: the numbers of the paths that lead to it}, empty for another file."""
    found = defaultdict(list)
    for number, path in enumerate(paths):
        found[os.path.abspath(path)].append(number)
    return found


def _usual_names(config):
    sections = require(config, "DataLoader.Eval")
    root = (sections.get("Query") or sections.get("Gallery") or sections).get("dataset", {}).get("image_root")
    path = Path(root or ".", "label_list.txt")
    return path if path.is_file() else None


def _name(names, label):
    return names.get(int(label), f"identity {label}")


def create_predictor(config, model=None):
    """A predictor with the exported model in the folder `model`; None: with the config's trained weights."""
    if model is None:
        return task_of(config).predictor(config)
    return Predictor(create_engine(None, model), *build_processing(model), batch_size=16)
