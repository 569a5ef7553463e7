"""Do predict and infer print the same scores? Scripts apply softmax in Python, behind what Paddle shows.

For an image that both computed, the top score is searched in each log: as the network's output is, or behind softmax or
sigmoid. Where predict printed one and infer another, softmax is missing (or was applied twice). A log where that is
not certain says nothing: too few digits, no number, or several candidates with different values.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agreement import limits
from agreement.behind import Step
from script import UserError

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]*\w)(%?)")
_LEAST, _SURE = 3, 6  # digits of a score beside its class, and of one without it
_ROUNDING = 1e-6  # of a score: a float32 behind softmax in NumPy
STEPS = (Step(""), Step("softmax"), Step("sigmoid"))


class Token(NamedTuple):
    """A number of a log: its value, half a unit of its last digit, the number of its digits, and its line."""

    value: float
    half: float
    digits: int
    line: int
    text: str


class Found(NamedTuple):
    """A score as it is printed, and the step that makes it of the output."""

    score: float
    step: Step
    text: str
    half: float

    def words(self, ago):
        """In words: `0.909, which is softmax of its output`."""
        return f"{self.text}, {f'which is {self.step.name} of its output' if self.step.name else 'its output as it is'}"


class Log:
    """The numbers of a step's log."""

    def __init__(self, path):
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        self.tokens, self.integers = [], {}
        for number, line in enumerate(lines):
            for match in _NUMBER.finditer(line):
                self._add(match, number)

    def _add(self, match, number):
        text = match[0].rstrip("%")
        mantissa, _, exponent = text.lower().partition("e")
        decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
        digits = len(mantissa.lstrip("+-").replace(".", "").lstrip("0"))
        if text.isdigit():
            self.integers.setdefault(int(text[:9]), set()).add(number)
        if "." in mantissa and abs(int(exponent or 0)) < 40:
            share = 0.01 if match[1] else 1.0
            self.tokens.append(Token(float(text) * share, 0.5 * 10.0**-decimals * share, digits, number, match[0]))

    def find(self, scores):
        """The `Found` of the top score of one image, `scores` [C] as the network gave them, or None if not certain."""
        top = int(np.argmax(scores))
        near = {line + ahead for line in self.integers.get(top, ()) for ahead in (-1, 0, 1)}
        candidates = []
        for step in STEPS:
            value = float(_behind(step, scores)[top])
            hits = [token for token in self.tokens if abs(token.value - value) <= token.half + _ROUNDING * abs(value)]
            sure = [one for one in hits if one.digits >= (_LEAST if one.line in near else _SURE)]
            if sure:
                best = max(sure, key=lambda one: one.digits)
                candidates.append(Found(value, step, best.text, best.half))
            elif any(one.line in near and one.digits == _LEAST - 1 for one in hits):
                return None  # perhaps this one, with too few digits
        apart = any(_differ(one, candidates[0]) for one in candidates)
        return None if apart or not candidates else candidates[-1 if len(candidates) == 1 else 0]


def _behind(step, scores):
    scores = scores.astype(np.float64)
    if step.name == "softmax":
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-scores)) if step.name else scores


def _differ(first, second):
    return abs(first.score - second.score) > max(first.half, second.half) + _ROUNDING * abs(first.score)


class Printed(NamedTuple):
    """What the logs say: a `fault` or none, and what the JSON file has of it."""

    fault: str
    more: dict


def compare_printed(pairs, predict_log, infer_log):
    """The `Printed` of two logs; `pairs` are [(scores [C] of predict, scores of infer)] of images that both saw."""
    if not pairs:
        return Printed("", {"result": "no scores of an image that both predict and infer computed"})
    logs = Log(predict_log), Log(infer_log)
    for own, other in pairs:
        found = [log.find(scores) for log, scores in zip(logs, (own, other))]
        if None in found:
            continue
        first, second = found
        more = {"predict": first.text, "infer": second.text}
        if not _differ(first, second):
            return Printed("", {"result": "the same", **more})
        return Printed(_fault(first, second), {"result": "different", **more})
    return Printed("", {"result": "printed scores were not recognised"})


def _fault(first, second):
    told = f"predict printed {first.words(0)}; infer printed {second.words(0)}"
    name = first.step.name or second.step.name
    what = "is missing behind the exported model" if first.step.name else "is applied where predict applies none"
    if first.step == second.step:
        what = "is applied twice" if name else "is not all: the outputs differ"
    return f"{told}: {name or 'that'} {what}"


def score_pairs(pairing, replay):
    """[(scores of predict, scores of infer)] of the images that both computed and kept, where they are a classifier's.

    `pairing` is that of the preprocessing check, `replay` that of the network check, which knows which output is which.
    """
    matches = replay.matches.best
    scored = [number for number, match in enumerate(matches) if match and match.scored and match.total == 0]
    if len(scored) != 1:
        return []
    number, pairs = scored[0], []
    for key in pairing.predicted.kept:
        partner = pairing.partner(key)
        if partner is None or not pairing.inferred.places[partner].call.file:
            continue
        own, other = pairing.predicted.places[key], pairing.inferred.places[partner]
        if number >= len(other.call.outputs) or own.call.kind != "layer":
            continue
        (mine,) = own.call.arrays("out", [matches[number].position])
        (theirs,) = other.call.arrays("out", [number])
        if limits.is_scores(mine) and limits.is_scores(theirs) and mine.shape[1] == theirs.shape[1]:
            pairs.append((mine[own.row], theirs[other.row]))
    return pairs
