"""Which calls keep their arrays: an even sample, the same one whatever the order of the calls."""

from bisect import insort
from collections import Counter


class Sample:
    """Calls with at most `images` distinct images and `size` bytes together.

    The first calls are kept until they hold a quarter of the images or of the bytes; the rest of the room goes to the
    calls with the lowest keys. A call is kept whole or not at all, and one is always kept that is not too large alone.
    """

    def __init__(self, images, size):
        self.images, self.size = images, size
        self._held = 0  # bytes
        self._rows = Counter()  # an image: the kept calls that have it
        self._keys = set()
        self._rest = []  # the calls behind the first ones, by key
        self._ceiling = None  # the lowest key that had to go: no higher one comes in again

    def offer(self, key, rows, size, label):
        """(whether the call is kept, labels of those that are dropped for it).

        A key that is held already is not kept twice.
        """
        if key in self._keys or size > self.size:
            return False, []
        call = key, frozenset(rows), size, label
        first = not self._keys or (len(self._rows) * 4 < self.images and self._held * 4 < self.size)
        if not first and self._ceiling is not None and key >= self._ceiling:
            return False, []
        self._add(call)
        if not first or (self._over() and len(self._keys) > 1):
            insort(self._rest, call)
        dropped = []
        while self._rest and self._over():
            dropped.append(self._drop())
        return label not in dropped, [other for other in dropped if other != label]

    def _over(self):
        return len(self._rows) > self.images or self._held > self.size

    def _add(self, call):
        key, rows, size, _ = call
        self._keys.add(key)
        self._rows.update(rows)
        self._held += size

    def _drop(self):
        key, rows, size, label = self._rest.pop()
        self._keys.discard(key)
        self._rows -= Counter(rows)  # images that no call has left are gone
        self._held -= size
        self._ceiling = key if self._ceiling is None else min(self._ceiling, key)
        return label
