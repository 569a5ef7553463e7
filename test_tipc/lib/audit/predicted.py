"""Read the predictions that a bundle has: exact ones from JSON, printed ones from logs."""

import math
import struct

from embedding import is_unit, unit
from figures import read_lines
from predictions import Prediction, read_log
from script import UserError

_FLOAT = struct.Struct("f")
KINDS = ("classes", "boxes", "embedding", "numbers")


def read_exact(bundle, entry):
    """(what is computed behind the rows, {name: `Prediction`}) of a file of full precision; numbers may be nan."""
    return _once(bundle, entry["file"], _read_exact)


def _once(bundle, name, reader):
    """What `reader` makes of a file: all checks look at the same."""
    if (name, reader) not in bundle.predicted:
        bundle.predicted[name, reader] = reader(bundle, name)
    return bundle.predicted[name, reader]


def _read_exact(bundle, name):
    content = bundle.json(name)
    if "images" in content and isinstance(content["images"], dict):
        found = {image: Prediction(one["kind"], _rows(one["rows"])) for image, one in content["images"].items()}
    else:
        found = _fullest([content, *content.get("others", [])])
    if not found:
        raise UserError(f"{name}: expected images or rows, found {', '.join(map(str, content))[:80]}")
    for image, prediction in found.items():
        if prediction.kind not in KINDS or not isinstance(prediction.rows, list):
            raise UserError(f"{name}: {image}: expected rows of classes, boxes, numbers or an embedding")
    return content.get("behind"), found


def _fullest(outputs):
    """{hash of the input: `Prediction`} of the first of a network's outputs that has one for the most images; of an
    output with too many numbers, a sample of them."""
    every = [{**one.get("sample", {}), **one.get("rows", {})} for one in outputs]
    rows = max(every, key=len)
    return {key: Prediction("numbers", [_number(one) for one in row]) for key, row in rows.items()}


def read_pair(bundle, entry, other_bundle, other):
    """(what the export computes behind the rows of `other`, these rows, those of `entry`), by image or by the hash of
    the input: the outputs of a network and of an engine that agree.py found to be the same. None behind where that is
    not known, or not computed here."""
    behind, expected = read(other_bundle, other)
    own, found = read(bundle, entry)
    if not (entry["exact"] and other["exact"]):
        return "", expected, found
    network, engine = other_bundle.json(other["file"]), bundle.json(entry["file"])
    outputs = {one.get("output"): one for one in [engine, *engine.get("others", [])] if "output" in one}
    if network.get("engine_output") in outputs:
        expected, found = _fullest([network]), _fullest([outputs[network["engine_output"]]])
    same = engine.get("same_image") or {}
    found = {same.get(key, key): prediction for key, prediction in found.items()}
    if own == behind:
        return "", expected, found
    is_map = behind and len(network.get("shape") or [1]) > 1
    return None if is_map else behind, expected, found


def sides(bundle, entry):
    """{image: its longer side in pixels} of a detector's exact predictions: corners may differ by a share of it."""
    images = bundle.json(entry["file"]).get("images")
    return {name: one.get("side") or 1.0 for name, one in images.items()} if isinstance(images, dict) else {}


def left_out(bundle, entry):
    """How many images the engine had that the file has not."""
    return bundle.json(entry["file"]).get("left_out") or 0


def _rows(rows):
    """The same with nan for null."""
    return [[_number(one) for one in row] if isinstance(row, list) else _number(row) for row in rows]


def _number(value):
    """The float32 that a decimal stands for, so that differences are those of the engine; nan for null."""
    if isinstance(value, float):
        return _FLOAT.unpack(_FLOAT.pack(value))[0]
    return float("nan") if value is None else value


def read_printed(bundle, entry):
    """{name: `Prediction`} that a log has printed."""
    return _once(bundle, entry["file"], _read_printed)


def _read_printed(bundle, name):
    return read_log(read_lines(bundle.path(name)))


def read(bundle, entry):
    """(behind, {name: `Prediction`}) of an entry of `predictions`."""
    return read_exact(bundle, entry) if entry["exact"] else ("", read_printed(bundle, entry))


def applied(behind, prediction):
    """The prediction of a network behind the step that the export computes: softmax, sigmoid, argmax or normalize."""
    if not behind or prediction.kind != "numbers":
        return prediction
    numbers = list(map(float, prediction.rows))
    if behind == "softmax":
        most = max(numbers)
        parts = [math.exp(number - most) for number in numbers]
        numbers = [part / math.fsum(parts) for part in parts]
    elif behind == "sigmoid":
        numbers = [1 / (1 + math.exp(-number)) if number > -700 else 0.0 for number in numbers]
    elif behind == "normalize":
        numbers = unit(numbers)
    elif behind == "argmax":
        numbers = [numbers.index(max(numbers))]
    return Prediction("numbers", numbers)


def scores(prediction):
    """{class: score} of classes, numbers or an embedding; None for boxes."""
    if prediction.kind == "classes":
        return {row[0]: float(row[1]) for row in prediction.rows}
    if prediction.kind in ("numbers", "embedding") and all(isinstance(one, (int, float)) for one in prediction.rows):
        return dict(enumerate(map(float, prediction.rows)))
    return None


def is_embedding(prediction):
    """Whether its numbers are an embedding, whose largest numbers are no classes."""
    return prediction.kind == "embedding" or (
        prediction.kind == "numbers" and _are_floats(prediction.rows) and is_unit(prediction.rows)
    )


def _are_floats(rows):
    return all(isinstance(number, float) for number in rows)
