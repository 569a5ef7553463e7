"""Tensors of all kinds as contiguous NumPy arrays with names and hashes."""

import hashlib
from collections.abc import Mapping

import numpy as np

MOST_ROWS = 4096  # more rows than that are hashed as one: points of a cloud rather than images of a batch
DEEPEST = 16  # levels of lists and dictionaries


def hash_of(array):
    """32 hexadecimal digits: blake2b-128 of the bytes of a contiguous array."""
    return hashlib.blake2b(array.reshape(-1).view(np.uint8), digest_size=16).hexdigest()


def join(hashes):
    """One hash of several."""
    return hashlib.blake2b("".join(hashes).encode(), digest_size=16).hexdigest()


def leaves(value, kinds, name="", depth=0):
    """Yield (name, leaf) for every leaf that is one of the `kinds` in nested lists, tuples and dictionaries.

    A dictionary's leaf, or a named tuple's, is named by its key, a list's by its position behind the list's own name.
    """
    if isinstance(value, kinds):
        yield name or "0", value
        return
    if depth == DEEPEST:
        return
    if isinstance(value, Mapping):
        pairs = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = list(zip(value._fields, value))
    elif isinstance(value, (list, tuple)):
        pairs = [(f"{name}.{place}" if name else str(place), part) for place, part in enumerate(value)]
    else:
        return
    for key, part in pairs:
        yield from leaves(part, kinds, key, depth + 1)


def to_array(tensor):
    """(array, dtype): a contiguous copy of a tensor; bfloat16, which NumPy does not have, becomes float32.

    Raises TypeError for elements that are not numbers, and what Paddle raises for a tensor without values.
    """
    # Tensor.numpy() is a copy already
    array = np.asarray(tensor.numpy(), order="C") if hasattr(tensor, "numpy") else np.array(tensor, order="C")
    dtype = str(getattr(tensor, "dtype", array.dtype)).rpartition(".")[2]
    if dtype == "bfloat16" and array.dtype == np.uint16:
        array = (array.reshape(-1).astype(np.uint32) << 16).view(np.float32).reshape(array.shape)
    elif dtype != "bfloat16":
        dtype = str(array.dtype)
    if array.dtype.hasobject or array.dtype.kind not in "biufcSU":
        raise TypeError(f"a tensor of {array.dtype}")
    return array, dtype


def to_arrays(named):
    """[(name, array, dtype), …] of (name, tensor) pairs."""
    return [(name, *to_array(tensor)) for name, tensor in named]


def batch_of(arrays):
    """The leading length that all of them share, single numbers aside; None where there is none."""
    lengths = {array.shape[0] for _, array, _ in arrays if array.ndim}
    return lengths.pop() or None if len(lengths) == 1 else None


def describe(arrays, batch):
    """The arrays' entries of a recorded call, with the hashes of the rows of those that have `batch` rows."""
    entries = []
    for name, array, dtype in arrays:
        whole, rows = hash_of(array), None
        if batch and batch <= MOST_ROWS and array.ndim and array.shape[0] == batch:
            rows = [whole] if batch == 1 else list(map(hash_of, array.reshape(batch, array.size // batch)))
        entries.append({"name": name, "shape": list(array.shape), "dtype": dtype, "hash": whole, "rows": rows})
    return entries
