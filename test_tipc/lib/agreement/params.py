"""The weights of an exported model, read from its weights file without Paddle.

`inference.pdiparams` is tensors one after the other: uint32 0; uint64 number of levels of detail (0 here); uint32 0;
int32 length of a protobuf message `VarType.TensorDesc` (field 1: data type, field 2: sides); the message; the numbers,
little-endian (paddle/phi/core/framework/dense_tensor_serialize.cc). Names are not in it; shape, type and hash are
enough to find a tensor in a network. The file `.pdiparams.info`, a pickle, is not opened.
"""

import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

from script import UserError

_TYPES = {  # VarType.Type of paddle/fluid/framework/framework.proto: NumPy's name and bytes per number
    0: ("bool", 1),
    1: ("int16", 2),
    2: ("int32", 4),
    3: ("int64", 8),
    4: ("float16", 2),
    5: ("float32", 4),
    6: ("float64", 8),
    20: ("uint8", 1),
    21: ("int8", 1),
    22: ("bfloat16", 2),
    23: ("complex64", 8),
    24: ("complex128", 16),
}


_PIECE, _PIECES = 256, 8  # bytes of a tensor that are searched, and how many tensors


class Weight(NamedTuple):
    """One tensor: equal ones are the same weight."""

    shape: tuple
    dtype: str
    hash: str


def digest(data):
    """The hash that recordings have: blake2b with 128 bits, 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def read_weights(path):
    """The list of `Weight`s of a weights file; UserError when it cannot be read, is damaged or cut."""
    return [Weight(shape, dtype, digest(data)) for shape, dtype, data in read_tensors(path)]


def read_tensors(path):
    """The list of (shape, NumPy's name of the type, bytes) of the tensors of a weights file; errors as above."""
    try:
        content = memoryview(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    tensors, at = [], 0
    while at < len(content):
        try:
            tensor, at = _tensor(content, at)
        except (struct.error, IndexError, KeyError, ValueError):
            raise UserError(f"{path}: not the weights of an exported model, or damaged, at byte {at}") from None
        tensors.append(tensor)
    return tensors


def is_any_in(params, file):
    """Whether a file of trained weights holds the bytes of a tensor of the weights file `params`.

    The file is searched, never unpickled. None where that says nothing: a pickle of protocol 2 spells bytes otherwise,
    and tensors that are small, or of few values, are in any file.
    """
    try:
        content = Path(file).read_bytes()
    except OSError:
        return None
    if not content.startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return None
    pieces = [bytes(data[:_PIECE]) for _, _, data in read_tensors(params) if len(data) >= _PIECE]
    pieces = [piece for piece in pieces if len(set(piece)) >= _PIECE // 4][:_PIECES]
    return any(piece in content for piece in pieces) if pieces else None


def _tensor(content, at):
    version, levels, tensor_version, length = struct.unpack_from("<IQ", content, at) + struct.unpack_from(
        "<Ii", content, at + 12
    )
    at += 20
    if version or levels or tensor_version or length < 2 or at + length > len(content):
        raise ValueError
    code, shape = _description(content[at : at + length])
    dtype, size = _TYPES[code]
    at += length
    for side in shape:
        size *= side
    end = at + size
    if end > len(content):
        raise ValueError
    return (tuple(shape), dtype, content[at:end]), end


def _description(message):
    code, shape, at = None, [], 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key == 0x08:
            code = value
        elif key == 0x10:
            shape.append(value)
        elif key == 0x12:  # the same sides, packed; `value` is their length
            stop = at + value
            while at < stop:
                side, at = _varint(message, at)
                shape.append(side)
        else:
            raise ValueError
    return code, shape


def _varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
