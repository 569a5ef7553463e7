"""How near are two tensors of weights: equal, equal behind a cast, alike, or not alike at all?"""

from typing import NamedTuple, Optional

import numpy as np

from agreement import limits
from agreement.params import Weight, digest

EQUAL, CAST, OTHER, OTHER_SHAPE, ALONE = "equal", "cast", "other", "other shape", "alone"
_HALVES = {"float16": (2.0**-10, 2.0**-24), "bfloat16": (2.0**-7, 0.0)}  # how far rounding may go: a share, and more
_QUANTISED = 0.99  # cosine of a tensor and its 8-bit integers


def as_array(shape, dtype, data):
    """The array of a tensor of a weights file; bfloat16 as uint16, as Paddle writes it in checkpoints."""
    return np.frombuffer(data, "uint16" if dtype == "bfloat16" else dtype).reshape(shape)


def as_float(array):
    """Its numbers as float64; uint16 are the upper halves of float32, as Paddle writes bfloat16."""
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


def keys_of(array):
    """The `Weight`s that a tensor of a checkpoint may be in an export: half precision is often loaded as float32."""
    array = np.asarray(array, array.dtype.newbyteorder("="))
    found = [_key(array)]
    if array.dtype == np.uint16:
        found.append(found[0]._replace(dtype="bfloat16"))
    if array.dtype in (np.float16, np.uint16, np.float64):
        found.append(_key(as_float(array).astype(np.float32)))
    return found


def _key(array):
    return Weight(array.shape, str(array.dtype), digest(np.ascontiguousarray(array).tobytes()))


def is_constant(array):
    """Whether all numbers are one: zeros and ones are in any network."""
    return not array.size or bool((array == array.flat[0]).all())


class Nearness(NamedTuple):
    """`state` is one of EQUAL, CAST, OTHER, OTHER_SHAPE; `cosine` and `largest` difference are of those of one shape,
    `at` is its place."""

    state: str
    cosine: Optional[float] = None
    largest: Optional[float] = None
    at: tuple = ()
    values: tuple = ()  # of the reference, and of the export


def nearness(reference, dtype, found):
    """The `Nearness` of an exported tensor of the type `dtype`, an array of `as_array`, to one of a checkpoint."""
    if reference.shape != found.shape:
        return Nearness(OTHER_SHAPE)
    if _key(found)._replace(dtype=dtype) in keys_of(reference):
        return Nearness(EQUAL, 1.0, 0.0)
    ours, theirs = as_float(reference), _numbers(dtype, found)
    cosine = cosine_of(ours, theirs)
    largest, at = limits.largest_difference(ours, theirs), _place(ours, theirs)
    values = (float(ours[at]), float(theirs[at])) if ours.size else ()
    is_cast = _is_rounded(ours, theirs, dtype) or (dtype in ("int8", "uint8") and cosine > _QUANTISED)
    return Nearness(CAST if is_cast else OTHER, cosine, largest, at, values)


def _numbers(dtype, found):
    return as_float(found) if dtype in ("bfloat16", "float16") else found.astype(np.float64)


def _place(first, second):
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(np.abs(first - second), nan=np.inf)
    return tuple(map(int, np.unravel_index(int(apart.argmax()), apart.shape))) if apart.size else ()


def _is_rounded(ours, theirs, dtype):
    """Whether the exported numbers are those of the checkpoint, rounded to half precision: stored in its type, or in
    float32, where each of them must be one that the type has."""
    for half, (share, more) in _HALVES.items():
        is_near = dtype in (half, "float32") and (np.abs(ours - theirs) <= share * np.abs(ours) + more).all()
        # Paddle may cut where NumPy rounds
        if is_near and (dtype == half or np.array_equal(theirs, round_to(theirs, half))):
            return True
    return False


def round_to(numbers, half):
    """float64 numbers rounded to a type of half precision, to the nearest."""
    if half == "float16":
        with np.errstate(over="ignore"):
            return numbers.astype(np.float16).astype(np.float64)
    bits = numbers.astype(np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def cosine_of(first, second):
    """Of two arrays of one shape; 0 where one of them is zeros or holds no finite numbers."""
    first, second = first.reshape(-1), second.reshape(-1)
    with np.errstate(all="ignore"):
        length = np.linalg.norm(first) * np.linalg.norm(second)
        cosine = float(first @ second / length) if length > 0 else 0.0
    return cosine if np.isfinite(cosine) else 0.0
