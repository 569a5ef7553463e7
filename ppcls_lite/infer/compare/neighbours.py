"""Which images of a list are nearest to each other, and does another engine's embeddings say the same?"""

import numpy as np

NEAREST = 5
_BLOCK = 256  # images whose cosines are in memory at a time
_SELF = -2.0  # below every cosine: an image is not its own neighbour


class Neighbours:
    """The unit vectors of two engines for the same images."""

    def __init__(self):
        self._pairs, self._known, self._is_lost = [], {}, False

    def add(self, reference, found):
        """Count one batch: unit vectors [N, D] of both."""
        self._pairs.append((reference, found))
        self._known = {}

    def lose(self):
        """A batch has no vectors that can be compared: then no image has the same neighbours."""
        self._is_lost = True

    def mismatches(self, tolerance, count):
        """The number of images whose `count` nearest others are not the same in the same order.

        Two may change places where the reference's cosines are within `tolerance` of each other.
        """
        key = tolerance, count
        if key not in self._known:
            self._known[key] = self._count(tolerance, count)
        return self._known[key]

    def _count(self, tolerance, count):
        if not self._pairs:
            return 0
        reference, found = (np.concatenate(vectors) for vectors in zip(*self._pairs))
        if self._is_lost or not (np.isfinite(reference).all() and np.isfinite(found).all()):
            return len(reference)
        wrong = 0
        for begin in range(0, len(reference), _BLOCK):
            ours, theirs = (_cosines(vectors, begin) for vectors in (reference, found))
            wrong += int((~_same_nearest(ours, theirs, tolerance, count)).sum())
        return wrong


def _cosines(vectors, begin):
    """[B, N] of the images from `begin` on with all of them."""
    block = vectors[begin : begin + _BLOCK] @ vectors.T
    rows = np.arange(len(block))
    block[rows, begin + rows] = _SELF
    return block


def _same_nearest(ours, theirs, tolerance, count):
    """[B] whether the nearest images of each row are the same."""
    first, second = (np.argsort(-cosines, axis=1, kind="stable")[:, :count] for cosines in (ours, theirs))
    apart = np.abs(np.take_along_axis(ours, first, 1) - np.take_along_axis(ours, second, 1))
    return ((first == second) | (apart <= tolerance)).all(axis=1)
