"""Which output of the exported model is which of the network's, and what the export computes behind the network?

Exports append softmax, sigmoid, argmax or normalize to what the layer returns (PaddleSeg's argmax, PaddleClas's
softmax; normalize divides an embedding by its length). Every output of the layer, as it is and behind each of them, is
compared with every output of the export of its size; the pair that is equal for all images names what is there.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Optional

import numpy as np

from agreement import limits
from agreement.boxes import Pairs, is_boxes, split
from agreement.embeddings import Embeddings, is_embeddings
from agreement.rows import parts_of


class Step(NamedTuple):
    """What may be computed behind a network: a name, "" for nothing, and its axis."""

    name: str
    axis: int = -1

    def apply(self, array):
        """`array` after the step, computed by Paddle as in an export; integers of argmax are int64."""
        if not self.name:
            return array
        import paddle

        # the CPU computes none of them with half precision
        tensor = paddle.to_tensor(array.astype(np.float32) if array.dtype == np.float16 else array)
        if self.name == "argmax":
            return paddle.argmax(tensor, axis=self.axis).numpy()
        if self.name == "softmax":
            made = paddle.nn.functional.softmax(tensor, axis=self.axis)
        elif self.name == "normalize":
            made = tensor / paddle.sqrt(paddle.sum(tensor * tensor, axis=self.axis, keepdim=True))
        else:
            made = paddle.nn.functional.sigmoid(tensor)
        return made.numpy().astype(array.dtype)

    def fits(self, array, output):
        """Whether `output` has the type and shape that the step makes of `array`, sides of 1 left out."""
        if not self.name:
            same = limits.squeezed(array.shape) == limits.squeezed(output.shape) and _kind(array) == _kind(output)
            return same or (array.ndim == output.ndim == 2 and is_boxes(array) and is_boxes(output))
        if _kind(array) != "f" or array.ndim < 2 or self.axis >= array.ndim:
            return False
        if self.name == "argmax":
            rest = np.delete(np.asarray(array.shape), self.axis)
            return output.dtype.kind == "i" and limits.squeezed(rest) == limits.squeezed(output.shape)
        if self.name == "normalize" and not (array.ndim == 2 and is_embeddings(output)):
            return False
        return _kind(output) == "f" and limits.squeezed(array.shape) == limits.squeezed(output.shape)


NOTHING = Step("")
STEPS = (NOTHING, Step("softmax"), Step("softmax", 1), Step("sigmoid"), Step("argmax"), Step("argmax", 1),
         Step("normalize"))  # fmt: skip


def _kind(array):
    return "i" if array.dtype.kind in "iu" else array.dtype.kind


def steps_for(array, output):
    """The steps that may lead from `array` to `output`; no step twice."""
    return [
        step for step in STEPS
        if step.fits(array, output) and not (step.axis == 1 and array.ndim == 2)
    ]  # fmt: skip


@dataclass
class Match:
    """How an output of the layer, behind a step, equals one of the export over all images."""

    position: int
    step: Step
    limit: float
    equal: dict = field(default_factory=dict)  # {key of the image: whether all bits are equal}
    largest: float = 0.0  # difference
    share: float = 0.0  # the same of the output's scale
    tops: int = 0  # images with another top-5
    scored: bool = False  # whether there are classes at all
    elements: int = 0  # of integer maps, those that differ
    total: int = 0
    nan: bool = False
    is_empty: bool = True  # a list of nothing: no image has a box
    boxes: Optional[Pairs] = None
    embeds: bool = False  # whether its rows are declared to be embeddings
    embeddings: Optional[Embeddings] = None

    def add(self, call, keys, expected, output, outputs):
        """Count one call; `expected` is what the layer gave, behind the step; `outputs` are all of the export's."""
        if is_boxes(expected) and is_boxes(output):
            self._add_boxes(call, keys, expected, output, outputs)
            return
        self.is_empty = self.is_empty and output.dtype.kind == "f" and not output.size
        expected = expected.reshape(output.shape)
        if output.dtype.kind in "iu" and expected.dtype.kind in "iu":
            expected = expected.astype(output.dtype)
        self._count_bits(call, keys, expected, output)
        self.nan = self.nan or (output.dtype.kind == "f" and bool(np.isnan(output).any()))
        if output.dtype.kind != "f":
            self.total += output.size
            self.elements += int((expected != output).sum())
            return
        largest, scale = limits.largest_difference(expected, output), limits.scale(expected)
        self.largest = max(self.largest, largest)
        self.share = max(self.share, largest / scale if scale and largest else largest)
        if is_embeddings(output, self.embeds) and len(output) == len(keys):
            self.embeddings = self.embeddings or Embeddings(self.limit)
            self.embeddings.add(keys, expected, output)
        elif limits.is_scores(output):
            self.scored = True
            self.tops += sum(not limits.same_top(a, b, self.limit * scale) for a, b in zip(expected, output))

    def _add_boxes(self, call, keys, expected, output, outputs):
        self.boxes = self.boxes or Pairs(self.limit)
        lists = split(expected, outputs, call.images), split(output, outputs, call.images)
        if len(lists[0]) != len(lists[1]):
            lists = [expected], [output]
        for own, found in zip(*lists):
            self.boxes.add(own, found)
        self.largest = self.share = self.boxes.largest
        self.is_empty = not self.boxes.boxes
        for key in keys:
            self.equal[key] = self.equal.get(key, True) and limits.same_bits(expected, output)

    def _count_bits(self, call, keys, expected, output):
        pairs = parts_of(expected, call), parts_of(output, call)
        if None in pairs:  # all images of the call at once
            pairs = [expected] * len(keys), [output] * len(keys)
        for key, first, second in zip(keys, *pairs):
            self.equal[key] = self.equal.get(key, True) and limits.same_bits(first, second)

    @property
    def is_bitwise(self):
        return all(self.equal.values())

    @property
    def is_near(self):
        """Whether the difference is within the limit, with the same best classes or nearest neighbours."""
        if self.embeddings and self.embeddings.fault:
            return False
        unmatched = self.boxes.unmatched if self.boxes else 0
        few = self.elements <= limits.ELEMENTS * self.total
        return self.share <= self.limit and not self.tops and not unmatched and few

    @property
    def order(self):
        """The best match is the least."""
        unequal = sum(not equal for equal in self.equal.values())
        return unequal, not self.is_near, self.elements / max(self.total, 1), self.share, self.step != NOTHING


