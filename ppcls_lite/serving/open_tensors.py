"""The data of tensors in the Open Inference Protocol: lists in JSON, or bytes behind it, to arrays and back.

Requests come from unknown senders: shapes are checked against the model first, then data against shapes.
"""

import itertools
import math
import struct

import numpy as np

from ppcls_lite.serving.request import Code, RequestError

_LENGTH = struct.Struct("<I")  # before each element of BYTES


def read_floats(name, data, shape):
    """float32 [shape] of bytes, or of a flat or nested list of numbers; RequestError for anything else."""
    if isinstance(data, list):
        numbers = _flat(name, data, shape)
        if not set(map(type, numbers)) <= {int, float}:  # NumPy would read texts and True as numbers, too
            raise RequestError(Code.FORM, f"{name}: expected numbers only, found another value in data")
        with np.errstate(over="ignore"):  # it becomes infinite, which is refused below
            found = np.array(numbers, np.float64).astype(np.float32)
    else:
        expected = 4 * math.prod(shape)
        if len(data) != expected:
            raise RequestError(
                Code.FORM, f"{name}: expected {expected} bytes for shape {list(shape)}, found {len(data)}"
            )
        found = np.frombuffer(data, "<f4").astype(np.float32)  # a copy: the body need not stay
    if not np.isfinite(found).all():
        raise RequestError(Code.FORM, f"{name}: expected finite float32 numbers, found nan, an infinity or an overflow")
    return found.reshape(shape)


def _flat(name, data, shape):
    """The numbers of a list that is flat, or nested as the shape says."""
    if not (data and isinstance(data[0], list)):
        shape = [math.prod(shape)]
    _check_length(name, data, shape[0])
    for size in shape[1:]:
        for part in data:
            if not isinstance(part, list):
                raise RequestError(Code.FORM, f"{name}: expected data as a flat list, or nested as its shape")
            _check_length(name, part, size)
        data = list(itertools.chain.from_iterable(data))
    return data


def _check_length(name, part, expected):
    if len(part) != expected:
        raise RequestError(Code.FORM, f"{name}: expected a list of {expected} in data, found one of {len(part)}")


def read_elements(name, data, count):
    """`count` elements of BYTES: a list of texts as it is, or bytes objects from bytes; RequestError."""
    if isinstance(data, list):
        _check_length(name, data, count)
        if not all(isinstance(text, str) for text in data):
            raise RequestError(Code.FORM, f"{name}: expected only texts in data, base64 of a file each")
        return data
    found, start = [], 0
    while start < len(data):
        number = f"{name}: element {len(found)}"
        if len(found) == count:
            raise RequestError(Code.FORM, f"{name}: {len(data) - start} bytes behind the {count} elements of its shape")
        if len(data) - start < _LENGTH.size:
            raise RequestError(Code.FORM, f"{number}: expected a length of 4 bytes, found {len(data) - start}")
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        if length > len(data) - start:
            raise RequestError(Code.FORM, f"{number}: says {length} bytes, and {len(data) - start} are left")
        if not length:
            raise RequestError(Code.FORM, f"{number} is empty; expected an image file")
        found.append(bytes(data[start : start + length]))
        start += length
    if len(found) < count:
        raise RequestError(Code.FORM, f"{name}: expected {count} elements as its shape says, found {len(found)}")
    return found


def written(name, value, is_binary):
    """(description, bytes) of an output: float32 [...] or a list of texts; without bytes, data is in the description.

    Numbers in JSON have all digits of their float32 number, so that a reader gets the very number.
    """
    is_text = isinstance(value, list)
    shape = [len(value)] if is_text else list(value.shape)
    described = {"name": name, "datatype": "BYTES" if is_text else "FP32", "shape": shape}
    if not is_binary:
        return {**described, "data": value if is_text else value.ravel().tolist()}, b""
    if is_text:
        encoded = [text.encode() for text in value]
        raw = b"".join(_LENGTH.pack(len(element)) + element for element in encoded)
    else:
        raw = value.astype("<f4").tobytes()
    return {**described, "parameters": {"binary_data_size": len(raw)}}, raw
