"""Outputs of networks and engines, row by row, from the recordings of the observer (observe/): exact float32 numbers.

A file of one step is JSON:

    output    name of the output that `rows` has; `behind`: what the export computes behind the network ("softmax", "",
              null where it is not known): apply it to the rows of a network to get those of an engine
    rows      {hash of the input: [numbers]}, the shortest decimal numbers that give the same float32 back; null for nan
              and infinity
    sha256    {hash of the input: SHA-256 of the row's bytes} of an output with too many numbers, with `sample`
              {hash: every `every`-th number}
    others    the same of the other outputs, if any
    network, kind, images, left_out    what was called and how; how many images are here, and how many are not

The hash of an input is the observer's, blake2b-128 of its bytes; of several inputs, of their hashes in order.
"""

import hashlib
import json
import math

MOST_NUMBERS, MOST_IMAGES, SAMPLE = 2000, 64, 100
BUDGET = 40_000  # numbers of one file


def read_step(folder):
    """The content of the file for the recording `folder`; None where nothing was recorded with its arrays.

    Raises UserError for a damaged recording, ImportError without NumPy.
    """
    if not any(folder.glob("*.npz")):
        return None
    from agreement.recording import Recording  # needs NumPy

    recording = Recording(folder)
    kept = [
        (network, [call for call in network.calls if call.file])
        for network in recording.networks.values()
        if any(call.file for call in network.calls)
    ]
    if not kept:
        return None
    # of several networks that of which most was recorded: a backbone's images are those of the whole
    network, calls = max(kept, key=lambda pair: (sum(call.images for call in pair[1]), len(pair[0].weights)))
    seen = {_key(call, row) for call in network.calls for row in range(call.images)}
    outputs = _Outputs(calls[0])
    for call in calls:
        outputs.add(call)
    return {
        **outputs.content(),
        "network": network.layer or "exported model",
        "kind": calls[0].kind,
        "images": len(outputs.keys),
        "left_out": len(seen) - len(outputs.keys),
    }


def _key(call, row):
    hashes = [tensor.hash if tensor.rows is None else tensor.rows[row] for tensor in call.inputs]
    return hashes[0] if len(hashes) == 1 else hashlib.blake2b("".join(hashes).encode(), digest_size=16).hexdigest()


class _Outputs:
    """Collects the rows of all outputs of calls."""

    def __init__(self, call):
        self.keys, self.numbers = [], 0
        self.outputs = [{"output": tensor.name, "dtype": tensor.dtype, "shape": None} for tensor in call.outputs]

    def add(self, call):
        arrays = call.arrays("out")
        for row in range(call.images):
            key = _key(call, row)
            full = len(self.keys) >= MOST_IMAGES or (self.keys and self.numbers >= BUDGET)
            if key in self.keys or full or len(arrays) != len(self.outputs):
                continue
            self.keys.append(key)
            for output, tensor, array in zip(self.outputs, call.outputs, arrays):
                if tensor.rows is not None or call.images == 1:
                    self._add(output, key, array[row] if tensor.rows is not None else array)

    def _add(self, output, key, row):
        output["shape"] = list(row.shape)
        if row.size <= MOST_NUMBERS:
            output.setdefault("rows", {})[key] = exact(row)
            self.numbers += row.size
            return
        every = -(-row.size // SAMPLE)
        output.setdefault("sha256", {})[key] = hashlib.sha256(row.tobytes()).hexdigest()
        output.setdefault("every", every)
        output.setdefault("sample", {})[key] = exact(row.reshape(-1)[::every])
        self.numbers += SAMPLE

    def content(self):
        """Floats come first: labels and counts are made of them."""
        outputs = sorted(self.outputs, key=lambda one: ("rows" not in one, not one["dtype"].startswith("float")))
        first, others = outputs[0], outputs[1:]
        return {**first, **({"others": others} if others else {})}


def exact(array):
    """The numbers of an array in one list: shortest decimal numbers that give the same float32 back."""
    flat = array.reshape(-1)
    if flat.dtype.kind in "iub":
        return [int(number) for number in flat]
    return [float(str(number)) if math.isfinite(number) else None for number in flat]


def write(content, stream):
    """One line for each row: the difference of two files can be read."""
    lines = []
    for key, value in content.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"  {json.dumps(name)}: {_dump(row)}" for name, row in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{rows}\n }}" if rows else f" {json.dumps(key)}: {{}}")
        else:
            lines.append(f" {json.dumps(key)}: {_dump(value)}")
    stream.write("{\n" + ",\n".join(lines) + "\n}\n")


def _dump(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
