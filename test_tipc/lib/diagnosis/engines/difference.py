"""How far the outputs of two runs of the exported model are apart, and how far they may be."""

from dataclasses import dataclass, field

from agreement import limits
from agreement.boxes import Pairs, is_boxes, split
from agreement.limits import Spread

_LAST_BITS = 2.0**-21  # of a float32: four units in the last place


@dataclass
class Output:
    """One output of the model, over all samples: floats, or whole numbers, or boxes."""

    largest: float = 0.0  # difference of floats
    scale: float = 0.0
    different: int = 0  # whole numbers
    total: int = 0
    pairs: Pairs = field(default_factory=lambda: Pairs(limits.ENGINE))
    shapes: str = ""
    spread: Spread = field(default_factory=Spread)

    @property
    def share(self):
        """The part of the whole numbers that differs."""
        return self.different / self.total if self.total else 0.0


class Difference:
    """Of two lists of outputs, one list of arrays for each sample; `images` says how many each sample has.

    `magnified`: a `Difference` that rounding alone makes, of the same samples, already enlarged (see sensitivity.py):
    no stage is blamed for less.
    """

    def __init__(self, expected, found, images, magnified=None):
        self.magnified = magnified
        self.outputs = [Output() for _ in expected[0]]
        for row, (first, second) in enumerate(zip(expected, found)):
            if len(first) != len(second):
                self.outputs[0].shapes = f"{len(second)} outputs, and {len(first)} in strict mode"
                continue
            for number, output in enumerate(self.outputs):
                _add(output, number, first, second, images[row], row)

    def limit(self, number):
        """The difference that is allowed in an output of floats: at most half of what different images differ by,
        but for rounding."""
        return max(self._usual(number), self.magnified.outputs[number].largest if self.magnified else 0.0)

    def _usual(self, number):
        output = self.outputs[number]
        allowed, spread = limits.ENGINE * max(1.0, output.scale), output.spread.largest
        # outputs that hardly depend on the image are not held to less than their own last bits
        return min(allowed, max(spread / 2, _LAST_BITS * output.scale)) if spread else allowed

    @property
    def is_widened(self):
        """Whether rounding allows more than the usual tolerance."""
        return any(self.limit(number) > self._usual(number) for number in range(len(self.outputs)))

    @property
    def worst(self):
        """The output whose difference is the largest share of what is allowed."""
        return max(range(len(self.outputs)), key=lambda number: self.outputs[number].largest / self.limit(number))

    @property
    def largest(self):
        """The largest difference in it; of boxes, where there are no other floats."""
        return max(self.outputs[self.worst].largest, *(one.pairs.largest for one in self.outputs))

    @property
    def allowed(self):
        return self.limit(self.worst)

    @property
    def shapes(self):
        """What is wrong with the shapes, "" where they are equal."""
        return next((one.shapes for one in self.outputs if one.shapes), "")

    @property
    def fault(self):
        """What is beyond the tolerance, in words; "" where nothing is."""
        for number, output in enumerate(self.outputs):
            rounding = self.magnified.outputs[number] if self.magnified else Output()
            if output.shapes:
                return output.shapes
            if output.largest > self.limit(number):
                return f"the largest difference is {output.largest:.3g}, of at most {self.limit(number):.3g}"
            if output.share > max(limits.ELEMENTS, rounding.share):
                return f"{output.different:,} of {output.total:,} elements of an integer output differ"
            if output.pairs.unmatched > rounding.pairs.unmatched:
                return f"{output.pairs.unmatched} boxes without a partner"
        return ""

    @property
    def words(self):
        """The figures, for a line."""
        largest = f"largest difference {self.outputs[self.worst].largest:.3g} ({self._tolerance})"
        return ", ".join([*([largest] if self._has_floats else []), *self._counts])

    @property
    def words_beyond(self):
        """The same beside the largest difference."""
        return ", ".join([*([self._tolerance] if self._has_floats else []), *self._counts])

    @property
    def _has_floats(self):
        return any(one.scale or one.largest for one in self.outputs)

    @property
    def _tolerance(self):
        return f"at most {self.allowed:.3g} allowed"

    @property
    def _counts(self):
        whole = [one for one in self.outputs if one.total]
        return [
            *(one.pairs.words for one in self.outputs if one.pairs.boxes),
            *(f"{one.different:,} of {one.total:,} elements of an integer output differ" for one in whole),
        ]


def _add(output, number, expected, found, images, row):
    first, second = expected[number], found[number]
    if is_boxes(first) and is_boxes(second) and (first.ndim == 3 or len(expected) == 1 or _counts(expected, images)):
        lists = split(first, expected, images), split(second, found, images)
        for own, others in zip(*(lists if len(lists[0]) == len(lists[1]) else ([first], [second]))):
            output.pairs.add(own, others)
        return
    if limits.squeezed(first.shape) == limits.squeezed(second.shape):
        second = second.reshape(first.shape)
    if first.shape != second.shape:
        if not _counts([first], images) or not any(map(is_boxes, expected)):
            output.shapes = f"an output is {list(second.shape)}, and {list(first.shape)} in strict mode"
        return
    if first.dtype.kind != "f":
        if not (_counts([first], images) and any(map(is_boxes, expected))):  # it counts the boxes, which are paired
            output.total += first.size
            output.different += int((first != second).sum())
        return
    output.largest = max(output.largest, limits.largest_difference(first, second))
    output.scale = max(output.scale, limits.scale(first))
    for place, part in enumerate(first if first.ndim and len(first) == images else [first]):
        output.spread.add((row, place), part)


def _counts(arrays, images):
    """Whether one of them is whole numbers, one for each image."""
    return any(array.dtype.kind in "iu" and array.size == images for array in arrays)
