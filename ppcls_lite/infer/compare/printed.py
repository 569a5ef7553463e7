"""Did every program print the same predictions of the same images, up to the decimals that it prints?"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.infer.compare import logs
from ppcls_lite.infer.compare.printed_embeddings import embeddings_differ
from ppcls_lite.infer.engines.agreement import TOLERANCE

LESS_PRECISE = 5e-3  # instead of TOLERANCE, where a log's command ran on a GPU or in lower precision
_ROUNDING = 1e-9  # of the sums here


@dataclass
class PrintedAgreement:
    """Whether a log shows the predictions that it should, image by image."""

    kind: str  # `predicted` or `printed`: the option that names the log
    log: str
    reference: str  # what it is compared with, as a subordinate clause
    images: int = 0  # that should be in it
    same: int = 0
    boxes: int = -1  # in the log, of detectors
    fault: str = ""  # the first difference

    @property
    def agrees(self):
        """Whether it has one prediction or more, and all are the same."""
        return not self.fault and self.images == self.same > 0

    def as_dict(self):
        return {**asdict(self), "agrees": self.agrees}

    def __str__(self):
        boxes = f", {self.boxes} box(es)" if self.boxes >= 0 else ""
        verdict = "agrees" if self.agrees else f"DISAGREES: {self.fault or 'there is no prediction'}"
        line = f"{self.kind} {Path(self.log).name}: {self.same} of {self.images} images as {self.reference}{boxes}"
        return f"{line}: {verdict}"


class Decimals(NamedTuple):
    """How many decimals are printed of a score, and of a box's corner."""

    score: int
    corner: int


RECORDS, LINES = Decimals(5, 2), Decimals(2, 1)


class Bounds(NamedTuple):
    """How far two printed predictions may be from each other."""

    score: float
    tie: float  # between two scores of the reference that may change their places
    corner: float  # in pixels, besides `slack` as a share of the image's side
    slack: float  # what two engines may differ by before the rounding

    @classmethod
    def of(cls, expected, found, slack):
        """The bounds for numbers with these `Decimals`: half a unit of each last digit, and `slack`."""
        score, corner = ((10**-a + 10**-b) / 2 for a, b in zip(expected, found))
        return cls(score + slack + _ROUNDING, slack + 10**-expected.score + _ROUNDING, corner + _ROUNDING, slack)


def compare_predicted(log, predict, postprocess):
    """The agreement of `log`, of tools/infer.py, with what the exported model predicts now of the same files.

    `predict` is a function from paths to records as tools/infer.py prints them, of a classifier with more classes than
    it prints. `postprocess` is that of the training config, with the classes' names and a detector's threshold. Returns
    (agreement, predictions of the exported model, for `compare_printed`, or None where they could not be made).
    UserError for a file that is not a log.
    """
    bounds = Bounds.of(RECORDS, RECORDS, LESS_PRECISE if logs.is_less_precise(log) else TOLERANCE)
    agreement = PrintedAgreement("predicted", str(log), "the exported model predicts")
    try:
        found = logs.read_records(log)
        for prediction in found:
            if not Path(prediction.image).is_file():
                raise ValueError(f"{prediction.image}: there is no such file")
    except ValueError as error:
        agreement.fault = str(error)
        return agreement, None
    expected = [_cut(record, postprocess) for record in predict([prediction.image for prediction in found])]
    _count(agreement, expected, found, "through the exported model", bounds, postprocess)
    return agreement, expected


def _cut(record, postprocess):
    """The `Prediction` of a record with more classes than the `postprocess` prints: they become its `others`."""
    prediction, topk = logs.prediction_of(record), getattr(postprocess, "topk", None)
    if topk is None:
        return prediction
    ids, scores, names = (part[:topk] for part in (prediction.ids, prediction.scores, prediction.names))
    others = dict(zip(prediction.ids[topk:], prediction.scores[topk:]))
    return prediction._replace(ids=ids, scores=scores, names=names, others=others)


def compare_printed(log, predicted, postprocess, known=None):
    """The agreement of `log`, of an inference command, with the log `predicted` of tools/infer.py.

    Two classes may change their places, and scores and corners may differ, as far as two engines may (`TOLERANCE`) plus
    the rounding of what is printed. `known` is what `compare_predicted` returns: without it, a class that the training
    engine did not print is never in a tie with one that it did. UserError for a file that is not a log.
    """
    less_precise = logs.is_less_precise(log) or logs.is_less_precise(predicted)
    bounds = Bounds.of(RECORDS, LINES, LESS_PRECISE if less_precise else TOLERANCE)
    agreement = PrintedAgreement("printed", str(log), "the training engine printed")
    try:
        expected, found = logs.read_records(predicted), logs.read_lines(log)
    except ValueError as error:  # a line that cannot be read
        agreement.fault = str(error)
        return agreement
    if known and len(known) == len(expected):
        expected = [prediction._replace(others=more.others) for prediction, more in zip(expected, known)]
    _count(agreement, expected, found, f"in {Path(predicted).name}", bounds, postprocess)
    return agreement


