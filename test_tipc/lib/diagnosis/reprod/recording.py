"""A file of reprod_log as the recording of one call: its arrays that fit the exported model's inputs went in, and what
is left came out of the network, layer by layer in the file's order, the outputs last."""

import hashlib
import json
import zipfile

import numpy as np

from agreement.recording import Recording
from script import UserError


def reprod_recording(path, arrays, feeds, folder):
    """The `Recording`, written to the new folder `folder`, of {name: array} of a file of reprod_log.

    `feeds` are the exported model's. UserError where the file does not have its inputs.
    """
    given = _inputs(path, arrays, feeds)
    rest = {name: array for name, array in arrays.items() if name not in given.values()}
    if not rest:
        raise UserError(f"{path}: expected an output of the network beside its inputs {', '.join(given.values())}")
    folder.mkdir()
    inputs = {feed: arrays[name] for feed, name in given.items()}
    lengths = {array.shape[0] for array in inputs.values() if array.ndim}
    batch = lengths.pop() if len(lengths) == 1 else None
    np.savez(folder / "1_0.npz", **{f"in{place}": array for place, array in enumerate(inputs.values())},
             **{f"out{place}": array for place, array in enumerate(rest.values())})  # fmt: skip
    _write_trace(folder / "1_0.trace", rest)
    lines = [
        {"event": "process", "pid": 1, "argv": [str(path)]},
        {"event": "network", "network": "1-0", "class": path.name, "weights": {}},
        {"event": "call", "number": 0, "kind": "layer", "network": "1-0", "training": False, "place": "cpu",
         "batch": batch, "inputs": _entries(inputs, batch), "outputs": _entries(rest, batch), "file": "1_0.npz",
         "trace": "1_0.trace"},
    ]  # fmt: skip
    (folder / "1.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return Recording(folder)


def _inputs(path, arrays, feeds):
    """{name of the model's input: name in the file}: by name, else the first of its type and shape."""
    found = {feed.name: feed.name for feed in feeds if feed.name in arrays and _fits(feed, arrays[feed.name])}
    for feed in feeds:
        if feed.name not in found:
            free = (name for name, array in arrays.items() if name not in found.values() and _fits(feed, array))
            found[feed.name] = next(free, None)
        if found[feed.name] is None:
            names = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in list(arrays.items())[:8])
            raise UserError(f"{path}: no array is the exported model's input {feed}; found {names}")
    return {feed.name: found[feed.name] for feed in feeds}


def _fits(feed, array):
    if feed.dtype not in ("", str(array.dtype)):
        return False
    sides = list(zip(feed.shape or array.shape, array.shape))[1:]
    return feed.shape is None or (len(feed.shape) == array.ndim and all(want in (-1, side) for want, side in sides))


def _entries(arrays, batch):
    return [{"name": name, **_facts(array), "rows": _rows(array, batch)} for name, array in arrays.items()]


def _rows(array, batch):
    is_batched = batch is not None and array.ndim and array.shape[0] == batch
    return [_hash(row) for row in array] if is_batched else None


def _facts(array):
    return {"shape": list(array.shape), "dtype": str(array.dtype), "hash": _hash(array)}


def _hash(array):
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def _write_trace(path, arrays):
    operators = []
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, array) in enumerate(arrays.items()):
            with archive.open(f"{number}_0.npy", "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array).reshape(-1), allow_pickle=False)
            output = {**_facts(array), "step": 1}
            operators.append({"type": "array", "layer": name, "class": "", "arguments": [], "outputs": [output]})
        archive.writestr("operators.json", json.dumps(operators))
