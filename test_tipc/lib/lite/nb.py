"""Read an optimised model of Paddle Lite (`.nb`) without running it: which kernels it needs, and its weights.

The layout (lite/model_parser/model_parser.cc, meta_version 2): uint16 2; char[16] version of opt; uint64 length of the
structure; the structure, a FlatBuffer `ProgramDesc`; then uint16 0; uint16 0; uint16 bytes of the next header, which
has the number of weights (uint16) and the largest size (uint32); and for each weight uint32 bytes that follow, uint32
bytes before its FlatBuffer `ParamDesc`. The tables are those of lite/model_parser/flatbuffers/{framework,param}.fbs.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from script import UserError

_KERNEL = "__@kernel_type_attr@__"  # attribute of an operator: operator/alias/target/precision/layout
_TARGETS = ("?", "host", "x86", "cuda", "arm", "opencl", "any", "fpga", "npu", "xpu")  # lite/api/paddle_place.h
_DTYPES = {
    0: "bool",
    1: "int16",
    2: "int32",
    3: "int64",
    4: "float16",
    5: "float32",
    6: "float64",
    20: "uint8",
    21: "int8",
}


class Kernel(NamedTuple):
    """An operator, and what its implementation runs on: `host` is plain C++, which every build of Paddle Lite has."""

    operator: str
    target: str


class Optimised(NamedTuple):
    """The content of a `.nb` file; `weights` is {name: array}."""

    version: str
    kernels: list
    weights: dict

    @property
    def targets(self):
        """What it was optimised for, besides `host`: ["arm"], ["x86"], or [] where it has nothing but host kernels."""
        return sorted({kernel.target for kernel in self.kernels} - {"host"})


def read_nb(path):
    """The `Optimised` in the file at `path`; UserError when it is no such file, or damaged or cut."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if content[:2] != b"\2\0":
        raise UserError(f"{path}: expected a model that Paddle Lite's opt wrote (.nb), found something else")
    try:
        version, (length,) = content[2:18].split(b"\0")[0].decode(), struct.unpack_from("<Q", content, 18)
        end = 26 + length
        if end > len(content):
            raise ValueError
        return Optimised(version, _kernels(content[26:end]), _weights(content, end))
    except (struct.error, ValueError, IndexError, KeyError):
        raise UserError(f"{path}: damaged or cut: its {len(content)} bytes are not a whole model") from None


def _kernels(structure):
    found = []
    for block in _root(structure).tables(0):
        for operator in block.tables(3):
            kinds = [attribute.text(4) for attribute in operator.tables(3) if attribute.text(0) == _KERNEL]
            target = int(kinds[0].split("/")[2]) if kinds else 0
            found.append(Kernel(operator.text(0), _TARGETS[target] if target < len(_TARGETS) else str(target)))
    if not found:
        raise ValueError
    return found


def _weights(content, at):
    version, extra = struct.unpack_from("<HH", content, at)
    at += 4 + extra
    header, count = struct.unpack_from("<HH", content, at)
    at += 2 + header
    weights = {}
    if version:
        raise ValueError
    for _ in range(count):
        size, offset = struct.unpack_from("<II", content, at)
        end = at + 4 + size
        if end > len(content) or offset > size:
            raise ValueError
        parameter = _root(content[at + 4 + offset : end])
        tensor = parameter.table(3)
        dtype = _DTYPES[tensor.number(3, "<i")]
        weights[parameter.text(1)] = np.frombuffer(tensor.vector(4, 1), dtype).reshape(
            np.frombuffer(tensor.vector(2, 8), "<i8")
        )
        at = end
    if at != len(content):
        raise ValueError
    return weights


class _Table:
    """A table of a FlatBuffer (https://flatbuffers.dev/internals): its fields by their numbers in the schema."""

    def __init__(self, data, at):
        self._data, self._at = data, at
        self._vtable = at - self._read("<i", at)

    def number(self, field, form):
        place = self._place(field)
        return self._read(form, place) if place else 0

    def text(self, field):
        return bytes(self.vector(field, 1)).decode()

    def table(self, field):
        return _Table(self._data, self._target(self._place(field)))

    def tables(self, field):
        start, count = self._vector(field)
        return [_Table(self._data, self._target(start + 4 * number)) for number in range(count)]

    def vector(self, field, size):
        """The bytes of a vector whose elements have `size` bytes."""
        start, count = self._vector(field)
        if start + count * size > len(self._data):
            raise ValueError
        return self._data[start : start + count * size]

    def _vector(self, field):
        place = self._place(field)
        if not place:
            return 0, 0
        at = self._target(place)
        return at + 4, self._read("<I", at)

    def _place(self, field):
        """Where the field is, 0 where it has its default value."""
        slot = 4 + 2 * field
        offset = self._read("<H", self._vtable + slot) if slot < self._read("<H", self._vtable) else 0
        return self._at + offset if offset else 0

    def _target(self, place):
        return place + self._read("<I", place)

    def _read(self, form, at):
        if at < 0:  # struct would count from the end
            raise ValueError
        return struct.unpack_from(form, self._data, at)[0]


def _root(data):
    return _Table(data, struct.unpack_from("<I", data)[0])
