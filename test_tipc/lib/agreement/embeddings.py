"""Embeddings of recognisers. Their numbers are no classes, and the best five of them mean nothing: they are judged by
the cosine of the two embeddings of an image, and by its nearest neighbours among the other images.
"""

import numpy as np

from embedding import ANGLE, LEAST, LENGTH, NEAREST, SUM


def is_embeddings(array, declared=False):
    """Whether an output [N, D] is embeddings: rows of length 1 that are no probabilities, or any where `declared`."""
    if array.ndim != 2 or array.shape[1] < LEAST or array.dtype.kind != "f" or not len(array):
        return False
    if declared:
        return True
    rows = array.astype(np.float64)
    has_length_one = bool((np.abs(np.linalg.norm(rows, axis=1) - 1) <= LENGTH).all())
    return has_length_one and bool((rows < 0).any() or (rows.sum(axis=1) > SUM).all())


def unit(rows):
    """Rows [N, D] in double precision, each divided by its length; nan where that is 0."""
    rows = rows.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Embeddings:
    """Two programs' embeddings of the same images; an image that comes again counts with its worst."""

    def __init__(self, tolerance):
        self.tolerance = tolerance  # of a cosine: two neighbours within it may change places
        self._pairs, self._angles, self._shape = {}, {}, ""
        self._others = None  # not counted yet

    def __len__(self):
        return len(self._pairs)

    def add(self, keys, expected, found):
        """Count one batch: [N, D] of both; `keys` are those of its images."""
        if expected.shape != found.shape:
            self._shape = f"embeddings {list(found.shape)}, expected {list(expected.shape)}"
            return
        self._others = None
        ours, theirs = unit(expected), unit(found)
        angles = np.nan_to_num(1 - (ours * theirs).sum(axis=1), nan=np.inf)
        for key, angle, first, second in zip(keys, angles, ours, theirs):
            if angle >= self._angles.get(key, -np.inf):
                self._angles[key], self._pairs[key] = float(angle), (first, second)

    @property
    def angle(self):
        """The largest 1 - cosine of an image's two embeddings."""
        return max(self._angles.values(), default=0.0)

    @property
    def others(self):
        """The number of images with other nearest neighbours."""
        if self._others is None:
            self._others = self._count_others()
        return self._others

    def _count_others(self):
        if len(self._pairs) < 2:
            return 0
        first, second = (np.stack(vectors) for vectors in zip(*self._pairs.values()))
        ours, theirs = (_cosines(vectors) for vectors in (first, second))
        return int((~_same_nearest(ours, theirs, self.tolerance)).sum())

    @property
    def fault(self):
        """What is wrong, or ""."""
        if self._shape:
            return self._shape
        if not self.angle <= ANGLE:
            return f"1 - cosine of an image's embeddings is {self.angle:.3g}, of at most {ANGLE:g}"
        return f"{self.others} images have other nearest neighbours" if self.others else ""

    def as_dict(self):
        """The figures; None for an angle that is no number."""
        angle = self.angle if np.isfinite(self.angle) else None
        return {"images": len(self), "angle": angle, "other_neighbours": self.others}

    @property
    def words(self):
        """The figures, for a line."""
        same = len(self) - self.others
        return f"1 - cosine {max(self.angle, 0):.2g} (at most {ANGLE:g} allowed), {same} of {len(self)} embeddings " + (
            f"with the same {min(NEAREST, len(self) - 1)} nearest neighbours" if len(self) > 1 else "compared"
        )


def _cosines(vectors):
    """[N, N] of all images with all others; an image is not its own neighbour."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2.0)
    return cosines


def _same_nearest(ours, theirs, tolerance):
    """[N] whether the nearest images are the same in the same order, up to ties."""
    first, second = (np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST] for cosines in (ours, theirs))
    apart = np.abs(np.take_along_axis(ours, first, 1) - np.take_along_axis(ours, second, 1))
    return ((first == second) | (apart <= tolerance)).all(axis=1)