def _count(agreement, expected, found, there, bounds, postprocess):
    agreement.images = len(expected)
    if any(prediction.boxes is not None for prediction in found):
        agreement.boxes = sum(len(prediction.boxes or ()) for prediction in found)
    faults = [_fault_of(*pair, there, bounds, postprocess) for pair in zip(expected, found)]
    agreement.same = faults.count("")
    agreement.fault = next(filter(None, faults), "")
    if len(expected) != len(found) and not agreement.fault:
        agreement.fault = _other_number(expected, found, there)


def _other_number(expected, found, there):
    longer = expected if len(expected) > len(found) else found
    first = Path(longer[min(len(expected), len(found))].image).name
    have = f"{len(found)} image(s)" if found else "no prediction"
    which = "missing" if longer is expected else "more"
    return f"{have}, and {len(expected)} {there}; the first one {which} is {first}"


def _fault_of(expected, found, there, bounds, postprocess):
    """What differs between two `Prediction`s of an image, or an empty text."""
    names = [Path(prediction.image).name for prediction in (found, expected)]
    if names[0] != names[1]:
        return f"{names[0]}, where {names[1]} is {there}"
    if expected.features is not None or found.features is not None:
        compare = embeddings_differ
    else:
        compare = _classes_differ if expected.boxes is None and found.boxes is None else _boxes_differ
    fault = compare(expected, found, bounds, postprocess)
    return f"{names[0]}: {fault[0]}, and {fault[1]} {there}" if fault else ""


def _classes_differ(expected, found, bounds, postprocess):
    """(found, expected) of what differs, or None."""
    if not _same_order(expected, found, bounds.tie):
        return f"class ids {found.ids}", f"{expected.ids}"
    names = [postprocess.names.get(label, "") for label in found.ids] if postprocess.names else found.ids
    if found.names != names:
        return f"names {found.names}", f"{names}"
    if not all(abs(a - b) <= bounds.score for a, b in zip(expected.scores, found.scores)):
        return f"scores {found.scores}", f"{expected.scores}"
    return None


def _same_order(expected, found, tie):
    """Whether the ids are the same in the same order, up to ties of the expected scores."""
    if len(found.ids) != len(expected.ids) or len(set(found.ids)) != len(found.ids):
        return False
    scores = {**(expected.others or {}), **dict(zip(expected.ids, expected.scores))}
    return all(
        ours == theirs or (theirs in scores and abs(score - scores[theirs]) <= tie)
        for ours, theirs, score in zip(expected.ids, found.ids, expected.scores)
    )


def _boxes_differ(expected, found, bounds, postprocess):
    """(found, expected) of what differs, or None. A box is paired with the first that is close enough."""
    if expected.boxes is None or found.boxes is None:
        return ("boxes", "classes") if expected.boxes is None else ("classes", "boxes")
    rows, order = list(enumerate(_rows(found))), {}
    threshold = getattr(postprocess, "threshold", 0.0)
    for row in _rows(expected):
        pair = next((pair for pair in rows if _close(row, pair[1], bounds)), None)
        if pair is not None:
            rows.remove(pair)
            order[pair[0]] = row[1]
        elif row[1] > threshold + bounds.tie:  # else the other engine's score may be below the threshold
            return f"{len(found.boxes)} box(es), none as '{_shown(row)}'", f"{len(expected.boxes)}"
    for _, row in rows:
        if row[1] > threshold + bounds.score:
            return f"{len(found.boxes)} box(es) with '{_shown(row)}'", f"{len(expected.boxes)} without it"
    scores = [order[pair] for pair in sorted(order)]
    if any(second > first + bounds.tie for first, second in zip(scores, scores[1:])):
        return "boxes in another order", "the best first"
    return None


def _rows(prediction):
    """[(name, score, corners)] of a detector's prediction."""
    return list(zip(map(str, prediction.names), prediction.scores, prediction.boxes))


def _close(row, other, bounds):
    side = max(1.0, *row[2], *other[2])  # at most the image's longer side
    corners = all(abs(a - b) <= bounds.corner + bounds.slack * side for a, b in zip(row[2], other[2]))
    return row[0] == other[0] and abs(row[1] - other[1]) <= bounds.score and corners


def _shown(row):
    return f"{row[0]} {row[1]} {row[2]}"
