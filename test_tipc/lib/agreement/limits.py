"""When do two outputs agree? The one place of the limits.

All are shares of the outputs' `scale`, if not said otherwise.
"""

import numpy as np

from agreement.embeddings import is_embeddings

INPUTS = 1e-5  # two preprocessings of floats: other orders of the same sums differ by 7e-7
REWRITTEN = 1e-5  # an export whose weights were merged; the same rows in a batch of another size
OTHER_DEVICE = 1e-4  # a GPU's sums against the CPU's
ENGINE = 1e-4  # an optimised engine against strict mode; absolute where no output is larger than 1
ELEMENTS = 1e-3  # of an integer map: the elements that may differ where two classes are in a tie
CONSTANT = 1e-5  # outputs that change by less from image to image do not depend on it
TOP = 5


def scale(array):
    """The largest absolute finite number of an array, 0.0 where there is none."""
    if array.dtype.kind not in "fiub" or not array.size:
        return 0.0
    finite = np.abs(array.astype(np.float64))
    return float(finite[np.isfinite(finite)].max(initial=0.0))


def largest_difference(first, second):
    """The largest absolute difference of two arrays of one shape; inf where only one of two numbers is finite.

    The same infinity, or nan, at the same place is no difference.
    """
    if not first.size:
        return 0.0
    first, second = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second)
    apart[(first == second) | (np.isnan(first) & np.isnan(second))] = 0.0
    return float(np.nan_to_num(apart, nan=np.inf).max())


def squeezed(shape):
    """A shape without its sides of 1."""
    return [int(side) for side in shape if side != 1]


def same_bits(first, second):
    """Whether two arrays have the same type, shape and bits."""
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def same_top(expected, scores, tolerance, top=TOP):
    """Whether the `top` best classes of two rows [C] are the same, in the same order.

    Two classes may change places only where `expected` scores them within `tolerance` of each other.
    """
    first = np.argsort(-expected, kind="stable")[:top]
    second = np.argsort(-scores, kind="stable")[:top]
    return bool((np.abs(expected[first] - expected[second]) <= tolerance)[first != second].all())


def is_scores(array):
    """Whether an array is a classifier's scores, [N, C] of floats."""
    return array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f"


class Spread:
    """How far the outputs of different images are from each other; outputs of another shape are kept apart."""

    def __init__(self):
        self._groups = {}  # shape: [least numbers, largest numbers, keys of the images]
        self._lengths = {}  # shape: whether all rows are of length 1

    def add(self, key, output):
        """Count one image: `key` is its own, `output` an array of floats of any shape."""
        if output.size and output.dtype.kind == "f" and np.isfinite(output).all():
            low, high, keys = self._groups.get(output.shape, (output, output, set()))
            group = np.minimum(low, output), np.maximum(high, output), keys | {key}
            self._groups[output.shape] = group
            is_unit = output.ndim == 1 and is_embeddings(output[None])
            self._lengths[output.shape] = self._lengths.get(output.shape, True) and is_unit

    @property
    def different(self):
        """The number of different images."""
        return sum(len(keys) for _, _, keys in self._groups.values())

    @property
    def largest(self):
        """The largest difference that two images have in any number; None where no two can be compared."""
        return max((float((high - low).max()) for low, high, _ in self._comparable()), default=None)

    @property
    def share(self):
        """As `largest`, of the number itself: 0.01 where it changes by 1 % from one image to another.

        Of embeddings, of their length: some of their numbers are near 0, where rounding is a large share.
        """
        least = np.finfo(np.float32).tiny
        shares = (
            float(((high - low) / (1.0 if is_unit else np.maximum(np.maximum(np.abs(high), np.abs(low)), least))).max())
            for low, high, is_unit in self._comparable()
        )
        return max(shares, default=None)

    @property
    def is_constant(self):
        """Whether the outputs do not depend on the image; not known to be with fewer than two images."""
        return self.share is not None and self.share <= CONSTANT

    def _comparable(self):
        for shape, (low, high, keys) in self._groups.items():
            if len(keys) > 1:
                yield low.astype(np.float64), high.astype(np.float64), self._lengths[shape]
