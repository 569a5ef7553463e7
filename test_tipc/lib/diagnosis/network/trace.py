"""The operators of a network's call with their outputs: what the observer noted of the dynamic network, and the same of
the exported program (program.py).

A trace is a zip: `operators.json` and an array for each output, see observe/tipc_observe/operators.py. It is read
without pickle, and array by array: the outputs of a large network fill gigabytes.
"""

import json
import zipfile
from dataclasses import dataclass, field

import numpy as np

from agreement import limits
from script import UserError

_CACHE = 64 << 20  # bytes of arrays that are kept


@dataclass
class Output:
    """An output of an operator; `step`: every `step`-th number of it was kept."""

    shape: tuple
    dtype: str
    hash: str
    step: int
    name: str = ""

    @property
    def size(self):
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass
class Operator:
    """One operator: `arguments` of a call in the dynamic graph, `attributes` and `inputs` (names) of a program's."""

    number: int
    type: str
    outputs: list
    layer: str = ""
    arguments: list = field(default_factory=list)
    attributes: dict = field(default_factory=dict)
    inputs: list = field(default_factory=list)  # [{"name", "shape", "parameter"}]

    @property
    def parameters(self):
        """The names of its parameters."""
        given = [one for one in (*self.arguments, *_flat(self.arguments)) if isinstance(one, dict)]
        named = {str(one.get("name") or "") for one in given}
        return (named | {one["name"] for one in self.inputs if one.get("parameter")}) - {""}


def _flat(values):
    return [part for value in values if isinstance(value, list) for part in value]


class Trace:
    """The operators of a trace file, in their order; UserError where it is damaged."""

    def __init__(self, path):
        self.path, self._kept, self._size = path, {}, 0
        try:
            self._archive = zipfile.ZipFile(path)  # open as long as the trace is: its list of files is long
            entries = json.loads(self._archive.read("operators.json"))
            self.operators = [_operator(number, entry) for number, entry in enumerate(entries)]
        except FileNotFoundError:
            raise UserError(f"{path}: missing, and the recording says that it is there") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from None

    def array(self, operator, place):
        """The kept numbers of an output, [K]."""
        key = operator.number, place
        if key not in self._kept:
            array = self._read(f"{operator.number}_{place}.npy", operator.outputs[place])
            if self._size > _CACHE:
                self._kept, self._size = {}, 0
            self._kept[key] = array
            self._size += array.nbytes
        return self._kept[key]

    def _read(self, name, output):
        try:
            with self._archive.open(name) as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from None
        if array.ndim != 1 or array.size != len(range(0, output.size, output.step)):
            raise self._damaged(f"{name} has {array.size} numbers")
        return array

    def _damaged(self, error):
        return UserError(f"{self.path}: not the operators of a recorded call, or damaged ({error!s:.100})")


def _operator(number, entry):
    outputs = [
        Output(tuple(map(int, one["shape"])), str(one["dtype"]), str(one["hash"]), int(one["step"]),
               str(one.get("name", "")))
        for one in entry["outputs"]
    ]  # fmt: skip
    if any(one.step < 1 or min(one.shape, default=0) < 0 for one in outputs):
        raise ValueError(f"operator {number} has an output of no size")
    inputs = [dict(one, name=str(one["name"]), shape=list(one["shape"])) for one in entry.get("inputs", ())]
    return Operator(number, str(entry["type"]), outputs, str(entry.get("layer", "")),
                    list(entry.get("arguments", ())), dict(entry.get("attributes", {})), inputs)  # fmt: skip


def difference(first, second):
    """The largest difference of two outputs, as a share of the first one's scale; inf for other sizes or types."""
    if first.size != second.size or (first.dtype.kind == "f") != (second.dtype.kind == "f"):
        return float("inf")
    largest, scale = limits.largest_difference(first, second), limits.scale(first)
    return largest / scale if scale and largest else largest
