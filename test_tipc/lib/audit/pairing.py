"""Two files of predictions against each other."""

import math

from audit.predicted import applied, is_embedding, left_out, read_pair, scores, sides
from embedding import ANGLE, angle, length, other_neighbours
from figures import Printed
from predictions import Prediction, difference
from script import counted

TOP = 5
_ROUNDING = 1e-7  # of softmax in double precision, which the engine computes in single
_PRINTED_EMBEDDINGS = 1e-4  # of a number, and of a cosine
_PRINTED_BOXES = 1e-4  # of an image's longer side, and of a score: what engines may differ by before they are rounded


class Pair:
    """The `entry` of a bundle's predictions against the `other` of the same or of another bundle.

    After `faults()`: `largest` difference, images that are `equal` in all bits, and those with the same top-5, or of
    embeddings the same nearest neighbours (`tops`).
    """

    def __init__(self, bundle, entry, other_bundle, other, limit=None):
        self.behind, self.expected, self.found = read_pair(bundle, entry, other_bundle, other)
        self.exact = entry["exact"] and other["exact"]
        self.is_sample = self.exact and any((left_out(bundle, entry), left_out(other_bundle, other)))
        self.sides = sides(bundle, entry) if self.exact else {}
        self.limit = next((one for one in (limit, entry["limit"]) if one is not None), 0.0)
        self.common = [name for name in self.found if name in self.expected]

    def faults(self):
        """What differs, image by image, in words; nothing where it is not known what the export computes."""
        self.largest, self.equal, self.tops = 0.0, 0, 0
        if self.behind is None:
            self.common = []
            return []
        # an engine may have had some of the images only; what is printed is of one list of them
        counts = len(self.found), len(self.expected)
        fewest = 1 if self.is_sample else min(counts) if self.exact else max(counts)
        if not self.common or len(self.common) < fewest:
            names = sorted(set(self.found) ^ set(self.expected))[:1]
            return [f"{len(self.common)} images are in both of {len(self.found)} and {len(self.expected)} ({names})"]
        compare = self._exact_fault if self.exact else self._printed_fault
        faults = [f"{name}: {fault}" for name in self.common if (fault := compare(name))]
        return faults or self._other_neighbours()

    def _other_neighbours(self):
        """Of embeddings, the images whose nearest others are not the same."""
        pairs = [(applied(self.behind, self.expected[name]), self.found[name]) for name in self.common]
        if not all(map(is_embedding, (one for pair in pairs for one in pair))):
            return []
        expected, found = ([list(map(float, one.rows)) for one in side] for side in zip(*pairs))
        wrong = other_neighbours(expected, found, max(self.limit, 0.0 if self.exact else _PRINTED_EMBEDDINGS))
        self.tops -= len(wrong)
        return [f"{self.common[place]}: other nearest neighbours" for place in wrong]

    def _exact_fault(self, name):
        expected, found = applied(self.behind, self.expected[name]), self.found[name]
        ours, theirs = scores(expected), scores(found)
        if ours is None or theirs is None:
            self.equal += expected == found
            side = self.sides.get(name, 1.0)
            return difference(*(_shares(one, side) for one in (expected, found)), self.limit, 0.0)
        if ours.keys() != theirs.keys():
            return f"{counted(len(theirs), 'number')}, not {len(ours)}"
        apart = max((abs(theirs[key] - score) for key, score in ours.items()), default=0.0)
        self.largest = max(self.largest, apart)
        self.equal += ours == theirs
        limit = self.limit + (_ROUNDING if self.behind else 0.0)
        if is_embedding(found):
            return self._other_direction(ours, theirs, apart, limit)
        if not apart <= limit * max(1.0, *map(abs, ours.values())) or not math.isfinite(apart):
            return f"largest difference {apart:g}, at most {self.limit:g} is allowed"
        self.tops += _same_top(ours, theirs, 2 * limit)
        return "" if _same_top(ours, theirs, 2 * limit) else "another top-5"

    def _other_direction(self, ours, theirs, apart, limit):
        """How two embeddings differ by more than the limit."""
        size = max(1.0, length(list(ours.values())))
        if not apart <= limit * size:
            return f"largest difference {apart:g} of an embedding, at most {self.limit:g} is allowed"
        turned = angle(list(ours.values()), list(theirs.values()))
        self.tops += turned <= ANGLE
        return "" if turned <= ANGLE else f"1 - cosine {turned:g}, at most {ANGLE:g} is allowed"

    def _printed_fault(self, name):
        expected, found = self.expected[name], self.found[name]
        if expected.kind == found.kind == "classes":
            count = min(len(expected.rows), len(found.rows))
            expected, found = _best(expected, count), _best(found, count)
        limit = self.limit
        if expected.kind == found.kind == "boxes":
            side = max((float(corner) for row in expected.rows for corner in row[2:]), default=1.0)
            expected, found = (_shares(one, max(side, 1.0)) for one in (expected, found))
            limit = max(limit, _PRINTED_BOXES)
        elif is_embedding(expected):  # printed with all digits: no rounding hides how engines differ
            limit = max(limit, _PRINTED_EMBEDDINGS)
        fault = difference(expected, found, limit, 0.0)
        self.tops += not fault
        return fault


def _shares(prediction, side):
    """Boxes with their corners as shares of the image's longer side; others as they are."""
    if prediction.kind != "boxes":
        return prediction
    rows = [[str(row[0]), row[1], *(_share(corner, side) for corner in row[2:])] for row in prediction.rows]
    return Prediction("boxes", rows)


def _share(corner, side):
    """The same of a printed number, which remembers how it was rounded."""
    share = corner / side
    if isinstance(corner, Printed):
        share, half = Printed(repr(share)), corner.half / side
        share.half = half
    return share


def _best(prediction, count):
    """The first `count` classes; those that were printed are the best already."""
    rows = sorted(prediction.rows, key=lambda row: -row[1]) if len(prediction.rows) > count else prediction.rows
    return Prediction(prediction.kind, rows[:count])


def _same_top(ours, theirs, limit):
    """Whether both have the same best classes; those in a tie may change places."""
    best = sorted(ours, key=lambda key: -ours[key])[:TOP]
    others = sorted(theirs, key=lambda key: -theirs[key])[:TOP]
    return all(abs(ours[a] - ours[b]) <= limit for a, b in zip(best, others) if a != b)
