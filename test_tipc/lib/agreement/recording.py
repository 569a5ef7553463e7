"""A recording of one step: the calls of networks that the observer saw, with hashes and, of a part of them, arrays.

A recording is a folder with `<pid>.jsonl` for each process, one JSON object per line, and the arrays in `.npz` files.
Nothing of it is executed: arrays are read without pickle. A process that was killed leaves whole lines, and
perhaps a part of one behind them, which is left out.
"""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from script import UserError

KINDS = ("layer", "predictor", "translated", "program")


class Tensor(NamedTuple):
    """An input or output of a call: `rows` are hashes along the batch, None where it has none."""

    name: str
    shape: tuple
    dtype: str
    hash: str
    rows: Optional[tuple]

    def key(self, row):
        """What only equal inputs of one image share."""
        if self.rows is None:
            return self.shape, self.dtype, self.hash
        return self.shape[1:], self.dtype, self.rows[row]


@dataclass
class Network:
    """A network of the recording: a layer with its weights, or a loaded exported model with its files."""

    name: str
    layer: str = ""  # its class
    weights: dict = field(default_factory=dict)  # {name: {"shape", "dtype", "hash", "trained"}}
    loaded: list = field(default_factory=list)  # [{"path", "tensors", "found", "trained"}]
    files: list = field(default_factory=list)
    calls: list = field(default_factory=list)


@dataclass
class Call:
    """One call of a network."""

    number: int
    kind: str
    network: str
    training: bool
    place: str
    batch: Optional[int]
    inputs: list  # of Tensor
    outputs: list
    file: Optional[Path]  # None: only the hashes were kept

    @property
    def images(self):
        """The number of images: a call without a batch counts as one."""
        return 1 if self.batch is None else self.batch

    def arrays(self, kind, positions=None):
        """The kept arrays `in` or `out`, in their order; UserError for a file that is missing or damaged."""
        tensors = self.inputs if kind == "in" else self.outputs
        positions = range(len(tensors)) if positions is None else positions
        try:
            with np.load(self.file, allow_pickle=False) as stored:
                arrays = [stored[f"{kind}{position}"] for position in positions]
        except FileNotFoundError:
            raise UserError(f"{self.file}: missing, and the recording says that it is there") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError) as error:
            raise UserError(f"{self.file}: not the arrays of a recorded call, or damaged ({error})") from None
        for position, array in zip(positions, arrays):
            _check_array(self.file, f"{kind}{position}", array, tensors[position])
        return arrays


class Recording:
    """What was observed of one step: `networks` by name, and all `calls` in their order."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.networks, self.calls, self.lost = {}, [], ""
        if not self.folder.is_dir():
            raise UserError(f"{folder}: no folder of a recording")
        for path in sorted(self.folder.glob("*.jsonl")):
            _Reader(self, path).read()
        for call in self.calls:
            self.network_of(call.network).calls.append(call)

    def network_of(self, name):
        """The `Network` of this name, a new one where there is none yet."""
        return self.networks.setdefault(name, Network(name))

    def candidates(self, kinds):
        """[(network, its calls of these kinds)] of the networks that were called."""
        networks = self.networks.values()
        found = [(network, [call for call in network.calls if call.kind in kinds]) for network in networks]
        return [(network, calls) for network, calls in found if calls]


class _Reader:
    def __init__(self, recording, path):
        self.recording, self.path, self.number, self.files = recording, path, 0, {}

    def read(self):
        try:
            text = self.path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: not the lines of a recording ({error})") from None
        lines = text.split("\n")[:-1]  # what is behind the last line end is a part of a line
        for self.number, line in enumerate(lines, 1):
            try:
                self._add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                what = f"{type(error).__name__}: {error}"
                raise UserError(f"{self.path}:{self.number}: not a line of a recording ({what:.100})") from None

    def _add(self, line):
        event = line["event"]
        if self.number == 1 and event != "process":
            raise ValueError(f"the first event is {event!r}, expected 'process'")
        handle = getattr(self, f"_{event}", None) if event in _EVENTS else None
        if handle:
            handle(line)

    def _network(self, line):
        network = self.recording.network_of(str(line["network"]))
        network.layer, network.weights = str(line["class"]), dict(line["weights"])
        for entry in network.weights.values():
            entry.update(shape=tuple(entry["shape"]), dtype=str(entry["dtype"]), hash=str(entry["hash"]))
        network.loaded = [
            {"path": str(one["path"]), "tensors": int(one["tensors"]), "found": int(one["found"]),
             "trained": int(one.get("trained", one["found"]))}
            for one in line.get("loaded") or ()
        ]  # fmt: skip

    def _predictor(self, line):
        self.recording.network_of(str(line["network"])).files = [str(path) for path in line.get("files") or ()]

    def _call(self, line):
        if line["kind"] not in KINDS:
            raise ValueError(f"kind {line['kind']!r}")
        file = line["file"]
        if file is not None and Path(file).name != file:
            raise ValueError(f"file {file!r} is not in the recording's folder")
        batch = None if line["batch"] is None else int(line["batch"])
        inputs, outputs = ([_tensor(entry, batch) for entry in line[side]] for side in ("inputs", "outputs"))
        path = file and self.path.parent / file
        call = Call(int(line["number"]), line["kind"], str(line["network"]), bool(line["training"]),
                    str(line.get("place") or "cpu"), batch, inputs, outputs, path)  # fmt: skip
        self.recording.calls.append(call)
        if file:
            self.files[file] = call

    def _dropped(self, line):
        if line["file"] in self.files:
            self.files[line["file"]].file = None

    def _lost(self, line):
        self.recording.lost = " ".join(str(line["why"]).split())  # errors of Paddle fill several lines


_EVENTS = ("network", "predictor", "call", "dropped", "lost")  # `process` and `end` say nothing that is needed here


def _tensor(entry, batch):
    shape = tuple(int(side) for side in entry["shape"])
    rows = entry.get("rows")
    if rows is not None:
        rows = tuple(map(str, rows))
        if not shape or len(rows) != shape[0] or len(rows) != batch:
            raise ValueError(f"{len(rows)} rows of a tensor {list(shape)} in a batch of {batch}")
    return Tensor(str(entry["name"]), shape, str(entry["dtype"]), str(entry["hash"]), rows)


def _check_array(file, key, array, tensor):
    dtype = "float32" if tensor.dtype == "bfloat16" else tensor.dtype
    if array.shape != tensor.shape or str(array.dtype) != dtype:
        found, expected = (f"{kind} {list(shape)}" for kind, shape in
                           ((array.dtype, array.shape), (dtype, tensor.shape)))  # fmt: skip
        raise UserError(f"{file}: {key} is {found}, and the recording says {expected}")
