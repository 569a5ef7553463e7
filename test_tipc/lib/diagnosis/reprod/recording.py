"""A file of reprod_log as the recording of one call: its arrays that fit the exported model's inputs went in, and what
is left came out of the network, layer by layer in the file's order, the outputs last."""

import json
import zipfile

import numpy as np

from agreement.recording import Recording
from observe.tipc_observe.arrays import batch_of, describe, to_arrays
from observe.tipc_observe.operators import write_output
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
    inputs = to_arrays((feed, arrays[name]) for feed, name in given.items())
    outputs = to_arrays(rest.items())
    batch = batch_of(inputs)
    np.savez(folder / "1_0.npz", **{f"in{place}": array for place, (_, array, _) in enumerate(inputs)},
             **{f"out{place}": array for place, (_, array, _) in enumerate(outputs)})  # fmt: skip
    _write_trace(folder / "1_0.trace", outputs)
    lines = [
        {"event": "process", "pid": 1, "argv": [str(path)]},
        {"event": "network", "network": "1-0", "class": path.name, "weights": {}},
        {"event": "call", "number": 0, "kind": "layer", "network": "1-0", "training": False, "place": "cpu",
         "batch": batch, "inputs": describe(inputs, batch), "outputs": describe(outputs, batch), "file": "1_0.npz",
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


def _write_trace(path, outputs):
    """Each array is the output of an operator of its own, all numbers of it."""
    operators = []
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, array, dtype) in enumerate(outputs):
            entry = write_output(archive, f"{number}_0.npy", array, dtype, most=max(1, array.size))
            operators.append({"type": "array", "layer": name, "class": "", "arguments": [], "outputs": [entry]})
        archive.writestr("operators.json", json.dumps(operators))
