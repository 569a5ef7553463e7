"""Do predict and infer print the same scores? Scripts apply softmax in Python, behind what Paddle shows.

For the images that both computed, the top score is searched in each log: as the network's output is, or behind softmax
or sigmoid. Where predict printed a probability and infer another score, softmax is missing, or was applied twice. A log
where that is not certain says nothing: too few digits, no number, or several candidates with different values.
"""

import re
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from agreement import limits
from agreement.behind import Step
from script import UserError

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]*\w)(%?)")
_SCORE = re.compile(r"prob|scor|conf|logit", re.IGNORECASE)
_LEAST = 3  # digits of a score that can be recognised
_CHANCE, _CHANCE_ELSEWHERE = 0.2, 0.002  # numbers that may equal a score by accident: beside its class, and elsewhere
_MOST, _OTHERS = 0.5, 0.5  # of the images: those whose score is printed; of these, those that another step may fit
_APART = 1e-3  # two engines' scores are nearer, as the engine check requires; softmax changes more
_ROUNDING = 1e-6  # of a score: a float32 behind softmax in NumPy
STEPS = (Step(""), Step("softmax"), Step("sigmoid"))


class Token(NamedTuple):
    """A number of a log: its value, half a unit of its last digit, the number of its digits, and its line."""

    value: float
    half: float
    digits: int
    line: int
    text: str


class Hit(NamedTuple):
    """The top score of an image as a log may have it: behind `step`, as a number with half a unit of its last digit.

    `token` is None where the log does not have it; `is_rough` where it has a number with too few digits.
    """

    step: Step
    score: float
    token: Optional[Token]
    is_rough: bool

    @property
    def words(self):
        """`0.909, which is softmax of its output`."""
        kind = f"which is {self.step.name} of its output" if self.step.name else "its output as it is"
        return f"{self.token.text}, {kind}"


class Log:
    """The numbers of a step's log."""

    def __init__(self, path):
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        self.tokens, self._integers, self._scores = [], {}, set()
        for number, line in enumerate(lines):
            if _SCORE.search(line):
                self._scores.add(number)
            for match in _NUMBER.finditer(line):
                self._add(match, number)

    def _add(self, match, number):
        text = match[0].rstrip("%")
        mantissa, _, exponent = text.lower().partition("e")
        power = int(exponent or 0)
        if text.isdigit():
            self._integers.setdefault(text, set()).add(number)
        if "." in mantissa and abs(power) < 40:
            share = 0.01 if match[1] else 1.0
            half = 0.5 * 10.0 ** (power - len(mantissa.partition(".")[2])) * share
            digits = len(mantissa.lstrip("+-").replace(".", "").lstrip("0"))
            self.tokens.append(Token(float(text) * share, half, digits, number, match[0]))

    def hits(self, scores):
        """[Hit] for each of STEPS: the top score of one image, `scores` [C] as the network gave them."""
        top = int(np.argmax(scores))
        lines = {line + ahead for line in self._integers.get(str(top), ()) for ahead in (-1, 0, 1)} or self._scores
        near = [token for token in self.tokens if token.line in lines]
        return [self._hit(step, float(_behind(step, scores)[top]), near) for step in STEPS]

    def _hit(self, step, score, near):
        found, is_rough = [], False
        for tokens, chance in ((near, _CHANCE), (self.tokens, _CHANCE_ELSEWHERE)):
            equal = [one for one in tokens if abs(one.value - score) <= one.half + _ROUNDING * abs(score)]
            found += [one for one in equal if one.digits >= _LEAST and len(tokens) * 10.0 ** (1 - one.digits) <= chance]
            is_rough = is_rough or (tokens is near and any(one.digits >= _LEAST - 1 for one in equal))
        best = max(found, key=lambda one: one.digits, default=None)
        return Hit(step, score, best, is_rough and best is None)


def _behind(step, scores):
    scores = scores.astype(np.float64)
    if step.name == "softmax":
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-scores)) if step.name else scores


def _differ(first, second, allowed=_ROUNDING):
    """Whether two scores that were found differ by more than what is printed of them, and by more than `allowed`."""
    half = max((hit.token.half for hit in (first, second) if hit.token), default=0.0)
    return abs(first.score - second.score) > half + allowed * max(1.0, abs(first.score))


def recognise(hits):
    """The [Hit] of each image, all behind one step, of [[Hit for each of STEPS] for each image]; [] if not certain."""
    counts = [sum(one[number].token is not None for one in hits) for number in range(len(STEPS))]
    best = int(np.argmax(counts))
    if counts[best] < max(1, _MOST * len(hits)):
        return []
    for number in range(len(STEPS)):
        rivals = [one for one in hits if one[number].token or one[number].is_rough]
        apart = [one for one in rivals if one[best].token is None or _differ(one[number], one[best])]
        if number != best and len(apart) > _OTHERS * counts[best]:
            return []
    return [one[best] for one in hits]


class Printed(NamedTuple):
    """What the logs say: a `fault` or none, and what the JSON file has of it."""

    fault: str
    more: dict


def compare_printed(pairs, predict_log, infer_log):
    """The `Printed` of two logs; `pairs` are [(scores [C] of predict, scores of infer)] of images that both saw."""
    if not pairs:
        return Printed("", {"result": "no scores of an image that both predict and infer computed"})
    logs = Log(predict_log), Log(infer_log)
    found = [recognise([log.hits(pair[side]) for pair in pairs]) for side, log in enumerate(logs)]
    both = [(first, second) for first, second in zip(*found) if first.token and second.token]
    if not both:
        return Printed("", {"result": "printed scores were not recognised"})
    apart = [pair for pair in both if _differ(*pair, _APART)]
    first, second = apart[0] if apart else both[0]
    more = {"predict": first.token.text, "infer": second.token.text, "images": len(both)}
    if len(apart) < len(both):
        return Printed("", {"result": "the same", **more})
    if not first.step.name and not all(map(_are_probabilities, (own for own, _ in pairs))):
        return Printed("", {"result": "predict printed its output as it is, infer something else", **more})
    return Printed(_fault(first, second), {"result": "different", **more})


def _are_probabilities(scores):
    return bool(scores.min() >= 0 and abs(float(scores.sum(dtype=np.float64)) - 1) <= _APART)


def _fault(first, second):
    told = f"predict printed {first.words}; infer printed {second.words}"
    if first.step.name and first.step != second.step:
        return f"{told}: {first.step.name} is missing behind the exported model"
    return f"{told}: {second.step.name or 'something'} is applied twice"


class Pairs(NamedTuple):
    """[(row of predict, row of infer)] of the images that both computed and kept: of scores, or of embeddings."""

    rows: list
    are_embeddings: bool = False


def output_pairs(pairing, replay):
    """The `Pairs` of scores where they are a classifier's, or of a recogniser's embeddings; none of other outputs.

    `pairing` is that of the preprocessing check, `replay` that of the network check, which knows which output is which.
    """
    matches = replay.matches.best("predict")
    found = [number for number, match in enumerate(matches) if match and match.total == 0]
    scored = [number for number in found if matches[number].scored or matches[number].embeddings]
    if len(scored) != 1:
        return Pairs([])
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
    return Pairs(pairs, matches[number].embeddings is not None)
