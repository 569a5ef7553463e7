"""Which tensor of a checkpoint is which of an exported model?

By the checkpoint's names of the program, or by the names that the export noted of the network, whichever fits; the
rest by equal numbers, and then by their order among those of one shape.
"""

import re
from collections import Counter, defaultdict
from typing import NamedTuple, Optional

import numpy as np

from agreement.params import Weight, digest, read_tensors
from diagnosis.weights.likeness import ALONE, Nearness, as_array, keys_of, nearness
from diagnosis.weights.names import network_names, program_names

_STATISTICS = re.compile(r"(?:^|[._])(?:running_)?(mean|var|variance)$")
_PROGRAM_STATISTICS = re.compile(r"batch_norm\w*\.w_([12])$")
_WORDS = {"mean": "mean", "var": "variance", "variance": "variance"}
_FIT = 0.5  # of the tensors that a list of names pairs: those of one shape, where it is the right list


class Tensor(NamedTuple):
    """A tensor of an exported model: `name` in its program, `noted` in the network, "" where they are not known."""

    name: str
    noted: str
    dtype: str
    array: np.ndarray
    key: Weight


def read_exported(exported):
    """[Tensor] of the exported model's weights file, in its order."""
    tensors = read_tensors(exported.params)
    names = program_names(exported.structure, [shape for shape, _, _ in tensors]) or [""] * len(tensors)
    noted = network_names(exported.params)
    return [
        Tensor(name, noted.get(name, ""), dtype, as_array(shape, dtype, data), Weight(shape, dtype, digest(data)))
        for name, (shape, dtype, data) in zip(names, tensors)
    ]


class Pair(NamedTuple):
    """An exported tensor and its partner: `name` in the checkpoint, None where it has none; `is_named`: names, and not
    only shapes, say so."""

    tensor: Tensor
    name: Optional[str]
    is_named: bool
    near: Nearness

    @property
    def label(self):
        """`fc.weight (linear_0.w_0)`."""
        names = [name for name in (self.name or self.tensor.noted, self.tensor.name) if name]
        if not names:
            return f"a tensor {list(self.tensor.array.shape)}"
        return names[0] if len(set(names)) == 1 else f"{names[0]} ({names[1]})"

    @property
    def statistic(self):
        """`mean` or `variance` of a batch norm, "" for another tensor."""
        roles = (_role(self.name or ""), _role(self.tensor.noted), _program_role(self.tensor.name))
        return next((role for role in roles if role in ("mean", "variance")), "")


def is_statistic(name):
    """Whether a checkpoint's name is that of a mean or variance of a batch norm."""
    return bool(_STATISTICS.search(name))


def pair_up(tensors, checkpoint, first=()):
    """[Pair] of each exported tensor with one of the `Checkpoint`; those whose names are in `first` are preferred."""
    arrays = {name: checkpoint.arrays[name] for name in (*first, *checkpoint.arrays) if name in checkpoint.arrays}
    keys = {name: keys_of(array) for name, array in arrays.items()}
    named = max(
        (_by_program(tensors, arrays, checkpoint.internal), _by_notes(tensors, arrays)),
        key=lambda partners: _fitness(partners, tensors, arrays, keys),
    )
    same = sum(arrays[name].shape == tensors[number].array.shape for number, name in named.items())
    partners = dict(named) if same >= _FIT * max(1, len(named)) else {}
    known = set(partners)
    _add_equal(partners, tensors, keys)
    _add_in_order(partners, tensors, arrays, lambda array, role: (array.shape, role))
    _add_in_order(partners, tensors, arrays, lambda array, role: array.shape)
    if len(tensors) == len(arrays):
        _add_in_order(partners, tensors, arrays, lambda array, role: (array.ndim, role))
    return [_pair(one, partners.get(number), number in known, arrays) for number, one in enumerate(tensors)]


def _pair(tensor, name, is_named, arrays):
    if name is None:
        return Pair(tensor, None, False, Nearness(ALONE))
    return Pair(tensor, name, is_named, nearness(arrays[name], tensor.dtype, tensor.array))


def _fitness(partners, tensors, arrays, keys):
    """A list of names is the better one, the more numbers are equal, and then the more shapes."""
    pairs = [(tensors[number], name) for number, name in partners.items()]
    return (
        sum(one.key in keys[name] for one, name in pairs),
        sum(one.array.shape == arrays[name].shape for one, name in pairs),
    )


def _by_program(tensors, arrays, internal):
    """{number of the exported tensor: name in the checkpoint} by the checkpoint's names of the program."""
    known = {}
    for name in arrays:
        if name in internal:
            known.setdefault(internal[name], name)
    return {number: known[one.name] for number, one in enumerate(tensors) if one.name and one.name in known}


def _by_notes(tensors, arrays):
    """The same by the names that the export noted; networks around the network add words in front of them."""
    found = {}
    for number, one in enumerate(tensors):
        fitting = [name for name in arrays if one.noted and _is_end_of(name, one.noted)]
        if fitting:
            found[number] = max(fitting, key=lambda name: (name == one.noted, len(name)))
    taken = Counter(found.values())
    return {number: name for number, name in found.items() if taken[name] == 1}


def _is_end_of(first, second):
    """Whether one of two names is the other, or its last words."""
    short, long = sorted((first, second), key=len)
    return long == short or long.endswith((f".{short}", f"/{short}"))


def _add_equal(partners, tensors, keys):
    free = defaultdict(list)
    taken = set(partners.values())
    for name in keys:
        for key in keys[name] if name not in taken else ():
            free[key].append(name)
    for number, one in enumerate(tensors):
        names = [name for name in free.get(one.key, ()) if name not in taken]
        if number not in partners and names:
            partners[number] = names[0]
            taken.add(names[0])


def _add_in_order(partners, tensors, arrays, kind_of):
    """Pair what is left, where as many of a kind are left on both sides: `kind_of(array, role)`."""
    left = defaultdict(lambda: ([], []))
    for number in sorted(range(len(tensors)), key=lambda number: _natural(tensors[number].name)):
        if number not in partners:
            left[kind_of(tensors[number].array, _program_role(tensors[number].name))][0].append(number)
    taken = set(partners.values())
    for name, array in arrays.items():
        if name not in taken:
            left[kind_of(array, _role(name))][1].append(name)
    for numbers, names in left.values():
        if len(numbers) == len(names):
            partners.update(zip(numbers, names))


def _role(name):
    """`bias`, `mean`, `variance` or `weight` of a name in a network."""
    match = _STATISTICS.search(name)
    return _WORDS[match[1]] if match else "bias" if name.endswith("bias") else "weight"


def _program_role(name):
    """The same of a name in a program: `linear_0.b_0` is a bias."""
    match = _PROGRAM_STATISTICS.search(name)
    return {"1": "mean", "2": "variance"}[match[1]] if match else "bias" if ".b_" in name else "weight"


def _natural(name):
    """`conv2d_10` is behind `conv2d_2`."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]


def holds_all(tensors, checkpoint):
    """Whether a checkpoint holds every exported tensor, whatever their names."""
    held = Counter()
    for array in checkpoint.arrays.values():
        held.update(set(keys_of(array)))
    return not Counter(one.key for one in tensors) - held
