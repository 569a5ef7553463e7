"""All outputs of one model from two programs: how far apart are they, and is that allowed?"""

import numpy as np

from agreement import limits
from agreement.boxes import Pairs, is_boxes, split
from agreement.dead import constant_words
from agreement.embeddings import Embeddings, is_embeddings
from agreement.limits import Spread

_FEW = 1000  # an integer output with fewer elements has to be equal


class Outputs:
    """The outputs of one model, batch by batch; `limit` is absolute for numbers up to 1, else a share of the largest.

    `largest` is the largest difference as such a share, `at` says where it is, `fault` what is wrong, or "".
    """

    def __init__(self, names, limit):
        self.names, self.limit = names, limit
        self.images, self.largest, self.at, self.faults = 0, 0.0, "", []
        self._spreads, self._used = {}, 0
        self._boxes, self._embeddings = {}, {}

    def add(self, expected, found, keys):
        """Compare one batch: lists of arrays, one of each output; `keys` are those of its images."""
        first = self.images + 1
        self.images += len(keys)
        for place, (name, reference, output) in enumerate(zip(self.names, expected, found)):
            self._add(place, name, first, expected, reference, found, output, keys)

    def _add(self, place, name, first, expected, reference, found, output, keys):
        where = f"images {first} to {first + len(keys) - 1}" if len(keys) > 1 else f"image {first}"
        if is_boxes(reference) and is_boxes(output):
            self._add_boxes(name, where, split(reference, expected, len(keys)), split(output, found, len(keys)))
        elif reference.shape != output.shape:
            self._blame(f"{where}: output '{name}': expected {list(reference.shape)}, found {list(output.shape)}")
            return
        elif reference.dtype.kind in "iub":
            self._add_whole(name, where, reference, output)
        else:
            self._add_numbers(name, first, reference, output, keys)
        if output.ndim and len(output) == len(keys):
            for key, part in zip(keys, output):
                self._spreads.setdefault(place, Spread()).add(key, part)

    def _add_boxes(self, name, where, reference, output):
        pairs = self._boxes.setdefault(name, Pairs(self.limit))
        for own, other in zip(reference, output):
            pairs.add(own.reshape(-1, 6), other.reshape(-1, 6))
        self._used += pairs.boxes
        self._see(pairs.largest, f"{where}, boxes '{name}'")
        if pairs.unmatched:
            self._blame(f"{where}: boxes '{name}': {pairs.words}")

    def _add_whole(self, name, where, reference, output):
        self._used += reference.size
        apart = np.asarray(reference != output)
        share = float(apart.mean()) if apart.size else 0.0
        if share > (limits.ELEMENTS if apart.size >= _FEW else 0.0):
            at = np.unravel_index(int(apart.argmax()), apart.shape)
            self._blame(
                f"{where}: output '{name}': {int(apart.sum())} of {apart.size} whole numbers differ, "
                f"at {list(map(int, at))} expected {reference[at]}, found {output[at]}"
            )

    def _add_numbers(self, name, first, reference, output, keys):
        self._used += reference.size
        scale = max(1.0, limits.scale(reference))
        apart = limits.largest_difference(reference, output) / scale
        at = _where(reference, output, first, len(keys))
        self._see(apart, f"output '{name}', {at}")
        if apart > self.limit:
            self._blame(f"output '{name}', {at}")
        elif is_embeddings(reference) and len(reference) == len(keys):
            self._embeddings.setdefault(name, Embeddings(self.limit * scale)).add(keys, reference, output)
        elif limits.is_scores(reference):
            for row, (one, other) in enumerate(zip(reference, output)):
                if not limits.same_top(one, other, self.limit * scale):
                    best = int(one.argmax()), int(other.argmax())
                    self._blame(
                        f"image {first + row}: output '{name}': other best classes: expected {best[0]} "
                        f"({one[best[0]]:.6g}), found {best[1]} ({other[best[1]]:.6g})"
                    )

    def _see(self, apart, at):
        if apart >= self.largest:
            self.largest, self.at = apart, at

    def _blame(self, fault):
        self.faults.append(fault)

    @property
    def fault(self):
        """What is wrong, "" where all agree."""
        if self.faults:
            return self.faults[0]
        if not self._used:
            return "no output had anything to compare"
        for name, vectors in self._embeddings.items():
            if vectors.fault:
                return f"output '{name}': {vectors.fault}"
        return constant_words(self._spreads.values())

    @property
    def words(self):
        """The figures, for a line."""
        boxes = "".join(f", {one.words}" for one in (*self._boxes.values(), *self._embeddings.values()))
        count = len(self.names)
        outputs = "1 output" if count == 1 else f"{count} outputs"
        limit = f"{self.limit:.1e}".replace(".0e", "e")
        return (
            f"largest difference {self.largest:.2g} (at most {limit} allowed), {self.images} images, {outputs}{boxes}"
        )


def _where(reference, output, first, images):
    """The image, the place and both values of the largest difference."""
    if not reference.size:
        return f"image {first}"
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(np.abs(reference.astype(np.float64) - output), nan=np.inf)
    at = tuple(map(int, np.unravel_index(int(apart.argmax()), apart.shape)))
    values = f"expected {float(reference[at]):.6g}, found {float(output[at]):.6g}"
    if reference.ndim and len(reference) == images:
        are_classes = limits.is_scores(reference) and not is_embeddings(reference)
        place = f"class {at[1]}" if are_classes else f"at {list(at[1:])}"
        return f"image {first + at[0]}, {place}: {values}"
    return f"images from {first} on, at {list(at)}: {values}"
