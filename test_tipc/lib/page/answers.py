"""What each engine predicted of each image, read from the files of a bundle."""

import ast
import json
import re
from typing import NamedTuple

from bundle_predictions import PRINTING
from page.neighbours import with_neighbours
from page.source import listing, mapping, read, text
from predictions import Prediction, read_log

TOP = 5
_NAMES = re.compile(
    r"""(?:class id\(s\)|["']class_ids["']): (\[[^\]]*\]).*?(?:label_name\(s\)|["']label_names["']): (\[[^\]]*\])"""
)
_KINDS = ("classes", "boxes", "embedding")


class Answers(NamedTuple):
    """`images` maps the name of an image to its `Prediction`; `exact` says whether the numbers are not rounded."""

    engine: str
    step: str
    file: str
    exact: bool
    images: dict


def read_answers(source):
    """([Answers], {class number: label}) of all engines that predicted images of known names."""
    found, labels = [], {}
    for entry in map(mapping, listing(source.content.get("predictions"))):
        path = source.file(entry.get("file"))
        if path:
            exact = entry.get("exact") is True
            written = read(path)
            images = _exact(written) if exact else _printed(written)
            labels.update({} if exact else label_names(written))
            found.append(Answers(text(entry.get("engine")), text(entry.get("step")), entry["file"], exact, images))
    for view in source.steps:
        if view.kind in PRINTING and view.log:
            labels.update(label_names(read(view.log)))
    return [answers for answers in with_neighbours(found, TOP) if answers.images], labels


def label_names(written):
    """{class number: label} that a log's predictions tell."""
    labels = {}
    for ids, names in _NAMES.findall(written):
        try:
            ids, names = ast.literal_eval(ids), ast.literal_eval(names)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        labels.update((key, str(name)) for key, name in zip(ids, names) if isinstance(key, int))
    return labels


def sets_of_images(answers):
    """[[Answers]] that predicted the same images, or some of them; those of the test images before all others."""
    sets = []
    for one in sorted(answers, key=lambda one: one.step.split(" ")[0] not in PRINTING):
        same = next((others for others in sets if any(one.images.keys() & other.images for other in others)), None)
        if same is None:
            sets.append([one])
        else:
            same.append(one)
    return sets


def best(prediction):
    """The `TOP` rows of a `Prediction` with the highest scores, with their scores as floats."""
    return sorted(prediction.rows, key=lambda row: -row[1])[:TOP]


def _printed(written):
    return _shown(read_log(written.splitlines()).items())


def _exact(written):
    try:
        images = mapping(mapping(json.loads(written)).get("images"))
    except (ValueError, RecursionError):
        return {}
    found = {name: mapping(one) for name, one in images.items()}
    return _shown(
        (name, Prediction(one.get("kind"), listing(one.get("rows")))) for name, one in found.items() if one.get("rows")
    )


def _shown(predictions):
    """{name: Prediction} of those that are classes or boxes with scores, or embeddings, as a picture can show them."""
    return {name: one for name, one in predictions if one.kind in _KINDS and _is_whole(one)}


def _is_whole(prediction):
    if prediction.kind == "embedding":
        return all(_is_number(one) for one in prediction.rows)
    length = 6 if prediction.kind == "boxes" else 2
    return all(
        isinstance(row, (list, tuple)) and len(row) == length and all(_is_number(cell) for cell in row[1:])
        for row in prediction.rows
    )


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
