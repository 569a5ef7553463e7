"""Boxes of detectors, paired: two engines may list boxes of nearly equal scores in another order.

Rows are [label, score, x1, y1, x2, y2]; those of several images come one after the other ([K, 6], with an output that
counts them) or as [N, K, 6].
"""

from dataclasses import dataclass

import numpy as np

LEAST_SCORE = 0.05  # boxes with a lower score are not compared, where there are better ones
_CUT = 10  # two lists of as many boxes, or more, were cut: the last ones may be in a tie with those behind
_SHARE = 0.5  # of all boxes: where more are in a tie, nothing is proven


@dataclass
class Pairs:
    """How far the boxes of two engines are from each other; differences of scores and, as shares of the image's
    longer side, of corners."""

    tolerance: float
    boxes: int = 0
    alone: int = 0  # boxes that only one of them found
    tied: int = 0  # those at the end of a list that was cut
    largest: float = 0.0

    def add(self, expected, found):
        """Pair the boxes of one image, [K, 6] each: every one with the nearest of its label."""
        expected, found = expected[used_rows(expected)], found[used_rows(found)]
        rows = np.concatenate([expected, found]).astype(np.float64)
        if not len(rows):
            return
        scale = np.array([1.0, *[max(1.0, float(np.abs(rows[:, 2:]).max()))] * 4])
        least = min(LEAST_SCORE, float(rows[:, 1].max()) / 2)
        self.boxes += int((expected[:, 1] >= least).sum())
        is_cut = len(expected) == len(found) >= _CUT
        for own, others in ((expected, found), (found, expected)):
            last = float(others[:, 1].min(initial=np.inf))
            for row in own[own[:, 1] >= least]:
                same = others[others[:, 0] == row[0]]
                apart = np.abs((same[:, 1:].astype(np.float64) - row[1:]) / scale).max(axis=1, initial=0.0)
                nearest = float(apart.min(initial=np.inf))
                if nearest <= self.tolerance:
                    self.largest = max(self.largest, nearest)
                elif is_cut and row[1] - last <= self.tolerance:
                    self.tied += 1
                else:
                    self.alone += 1

    @property
    def ties(self):
        """Boxes that only one of them found, which a tie of two scores explains."""
        return self.tied if self.tied <= _SHARE * 2 * self.boxes else 0

    @property
    def unmatched(self):
        """Boxes that only one of them found, and that nothing explains."""
        return self.alone + self.tied - self.ties

    @property
    def words(self):
        """The figures, for the line."""
        ties = f" ({self.ties} more in ties of two scores)" if self.ties else ""
        return f"{self.boxes} boxes, {self.unmatched} without a partner{ties}"


def is_boxes(array):
    """Whether an output's rows are boxes: [K, 6] or [N, K, 6] with whole labels and scores from 0 to 1."""
    if array.ndim not in (2, 3) or array.shape[-1] != 6 or array.dtype.kind != "f":
        return False
    rows = array.reshape(-1, 6)
    if not len(rows):
        return True
    if not np.isfinite(rows).all():
        return False
    labels, scores = rows[:, 0], rows[used_rows(rows), 1]
    are_scores = (scores >= 0).all() and (scores <= 1).all() and (scores.any() or not len(scores))
    return bool((labels == np.round(labels)).all() and are_scores)


def used_rows(rows):
    """Which rows are boxes: empty places have the label -1."""
    return rows[..., 0] >= 0


def split(array, outputs, images):
    """The boxes of each image, [K, 6] each: an output of whole numbers, one for each image, counts them.

    All boxes at once where they are not counted.
    """
    if array.ndim == 3:
        return list(array)
    for counts in outputs:
        if counts.dtype.kind in "iu" and counts.size == images and int(counts.sum()) == len(array):
            return np.split(array, np.cumsum(counts.reshape(-1))[:-1])
    return [array]
