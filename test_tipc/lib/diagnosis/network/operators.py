"""The first operator of the exported program whose output is none that the trained network computed.

Every output of the program is looked for among the network's: by its bits, else within the limit. What an output that
was found was made of is right, too, unless the network's operator with the same parameter, or the next one in its
order, is of the same kind and gave something else: a saturated activation hides much, and outputs that are the same
number everywhere prove nothing. The first operator that is neither parts from the network. Its counterpart is the
network's operator with the same parameter, else the next one of its kind and shape, else of its shape.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Optional

import numpy as np

from agreement import limits
from diagnosis.network.trace import Operator, difference

WINDOW = 60  # operators around the expected one that are compared number by number
# one function, with its names in the dynamic graph, in a `.json` and in a `.pdmodel`
_KINDS = {
    "elementwise_add": "add", "__add__": "add", "__radd__": "add", "elementwise_sub": "subtract",
    "__sub__": "subtract", "__rsub__": "subtract", "elementwise_mul": "multiply", "__mul__": "multiply",
    "__rmul__": "multiply", "elementwise_div": "divide", "__truediv__": "divide", "__rtruediv__": "divide",
    "elementwise_pow": "pow", "__pow__": "pow", "matmul_v2": "matmul", "__matmul__": "matmul", "mul": "matmul",
    "hard_swish": "hardswish", "hard_sigmoid": "hardsigmoid", "reduce_mean": "mean", "reduce_sum": "sum",
    "reduce_max": "max", "flatten_contiguous_range": "flatten", "lookup_table": "embedding", "top_k": "topk",
    "elementwise_mod": "remainder", "__mod__": "remainder", "elementwise_floordiv": "floor_divide",
    "__floordiv__": "floor_divide", "elementwise_max": "maximum", "elementwise_min": "minimum", "__eq__": "equal",
    "__ne__": "not_equal", "__gt__": "greater_than", "__ge__": "greater_equal", "__lt__": "less_than",
    "__le__": "less_equal", "depthwise_conv2d": "conv2d", "_getitem_dygraph": "slice",
    "fill_constant": "full",
}  # fmt: skip

_SIZED = ("slice", "strided_slice", "full", "shape", "cast", "assign")  # a program has more of them than the network
_WITH_NUMBER = ("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__")


def kind_of(operator):
    """The function that an operator computes, whatever the program calls it: `conv2d`, `add`."""
    name = operator.type
    if name in _WITH_NUMBER and not all(isinstance(one, dict) for one in operator.arguments):
        return "scale"  # of a tensor and a number, a program makes scale x + bias
    if name not in _KINDS:
        name = name.rstrip("_")
        name = name[:-1] if name[-1:].isdecimal() and name[:-1] in ("reshape", "transpose", "squeeze", "unsqueeze",
                                                                   "expand_v", "flatten") else name  # fmt: skip
        name = name.removesuffix("_v2")
    return _KINDS.get(name, name)


@dataclass
class Parting:
    """Where two traces part.

    `operator` is the program's first one that is not the network's, `counterpart` what the network has there, either of
    them None where one ends; `share` is their largest difference as a share of the scale, and `values` are those of the
    network and of the program at that place. `curve` is [(number of the program's operator, share)] of all of them.
    """

    operator: Optional[Operator]
    counterpart: Optional[Operator]
    share: float
    values: Optional[tuple]  # (expected, found)
    curve: list


class Comparison:
    """The traces of one call: `network` of the dynamic network, `program` of the export; `limit` is a share of an
    output's scale."""

    def __init__(self, network, program, limit=limits.REWRITTEN):
        self.network, self.program, self.limit = network, program, limit
        self._by_hash, self._by_shape = {}, {}
        for operator in network.operators:
            for place, output in enumerate(operator.outputs):
                self._by_hash.setdefault((output.hash, output.size), []).append((operator.number, place))
                self._by_shape.setdefault(tuple(limits.squeezed(output.shape)), []).append((operator.number, place))
        self._writers = {
            output.name: operator.number for operator in program.operators for output in operator.outputs
        }  # the last writer
        self._depends = self._dependent()
        self.found = {}  # number of a program's operator: that of the network's with its output
        self._find()

    def _dependent(self):
        """The numbers of the operators that depend on an input of the program."""
        depends = set()
        for operator in self.program.operators:
            for one in operator.inputs:
                writer = self._writers.get(one["name"])
                is_fed = writer is None and not one.get("parameter")
                if is_fed or writer in depends:
                    depends.add(operator.number)
        return depends

    def _find(self):
        expected = 0  # the network's operators run in the same order, as far as they are the same
        for operator in self.program.operators:
            if operator.number not in self._depends:
                continue
            for place, output in enumerate(operator.outputs):
                match = self._match(operator, place, output, expected) if output.size else None
                if match is not None:
                    self.found[operator.number] = expected = match
                    break

    def _match(self, operator, place, output, expected):
        equal = [number for number, _ in self._by_hash.get((output.hash, output.size), ())]
        alike = [number for number in equal if kind_of(self.network.operators[number]) == kind_of(operator)]
        if len(alike) < len(equal) and self._is_flat(operator, place):  # zeros, for example, are found in many places
            equal = alike
        if equal:
            return next((number for number in equal if number >= expected), equal[-1])
        if self._is_flat(operator, place):
            return None
        near = self._by_shape.get(tuple(limits.squeezed(output.shape)), ())
        for number, where in near:
            if abs(number - expected) <= WINDOW:
                reference = self.network.array(self.network.operators[number], where)
                if difference(reference, self.program.array(operator, place)) <= self.limit:
                    return number
        return None

    @property
    def parting(self):
        """The `Parting`; None where every operator of both is the other's."""
        harmless = self._harmless()
        judged = (one for one in self.program.operators if one.number in self._depends and _has_output(one))
        bad = next((one for one in judged if one.number not in harmless or self._is_other(one)), None)
        if bad is None:
            rest = self._rest()
            return rest and Parting(None, rest, 1.0, None, self._curve())
        counterpart = self._counterpart(bad)
        share, values = self._apart(counterpart, bad)
        return Parting(bad, counterpart, share, values, self._curve())

    def _is_flat(self, operator, place):
        """Whether all numbers of an output are the same one."""
        array = self.program.array(operator, place)
        return bool((array == array[:1]).all())

    def _is_other(self, operator):
        """Whether the network's operator with the same parameters, or the next one in its order, is of the same kind
        and gave another output."""
        if operator.number in self.found:
            return False
        partners = self._behind(operator)
        if operator.parameters:
            partners = [one for one in self.network.operators if operator.parameters <= one.parameters]
        partner = next(iter(partners), None)
        if partner is None or kind_of(partner) != kind_of(operator) or kind_of(operator) in _SIZED:
            return False
        found = self.program.array(operator, main_output(operator))
        return difference(self.network.array(partner, 0), found) > self.limit

    def _harmless(self):
        """The numbers of the operators whose output was found, and of all that those were made of."""
        harmless, left = set(self.found), list(self.found)
        while left:
            for one in self.program.operators[left.pop()].inputs:
                writer = self._writers.get(one["name"])
                if writer is not None and writer not in harmless:
                    harmless.add(writer)
                    left.append(writer)
        return harmless

    def _rest(self):
        """The network's first operator behind the last one that the program has, or None."""
        last = max(self.found.values(), default=-1)
        return next((one for one in self.network.operators[last + 1 :] if not self._is_in_program(one)), None)

    def _behind(self, operator):
        """The network's operators behind those that made the inputs of the program's, without those that it has."""
        behind = self.network.operators[self._before(operator, self.found) + 1 :]
        return [one for one in behind if not self._is_in_program(one)]

    def _is_in_program(self, operator):
        """Whether the program has the output of the network's operator somewhere."""
        return operator.number in self._taken or any((one.hash, one.size) in self._outputs for one in operator.outputs)

    @cached_property
    def _taken(self):
        return set(self.found.values())

    @cached_property
    def _outputs(self):
        return {(output.hash, output.size) for one in self.program.operators for output in one.outputs}

    def _before(self, operator, found):
        """The number of the network's operator that made the last input of the program's, -1 where none is known."""
        numbers, left, seen = [-1], [operator.number], set()
        while left:
            for one in self.program.operators[left.pop()].inputs:
                writer = self._writers.get(one["name"])
                if writer in found:
                    numbers.append(found[writer])
                elif writer is not None and writer not in seen:
                    seen.add(writer)
                    left.append(writer)
        return max(numbers)

    def _counterpart(self, operator):
        """The network's operator that the program's should be, or None."""
        if operator.parameters:
            for one in self.network.operators:
                if one.parameters & operator.parameters and one.number not in self._taken:
                    return one
        before, shape = self._before(operator, self.found), limits.squeezed(operator.outputs[0].shape)
        # x * 1 has the output of the operator before it, and is still the counterpart of x * 2
        next_ones = [one for one in self.network.operators[before + 1 : before + 3] if one.number not in self._taken]
        behind = self._behind(operator)
        fitting = [one for one in (*next_ones, *behind[:WINDOW]) if limits.squeezed(one.outputs[0].shape) == shape]
        of_kind = [one for one in fitting if kind_of(one) == kind_of(operator)]
        alike = [one for one in behind[:WINDOW] if limits.squeezed(one.outputs[0].shape) == shape]
        return next(iter((*of_kind[:1], *alike[:1], *behind[:1])), None)

    def _apart(self, counterpart, operator):
        """(difference as a share of the scale, (value of the network, value of the program)) of the main outputs."""
        if counterpart is None:
            return float("inf"), None
        if kind_of(counterpart) == "linear":
            operator = self._with_bias(operator, counterpart)
        first, second = self.network.array(counterpart, 0), self.program.array(operator, main_output(operator))
        share = difference(first, second)
        if first.size != second.size or not first.size:
            return share, None
        with np.errstate(invalid="ignore"):
            apart = np.nan_to_num(np.abs(first.astype(np.float64) - second), nan=np.inf)
        at = int(apart.argmax())
        return share, (float(first[at]), float(second[at]))

    def _with_bias(self, operator, linear):
        """The operator that adds the bias to the program's product, where the network has one function for both."""
        for one in self.program.operators[operator.number + 1 : operator.number + 3]:
            if kind_of(one) == "add" and one.parameters & linear.parameters:
                return one
        return operator

    @property
    def pairs(self):
        """[(number of the program's operator, number of the network's)] of all that have a counterpart."""
        paired = dict(self.found)
        for operator in self.program.operators:
            if operator.number in self._depends and _has_output(operator) and operator.number not in paired:
                other = self._next_alike(operator, paired)
                if other is not None:
                    paired[operator.number] = other
        return sorted(paired.items())

    def _curve(self):
        """[(number of the program's operator, share)]: 0.0 where all bits are equal."""
        shares = [(number, self._share(self.program.operators[number], other)) for number, other in self.pairs]
        return [(number, share) for number, share in shares if np.isfinite(share)]

    def _next_alike(self, operator, paired):
        """The number of the network's next operator of the same kind and size that has no partner yet, or None."""
        begin, taken = self._before(operator, paired) + 1, set(paired.values())
        for other in self.network.operators[begin : begin + WINDOW]:
            same = kind_of(other) == kind_of(operator) and other.outputs[0].size == operator.outputs[0].size
            if same and other.number not in taken:
                return other.number
        return None

    def _share(self, operator, number):
        hashes = {output.hash for output in self.network.operators[number].outputs}
        if any(output.hash in hashes for output in operator.outputs):
            return 0.0
        return difference(self.network.array(self.network.operators[number], 0),
                          self.program.array(operator, main_output(operator)))  # fmt: skip


def _has_output(operator):
    return any(output.size for output in operator.outputs)


def main_output(operator):
    """The place of the output with the most numbers: batch norm's statistics come before it."""
    return max(range(len(operator.outputs)), key=lambda place: operator.outputs[place].size)
