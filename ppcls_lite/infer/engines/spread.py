"""Do the answers depend on the image? Where they do not, that two engines give the same ones means nothing."""

import hashlib

import numpy as np


def key_of(image):
    """A short text that only equal arrays share, such as the network's input of one image."""
    digest = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16)
    return f"{image.shape} {image.dtype} {digest.hexdigest()}"


class Spread:
    """How far the scores of different images are from each other.

    Scores of another shape (maps of images of another size) are kept apart.
    """

    def __init__(self):
        self._groups = {}  # shape: (least scores, largest scores, keys of the images)

    def add(self, key, scores):
        """Count one image: `key` is that of its input (`key_of`), `scores` an array of any shape."""
        low, high, keys = self._groups.get(scores.shape, (scores, scores, set()))
        keys.add(key)
        self._groups[scores.shape] = np.minimum(low, scores), np.maximum(high, scores), keys

    @property
    def different(self):
        """The number of different images."""
        return sum(len(keys) for _, _, keys in self._groups.values())

    @property
    def largest(self):
        """The largest difference that two images have in any score; None where no two can be compared."""
        return self._most(lambda low, high: high - low)

    @property
    def share(self):
        """As `largest`, of the score itself: 0.01 where a score changes by 1 % from one image to another.

        Scores of a thousand classes are small, and so are their differences, after a short training all the more.
        """
        return self._most(lambda low, high: (high - low) / np.maximum(np.abs(high), np.finfo(high.dtype).tiny))

    def _most(self, difference):
        groups = [(low, high) for low, high, keys in self._groups.values() if len(keys) > 1]
        return max((float(difference(low, high).max()) for low, high in groups), default=None)
