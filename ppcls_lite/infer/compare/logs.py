"""What the chain's programs printed, read back from their logs: the predictions, and the figures of an evaluation.

A log may have lines of other kinds before, between and after them: the chain's `# command: ...`, warnings, a progress
bar, a summary of times. Nothing in it is executed.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple, Optional

from ppcls_lite.utils.errors import UserError

_BAR = re.compile(r"^ *\d+%\|[^|]*\| *\d+/\d+ \[[^\]]*\]")  # of tqdm, which ends without a new line
_RECORDS = "[{"  # the list of a batch, as tools/infer.py prints it
_LINE = re.compile(r"^(.*): class id\(s\): (\[.*?\]), score\(s\): (\[.*?\]), label_name\(s\): (\[.*\])$")
_DET_LINE = re.compile(r"^(.*): (\d+) box\(es\)(?:: (.*))?$")
_BOX = re.compile(r"(?:^|(?<=\]); )(.*?) (\d+\.\d\d) \[((?:-?\d+\.\d(?:, |(?=\]))){4})\]")
_REC_LINE = re.compile(r"^(.*):\t(\[.*\])$")  # of an embedding, or of names from a gallery
_SEEMS_A_LINE = re.compile(r": class id\(s\): |: \d+ box\(es\)|:\t\[")
_EVALUATION = re.compile(r"\[Eval\]\[Avg\] (.*)$")
_LOWER_PRECISION = re.compile(
    r"(?:device=|use[_-]|engine=)(?:gpu|fp16|int8|tensorrt)(?:[:\s]|=true\b|$)", re.IGNORECASE
)


class Prediction(NamedTuple):
    """What a log says about one image."""

    image: str  # its path, or its name alone
    names: list  # of the classes, best first; their ids where they have no names
    scores: list
    boxes: Optional[list] = None  # of detectors: [x1, y1, x2, y2] in pixels of the file for each score
    ids: Optional[list] = None  # of the classes; None where the log shows names in their place
    others: Optional[dict] = None  # {id: score} of the next best classes, where they are known
    features: Optional[list] = None  # of recognisers: the numbers of the embedding; then there are no scores


class Figures(NamedTuple):
    """The last evaluation in a log: {"top1": "0.99444"} as it was printed, and the number of images."""

    texts: dict
    images: int  # of a recogniser, the queries
    less_precise: bool  # see `is_less_precise`
    gallery: Optional[int] = None  # images that a recogniser searched
    judged: Optional[int] = None  # of the images or queries: `queries: 3 of 72`, where others have no match


def read_records(path):
    """The `Prediction`s in a log of tools/infer.py, in their order.

    UserError for a file that is not a log. ValueError, whose message names log and line, for a line that looks like
    predictions and cannot be read.
    """
    return [prediction for line in _lines(path) for prediction in _records_in(line, path)]


def read_lines(path):
    """The `Prediction`s in a log of predict_cls.py, predict_det.py, predict_rec.py or py_infer.py; errors as
    `read_records`."""
    return [prediction for line in _lines(path) for prediction in _prediction_in(line, path)]


def is_less_precise(path):
    """Whether the command at the head of a log ran on a GPU or in fp16 or int8, whose sums differ more."""
    return any(line.startswith("# command: ") and _LOWER_PRECISION.search(line) for line in _lines(path)[:1])


def read_figures(path):
    """The `Figures` of a log of tools/eval.py; UserError where it has no evaluation."""
    found = [match[1] for match in map(_EVALUATION.search, _lines(path)) if match]
    if not found:
        raise UserError(f"{path}: expected the log of tools/eval.py, found no line '[Eval][Avg] ..., images: N'")
    texts = dict(part.partition(": ")[::2] for part in found[-1].split(", "))
    judged, _, images = (texts.pop("images", None) or texts.pop("queries", "")).rpartition(" of ")
    gallery = texts.pop("gallery", "0")
    counted = images.isdecimal() and gallery.isdecimal() and (judged or images).isdecimal()
    if not counted or not texts or not all(map(_is_number, texts.values())):
        raise UserError(f"{path}: expected '[Eval][Avg] NAME: NUMBER, ..., images: N', found {found[-1]!r:.200}")
    return Figures(texts, int(images), is_less_precise(path), int(gallery) or None, int(judged or images))


def _is_number(text):
    return re.fullmatch(r"-?\d+\.\d+", text) is not None


def _lines(path):
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: expected a log, found bytes that are not UTF-8 (0x{content[error.start]:02x})"
        ) from None
    if not text.strip():
        raise UserError(f"{path}: expected a log, found an empty file")
    return [_BAR.sub("", line) for line in re.split(r"[\r\n]+", text)]


def _wrong(path, line):
    return ValueError(f"{path}: a line that looks like a prediction cannot be read: {line!r:.120}")


def _value(text):
    """The Python value that `text` spells; ValueError for anything but plain values."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise ValueError(text) from None


def _records_in(line, path):
    if not line.startswith(_RECORDS):
        return []
    try:
        return [prediction_of(record) for record in _value(line)]
    except (ValueError, KeyError, TypeError):
        raise _wrong(path, line) from None


def prediction_of(record):
    """The `Prediction` of a dict as tools/infer.py prints it; KeyError, TypeError or ValueError for anything else."""
    if "features" in record:
        return _from_features(record["file_name"], record["features"])
    ids, scores, names = (_checked(record[key], kind) for key, kind in _KINDS.items())
    boxes = record.get("boxes")
    if len(scores) != len(ids) or len(names) not in (0, len(ids)) or not isinstance(record["file_name"], str):
        raise ValueError("lists of different lengths")
    if boxes is not None and (len(boxes) != len(ids) or any(len(_checked(box, float)) != 4 for box in boxes)):
        raise ValueError("not a box for each score")
    return Prediction(record["file_name"], names or ids, scores, boxes, ids)


def _from_features(name, features):
    if not isinstance(name, str) or not _checked(features, float):
        raise ValueError("not an embedding")
    return Prediction(name, [], [], features=features)


_KINDS = {"class_ids": int, "scores": float, "label_names": str}


def _checked(values, kind):
    """The list `values`, all of this type; ValueError for anything else."""
    if not isinstance(values, list) or any(type(value) is not kind for value in values):
        raise ValueError(f"not a list of {kind.__name__}")
    return values


def _prediction_in(line, path):
    """[the Prediction] of a line, or []."""
    if not _SEEMS_A_LINE.search(line):
        return []
    match, boxes, embedding = _LINE.match(line), _DET_LINE.match(line), _REC_LINE.match(line)
    try:
        if match:
            ids, scores, names = map(_value, match.groups()[1:])
            record = {"class_ids": ids, "scores": scores, "label_names": names, "file_name": match[1]}
            return [prediction_of(record)]
        if boxes:
            return [_from_boxes(boxes)]
        if embedding:
            return [_from_features(embedding[1], _value(embedding[2]))]
    except (ValueError, TypeError):
        pass
    raise _wrong(path, line)


def _from_boxes(match):
    found, text = list(_BOX.finditer(match[3] or "")), match[3] or ""
    if len(found) != int(match[2]) or "".join(entry[0] for entry in found) != text:
        raise ValueError("not as many boxes as stated")
    boxes = [[float(side) for side in entry[3].split(", ")] for entry in found]
    return Prediction(match[1], [entry[1] for entry in found], [float(entry[2]) for entry in found], boxes)
