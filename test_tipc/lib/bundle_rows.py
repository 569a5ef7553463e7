"""Outputs of networks and engines, row by row, as exact float32 numbers in JSON. Needs NumPy.

    output    name of the output that `rows` has, with its `position`, its `dtype`, and the `shape` of a row
    rows      {hash of the input: [numbers]}, the shortest decimal numbers that give the same float32 back; null for nan
              and infinity
    sha256    {hash of the input: SHA-256 of the row's bytes} of an output with too many numbers, with `sample`
              {hash: every `every`-th number}
    others    the same of the other outputs, if any
    count     how many images are here, and `left_out`, how many are not

The hash of an input is blake2b-128 of its bytes, as the observer writes it (observe/); of several inputs, of their
hashes in order.
"""

import hashlib
import json
import math

import numpy as np

MOST_NUMBERS, MOST_IMAGES, SAMPLE = 2000, 64, 100
BUDGET = 20_000  # numbers of one file; one row is always there


class Rows:
    """Collects the rows of all outputs, image by image."""

    def __init__(self, names):
        self.outputs = [{"output": name, "position": at, "dtype": None, "shape": None} for at, name in enumerate(names)]
        self.keys, self.seen, self.numbers = [], set(), 0

    def add(self, key, rows):
        """Note the outputs of one image: arrays, or None for one that cannot be split by images."""
        known = key in self.seen
        self.seen.add(key)
        full = len(self.keys) >= MOST_IMAGES or (self.keys and self.numbers >= BUDGET)
        if known or full or len(rows) != len(self.outputs):
            return
        self.keys.append(key)
        for output, row in zip(self.outputs, rows):
            if row is not None:
                self._add(output, key, np.asarray(row))

    def _add(self, output, key, row):
        output.update(dtype=str(row.dtype), shape=list(row.shape))
        if row.size <= MOST_NUMBERS:
            output.setdefault("rows", {})[key] = exact(row)
            self.numbers += row.size
            return
        output.setdefault("sha256", {})[key] = hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest()
        output["every"] = every = -(-row.size // SAMPLE)
        output.setdefault("sample", {})[key] = exact(row.reshape(-1)[::every])
        self.numbers += SAMPLE

    def content(self):
        """What the head of this file says; floats come first, since whole numbers are made of them."""
        outputs = sorted(self.outputs, key=lambda one: ("rows" not in one, not str(one["dtype"]).startswith("float")))
        first, others = outputs[0], outputs[1:]
        counts = {"count": len(self.keys), "left_out": len(self.seen) - len(self.keys)}
        return {**first, **({"others": others} if others else {}), **counts}


def key_of(hashes):
    """The hash of an image's inputs, from those of each of them."""
    return hashes[0] if len(hashes) == 1 else _blake("".join(hashes).encode())


def key_of_arrays(arrays):
    """The same for the inputs themselves."""
    return key_of([_blake(np.ascontiguousarray(array).tobytes()) for array in arrays])


def _blake(content):
    return hashlib.blake2b(content, digest_size=16).hexdigest()


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
            rows = ",\n".join(f"  {_dump(name)}: {_dump(row)}" for name, row in value.items())
            lines.append(f" {_dump(key)}: {{\n{rows}\n }}" if rows else f" {_dump(key)}: {{}}")
        else:
            lines.append(f" {_dump(key)}: {_dump(value)}")
    stream.write("{\n" + ",\n".join(lines) + "\n}\n")


def write_pair(folder, expected, found):
    """Write what one engine computed, and another one; both are (name of the file, engine in words, limit, Rows).

    Raises OSError.
    """
    from script import atomic_write

    folder.mkdir(parents=True, exist_ok=True)
    for (name, engine, limit, rows), against in ((expected, None), (found, f"{expected[0]}.json")):
        with atomic_write(folder / f"{name}.json") as stream:
            write({"engine": engine, "against": against, "limit": limit, **rows.content()}, stream)


def _dump(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
