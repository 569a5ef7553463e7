"""Paddle's binary form of one tensor, which its weights files consist of: one per file, or many one after the other.

A tensor is: uint32 0; uint64 number of levels of detail (0 here); uint32 0; int32 length of a protobuf message
`VarType.TensorDesc` (field 1: data type, field 2: dimensions); the message; the numbers, little-endian
(paddle/fluid/framework/lod_tensor.cc and tensor_util.cc). Nothing in such a file can be executed.
"""

import struct
from pathlib import Path

import numpy as np

from ppcls_lite.utils.errors import UserError

_DTYPES = {  # VarType.Type of paddle/fluid/framework/framework.proto
    0: np.bool_,
    1: np.int16,
    2: np.int32,
    3: np.int64,
    4: np.float16,
    5: np.float32,
    6: np.float64,
    20: np.uint8,
    21: np.int8,
}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}


class _Damaged(Exception):
    pass


def write_tensor(stream, array):
    """Append `array` to the binary `stream`; numbers of a kind that Paddle does not have raise ValueError."""
    if array.dtype not in _CODES:
        raise ValueError(f"a Paddle tensor cannot hold {array.dtype}")
    message = b"\x08" + _varint(_CODES[array.dtype])
    message += b"".join(b"\x10" + _varint(side) for side in array.shape)
    stream.write(struct.pack("<IQIi", 0, 0, 0, len(message)) + message)
    stream.write(np.ascontiguousarray(array).tobytes())


def tensor_bytes(content, start=0):
    """(array, end) of the tensor that begins at byte `start` of `content`; raises UserError when it is damaged."""
    try:
        return _parse(content, start)
    except (_Damaged, struct.error) as problem:
        raise UserError(f"not a Paddle tensor at byte {start}, or a damaged one ({problem})") from None


def read_tensors(path):
    """The list of (start, end, array) of the tensors in the file at `path`, in their order.

    Raises UserError when the file cannot be read, is damaged or is cut.
    """
    path = Path(path)
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    found, at = [], 0
    while at < len(content):
        try:
            array, end = tensor_bytes(content, at)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        found.append((at, end, array))
        at = end
    return found


def read_folder(folder):
    """{file name: array} of a folder with one variable per file, sorted by name; UserError names any other file."""
    names = sorted(path.name for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))
    if not names:
        raise UserError(f"{folder}: expected a folder with one file per variable, found no file")
    arrays = {}
    for name in names:
        tensors = read_tensors(Path(folder, name))
        if len(tensors) != 1:
            raise UserError(f"{Path(folder, name)}: expected one tensor, found {len(tensors)}")
        arrays[name] = tensors[0][2]
    return arrays


def _parse(content, start):
    version, levels = struct.unpack_from("<IQ", content, start)
    tensor_version, length = struct.unpack_from("<Ii", content, start + 12)
    at = start + 20
    if version or tensor_version or levels:
        raise _Damaged(f"versions {version} and {tensor_version}, {levels} levels, expected 0 of each")
    if length < 2 or at + length > len(content):
        raise _Damaged(f"a description of {length} bytes")
    code, shape = _read_description(content[at : at + length])
    at += length
    if code not in _DTYPES:
        raise _Damaged(f"numbers of the unknown kind {code}")
    dtype = np.dtype(_DTYPES[code])
    count = 1
    for side in shape:  # Python's integers: sides from a damaged file must not wrap around
        count *= side
    end = at + count * dtype.itemsize
    if end > len(content):
        raise _Damaged(f"{list(shape)} numbers need {end - at} bytes, {len(content) - at} are left")
    return np.frombuffer(content, dtype, count, at).reshape(shape), end


def _read_description(message):
    code, shape, at = None, [], 0
    while at < len(message):
        key, at = _read_varint(message, at)
        if key == 0x08:
            code, at = _read_varint(message, at)
        elif key == 0x10:
            side, at = _read_varint(message, at)
            shape.append(side)
        elif key == 0x12:  # the same sides, packed
            size, at = _read_varint(message, at)
            stop = at + size
            while at < stop:
                side, at = _read_varint(message, at)
                shape.append(side)
        else:
            raise _Damaged(f"unknown field {key >> 3} in a description")
    return code, shape


def _read_varint(message, at):
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise _Damaged("a number without end")


def _varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
