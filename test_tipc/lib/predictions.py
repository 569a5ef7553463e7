"""Read predictions from logs and reference files, in the forms of the official suites, and compare them.

A prediction is what is printed of one image, or of one name:
  classes   `a.jpg: class id(s): [1, 5], score(s): [0.94, 0.03], ...` (PaddleClas), or the list of dictionaries that its
            training engine prints: rows [class, score]
  boxes     `a.jpg: 1 box(es): bird 0.93 [1.0, 2.0, 30.0, 40.0]`, or such a dictionary with `boxes`: rows
            [name, score, x1, y1, x2, y2]
  embedding `a.jpg:<TAB>[0.012, ...]` (a recogniser; insightface has [[...]]), or such a dictionary with `features`: its
            numbers
  numbers   what follows the name: JSON, or numbers (PaddleOCR: the corners of boxes, or a text and its score), such as
            `top-1 score: 0.9` (PaddleVideo) or `mIoU: 0.87` (PaddleSeg)
A reference file has a line `name<TAB>JSON` for each image, as PaddleOCR's and PaddleClas's own script reads it, or
`name: numbers`, as those of PaddleVideo, PaddleSeg and PaddleGAN have it. Nothing in a file is executed.
"""

import ast
import json
import re
from typing import NamedTuple, Optional

from embedding import ANGLE, LEAST, angle
from figures import NUMBER, Printed, find_figures
from script import UserError

_CLASSES = re.compile(r"^(?P<name>.+?):\s+class id\(s\): (?P<ids>\[[^\]]*\]), score\(s\): (?P<scores>\[[^\]]*\])")
_BOXES = re.compile(r"^(?P<name>.+?): (?P<count>\d+) box\(es\)(?:: (?P<boxes>.*))?$")
_BOX = re.compile(r"(?:^|(?<=\]); )(.*?) (\d+\.\d+) \[([^\]]*)\]")
_EMBEDDING = re.compile(r"^(?P<name>[^\t]+?):?\t(?P<numbers>\[[^{}\"]*\])\s*$")
_RECORDS = "[{"
_KINDS = ("classes", "boxes", "embedding", "numbers")


class Prediction(NamedTuple):
    """`rows` as the head of this file says, of one of _KINDS; its numbers are `Printed` where a text had them."""

    kind: str
    rows: list


def read_reference(path):
    """{name: Prediction} of a reference file; UserError names the line that is none."""
    found = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        name, tab, rest = line.partition("\t") if "\t" in line.strip() else line.partition(": ")
        name = name.strip().rpartition("/")[2]
        prediction = _of_text(rest) if name else None
        if not tab or prediction is None:
            raise UserError(f"{path}:{number}: expected NAME, a tab and JSON, or NAME: NUMBER, found {line!r:.80}")
        if name in found:
            raise UserError(f"{path}:{number}: {name} is there twice")
        found[name] = prediction
    if not found:
        raise UserError(f"{path}: expected reference predictions, found an empty file")
    return found


def read_log(lines, names=()):
    """{name: Prediction} of a log's lines; those of `names` are looked for in other forms too.

    What is printed last of a name counts. But of embeddings every one does, as each identity may have an image of the
    same name in its own folder: `a.jpg`, `a.jpg (2)` and so on.
    """
    found, seen = {}, {}
    for line in lines:
        for name, prediction in _in_line(line):
            if prediction.kind == "embedding":
                others = seen.setdefault(name, [])
                others += [] if prediction in others else [prediction]
                name += f" ({at})" if (at := others.index(prediction) + 1) > 1 else ""
            found[name] = prediction
    for name in names:
        if name not in found and (prediction := _behind_name(lines, name)):
            found[name] = prediction
    return found


def write_reference(stream, predictions):
    """Write {name: Prediction} as a reference file."""
    for name, prediction in predictions.items():
        stream.write(f"{name}\t{json.dumps(prediction.rows, ensure_ascii=False)}\n")


def difference(expected, found, atol, rtol):
    """What differs between two `Prediction`s, in words; "" where they agree.

    A number may be off by atol + rtol * |expected|, and by what rounding hides where a text has few decimals.
    """
    if expected.kind != found.kind:
        return f"found {found.kind}, expected {expected.kind}"
    return _COMPARISONS[expected.kind](expected.rows, found.rows, _Limit(atol, rtol))


# ---------------------------------------------------------------------------------------------------------- reading


def _text(path):
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from None


def _in_line(line):
    """[(name, Prediction)] of a line in the forms of this repository's and PaddleClas's programs."""
    try:
        if match := _CLASSES.match(line):
            ids, scores = _json(match["ids"]), _json(match["scores"])
            return [(_base(match["name"]), Prediction("classes", _paired(ids, scores)))]
        if (match := _BOXES.match(line)) and (rows := _box_rows(match["boxes"] or "")) is not None:
            return [(_base(match["name"]), Prediction("boxes", rows))] if len(rows) == int(match["count"]) else []
        if (match := _EMBEDDING.match(line)) and (numbers := _numbers_of(_json(match["numbers"]))):
            return [(_base(match["name"]), Prediction("embedding", numbers))]
        if line.startswith(_RECORDS):
            return [_of_record(record) for record in ast.literal_eval(line)]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        pass
    return []


def _numbers_of(rows):
    """The numbers of an embedding, [...] or [[...]]; None for anything else."""
    numbers = rows[0] if len(rows) == 1 and isinstance(rows[0], list) else rows
    return numbers if len(numbers) >= LEAST and all(isinstance(number, float) for number in numbers) else None


