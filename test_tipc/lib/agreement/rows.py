"""The images of a call, one by one."""

import numpy as np

from agreement.fitting import key_of


def row_of(array, tensor, row):
    """The part of a call's array that belongs to the image `row`: all of it where the call has no batch."""
    return array if tensor.rows is None else array[row]


def parts_of(array, call):
    """[array of one image] of an output, or None where it cannot be split: a list of boxes of several images."""
    if call.batch is not None and array.ndim and array.shape[0] == call.batch:
        return list(array)
    return [array] if call.images == 1 else None


def keys_of(call, order):
    """The key of each image's inputs."""
    return [key_of(call, order, row) for row in range(call.images)]


def model_inputs(call, order):
    """(arrays of the exported model's inputs, whether each of them is cut along the batch)."""
    arrays = call.arrays("in", order)
    return arrays, [call.inputs[position].rows is not None for position in order]


def mirrored(arrays, is_batched):
    """Other inputs of the same kind: images from right to left, or lists the other way round."""
    return [_flip(array, -1, batched) for array, batched in zip(arrays, is_batched)]


def _flip(array, axis, batched):
    least = 2 if batched else 1
    return np.ascontiguousarray(np.flip(array, axis)) if array.ndim >= least and array.size > 1 else array


def negated(arrays):
    """Other inputs of the same kind: floats with the other sign, pixels of bytes from 255 downwards."""
    return [-array if array.dtype.kind == "f" else _inverted(array) for array in arrays]


def _inverted(array):
    return 255 - array if array.dtype == np.uint8 else array
