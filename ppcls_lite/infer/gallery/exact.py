"""Exact search: the very neighbours that a comparison with each vector would find, without making it in full.

The score of two vectors is their inner product (IP), or the square of their distance (L2), computed in float64 and
rounded once, to float32. Equal scores keep the order of the rows. float32 products, which BLAS makes many times faster,
only choose the rows that may be among the best: the rounding of such a product has a known limit (Higham, "Accuracy and
Stability of Numerical Algorithms", 3.1), so none can be missed.
"""

import numpy as np

IP, L2 = "IP", "L2"
_BLOCK = 64  # rows of which the best one is looked at first
_SCORES = 1 << 23  # float32 numbers of a matrix of scores: 32 MB
_UNIT = 2.0**-24  # the largest relative error of one float32 operation
_FURTHER = 8  # operations beside the sum: halves, squares, differences, and the last rounding


def exact_scores(query, rows, dist_type):
    """The scores [M] float32 of `query` [D] with each of the rows [M, D]."""
    query = query.astype(np.float64)
    found = np.empty(len(rows), np.float32)
    step = max(1, _SCORES // rows.shape[1])
    for begin in range(0, len(rows), step):
        part = rows[begin : begin + step].astype(np.float64)
        products = part * query if dist_type == IP else np.square(part - query)
        found[begin : begin + step] = products.sum(axis=1)
    return found


def best_of(query, rows, numbers, count, dist_type):
    """(scores, numbers), best first, of the `count` best out of the rows with these ascending `numbers`."""
    scores = exact_scores(query, rows[numbers], dist_type)
    order = np.argsort(-scores if dist_type == IP else scores, kind="stable")[:count]
    return scores[order], numbers[order]


class ExactSearch:
    """Vectors [M, D] float32 in whose rows is searched."""

    def __init__(self, vectors, dist_type):
        self.vectors, self.dist_type = vectors, dist_type
        squares = np.square(vectors, dtype=np.float64).sum(axis=1)
        self._longest = float(np.sqrt(squares.max()))
        self._halves = (squares / 2).astype(np.float32)

    def search(self, queries, count):
        """(scores [N, count] float32, numbers of rows [N, count] int64), best first; `count` is at most M."""
        scores = np.empty((len(queries), count), np.float32)
        numbers = np.empty((len(queries), count), np.int64)
        step = max(1, _SCORES // len(self.vectors))
        for begin in range(0, len(queries), step):
            part = queries[begin : begin + step]
            likeness = part @ self.vectors.T
            if self.dist_type == L2:  # |q - v|² is least where q·v - |v|²/2 is largest
                likeness -= self._halves
            for at, (query, row) in enumerate(zip(part, likeness), begin):
                rows = np.flatnonzero(row >= self._least(row, count, query))
                scores[at], numbers[at] = best_of(query, self.vectors, rows, count, self.dist_type)
        return scores, numbers

    def _least(self, likeness, count, query):
        """What each of the `count` best has at least in a row of rounded likenesses [M]."""
        whole = len(likeness) // _BLOCK * _BLOCK
        best = likeness[:whole].reshape(-1, _BLOCK).max(axis=1)
        if len(best) < count:
            best = likeness
        at = len(best) - count
        length = float(np.sqrt(np.square(query, dtype=np.float64).sum()))
        error = (len(query) + _FURTHER) * _UNIT * (length + self._longest) ** 2
        return np.partition(best, at)[at] - 2 * error