def _of_record(record):
    if "features" in record:
        if not (numbers := _numbers_of(record["features"])):
            raise ValueError("not an embedding")
        return _base(record["file_name"]), Prediction("embedding", numbers)
    rows, names = _paired(record["class_ids"], record["scores"]), record.get("label_names")
    if "boxes" not in record:
        return _base(record["file_name"]), Prediction("classes", rows)
    names = names or list(map(str, record["class_ids"]))
    rows = [[name, row[1], *box] for name, row, box in zip(names, rows, record["boxes"])]
    return _base(record["file_name"]), Prediction("boxes", rows)


def _paired(ids, scores):
    if len(ids) != len(scores) or not all(isinstance(number, (int, float)) for number in (*ids, *scores)):
        raise ValueError("not a score for each class")
    return [list(pair) for pair in zip(ids, scores)]


def _box_rows(text):
    found = list(_BOX.finditer(text))
    if "".join(match[0] for match in found) != text:
        return None
    return [[match[1], Printed(match[2]), *map(Printed, match[3].split(", "))] for match in found]


def _behind_name(lines, name):
    """The Prediction behind the first mention of a name that one follows; None where none does."""
    for line in lines:
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", line):
            prediction = _of_text(line.rpartition(name)[2].lstrip("\"':= \t"))
            if prediction:
                return prediction
    numbers = find_figures(lines, name)
    return Prediction("numbers", numbers) if numbers else None


def _of_text(text) -> Optional[Prediction]:
    """The Prediction that a text is: JSON, or numbers with blanks between them."""
    text = text.strip()
    try:
        rows = _json(text)
    except ValueError:
        words = text.strip("[]").replace(",", " ").split()
        if not words or not all(re.fullmatch(NUMBER, word, re.IGNORECASE) for word in words):
            return None
        return Prediction("numbers", list(map(Printed, words)))
    if not isinstance(rows, list):
        return Prediction("numbers", [rows]) if isinstance(rows, (int, float)) else None
    if rows and all(_is_class(row) for row in rows):
        return Prediction("classes", rows)
    if numbers := _numbers_of(rows):
        return Prediction("embedding", numbers)
    boxes = all(isinstance(row, list) and len(row) == 6 and isinstance(row[0], str) for row in rows)
    return Prediction("boxes" if boxes else "numbers", rows)


def _is_class(row):
    return isinstance(row, list) and len(row) == 2 and type(row[0]) is int and isinstance(row[1], float)


def _json(text):
    return json.loads(text, parse_float=Printed)


def _base(name):
    return name.strip().rpartition("/")[2]


# -------------------------------------------------------------------------------------------------------- comparing


class _Limit(NamedTuple):
    atol: float
    rtol: float

    def near(self, expected, found):
        """Whether two numbers agree; nan never does."""
        hidden = getattr(expected, "half", 0.0) + getattr(found, "half", 0.0)
        return abs(found - expected) <= self.atol + self.rtol * abs(expected) + hidden + 1e-9


def _compare_classes(expected, found, limit):
    """Scores by class; a class that is among the best on one side only must be in a tie with the last of the other."""
    if len(expected) != len(found):
        return f"found {len(found)} classes, expected {len(expected)}"
    ours, theirs = dict(map(tuple, expected)), dict(map(tuple, found))
    if len(ours) != len(expected) or len(theirs) != len(found):
        return "a class is there twice"
    least, least_found = min(ours.values(), default=0), min(theirs.values(), default=0)
    for label, score in ours.items():
        if not limit.near(score, theirs.get(label, least_found)):
            there = f"{theirs[label]:g}" if label in theirs else f"not among the {len(found)} best"
            return f"class {label}: found {there}, expected {score:g}"
    for label, score in theirs.items():
        if label not in ours and not limit.near(least, score):
            return f"class {label}: found {score:g}, expected it not among the {len(expected)} best"
    return ""


def _compare_boxes(expected, found, limit):
    """Each expected box has a partner of its name, with about its score and corners."""
    free = list(found)
    for row in expected:
        same = [other for other in free if other[0] == row[0] and all(map(limit.near, row[1:], other[1:]))]
        if not same:
            return f"found no box as expected, {row[0]} {row[1]:g} {[round(float(side), 2) for side in row[2:]]}"
        free.remove(same[0])
    return f"found a box more, {free[0][0]} {free[0][1]:g}" if free else ""


def _compare_embeddings(expected, found, limit):
    """Every number, and the direction; what rounding hides of the numbers may turn it."""
    fault = _compare_numbers(expected, found, limit)
    hidden = sum((getattr(one, "half", 0.0) + getattr(other, "half", 0.0)) ** 2 for one, other in zip(expected, found))
    if fault or not any(expected):
        return fault
    most = max(ANGLE, limit.atol / 100) + hidden / sum(number * number for number in expected)
    apart = angle(expected, found)
    return "" if apart <= most else f"found an embedding with 1 - cosine {apart:.2g}, expected at most {most:.2g}"


def _compare_numbers(expected, found, limit):
    ours, theirs = list(_flat(expected)), list(_flat(found))
    if len(ours) != len(theirs):
        return f"found {len(theirs)} values, expected {len(ours)}"
    for first, second in zip(ours, theirs):
        are_numbers = isinstance(first, (int, float)) and isinstance(second, (int, float))
        if not (limit.near(first, second) if are_numbers else first == second):
            return f"found {second!r:.40}, expected {first!r:.40}"
    return ""


def _flat(value):
    """The numbers and texts in lists and dictionaries of any depth."""
    if isinstance(value, dict):
        value = [part for pair in sorted(value.items()) for part in pair]
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _flat(part)
    else:
        yield value


_COMPARISONS = dict(zip(_KINDS, (_compare_classes, _compare_boxes, _compare_embeddings, _compare_numbers)))