class Matches:
    """The `Match`es of all outputs of the exported model over all calls.

    Those of evaluate and of predict are apart: one may have softmax in its network, and the other behind it.
    """

    def __init__(self, names, limit, embeds=False):
        self.names, self.limit, self.embeds, self.shapes = names, limit, embeds, ""
        self._sources = {}  # {source: [{(position, step): Match} of each output of the export]}

    def add(self, source, call, keys, expected, outputs):
        """Count one call: `expected` are the layer's outputs, `outputs` the exported model's."""
        sides = [", ".join(str(list(array.shape)) for array in arrays[:4]) for arrays in (outputs, expected)]
        self.shapes = f"{sides[0]}, and {sides[1]}"
        made = {}  # a step of an output is computed once
        known = self._sources.setdefault(source, [None] * len(self.names))
        for number, output in enumerate(outputs):
            fitting = {(p, step) for p, array in enumerate(expected) for step in steps_for(array, output)}
            if known[number] is None:
                known[number] = {key: Match(*key, self.limit, embeds=self.embeds) for key in sorted(fitting)}
            found = known[number]
            for key in [key for key in found if key not in fitting]:
                del found[key]  # another shape
            for (position, step), match in found.items():
                if (position, step) not in made:
                    made[position, step] = step.apply(expected[position])
                match.add(call, keys, made[position, step], output, outputs)
            if any(match.is_bitwise for match in found.values()):
                known[number] = {key: match for key, match in found.items() if match.is_bitwise}

    def best(self, source):
        """[best `Match` or None] for each output of the export."""
        known = self._sources.get(source, ())
        return [min(found.values(), key=lambda one: one.order) if found else None for found in known]

    def of(self, source):
        """The best `Match`es that count: an output of the export that has only the shape of what another one is equal
        to has no counterpart of its own."""
        best = [match for match in self.best(source) if match]
        taken = {match.position for match in best if match.is_near}
        return [match for match in best if match.is_near or match.position not in taken]

    @property
    def counted(self):
        """The same of all sources."""
        return [match for source in self._sources for match in self.of(source)]

    @property
    def unmatched(self):
        """How many outputs of the export have no counterpart, in the source where they are most."""
        return max(len(self.names) - len(self.of(source)) for source in self._sources)

    @property
    def is_normalized(self):
        """Whether all that differ in a bit are embeddings that the export divides by their length: there are several
        ways to compute it."""
        return all(match.is_bitwise or match.step.name == "normalize" for match in self.counted)

    @property
    def is_bitwise(self):
        return bool(self.counted) and all(match.is_bitwise for match in self.counted)
