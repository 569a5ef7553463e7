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
    settings: Optional[dict] = None  # of a predictor: those of its Config, see observe/tipc_observe/settings.py
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
    trace: Optional[Path] = None  # what operators.py of the observer noted

    @property
    def images(self):
        """The number of images: a call without a batch counts as one."""
        return 1 if self.batch is None else self.batch

    def arrays(self, kind, positions=None):
        """The kept arrays `in` or `out`, in their order; UserError for a file that is missing or damaged."""
        tensors = self.inputs if kind == "in" else self.outputs
        positions = range(len(tensors)) if positions is None else positions
        arrays = _stored(self.file, [f"{kind}{position}" for position in positions])
        for position, array in zip(positions, arrays):
            _check_array(self.file, f"{kind}{position}", array, tensors[position])
        return arrays


@dataclass
class Decoded:
    """An image that the step decoded; `source` is the hash of its encoded bytes, `orientation` EXIF's (1: upright).

    `mode` is PIL's word: "RGB", "L", "RGBA", "P" (looked up in its palette), …
    """

    number: int
    library: str
    call: str
    path: Optional[str]
    source: str
    orientation: int
    shape: tuple
    dtype: str
    mode: str
    hash: str
    file: Optional[Path]  # None: only the hash was kept

    def array(self):
        """The kept pixels, [H, W] or [H, W, C] in RGB order; UserError for a file that is missing or damaged."""
        (pixels,) = _stored(self.file, ["pixels"], "image")
        _check_array(self.file, "pixels", pixels, self)
        return pixels


class Recording:
    """What was observed of one step: `networks` by name, all `calls` in their order, and the images that were `decoded`
    (only in a deep recording)."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.networks, self.calls, self.decoded, self.lost = {}, [], [], ""
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
        network = self.recording.network_of(str(line["network"]))
        network.files = [str(path) for path in line.get("files") or ()]
        network.settings = None if line.get("settings") is None else dict(line["settings"])

    def _call(self, line):
        if line["kind"] not in KINDS:
            raise ValueError(f"kind {line['kind']!r}")
        file, trace = _file_name(line), _file_name(line, "trace")
        batch = None if line["batch"] is None else int(line["batch"])
        inputs, outputs = ([_tensor(entry, batch) for entry in line[side]] for side in ("inputs", "outputs"))
        paths = [name and self.path.parent / name for name in (file, trace)]
        call = Call(int(line["number"]), line["kind"], str(line["network"]), bool(line["training"]),
                    str(line.get("place") or "cpu"), batch, inputs, outputs, *paths)  # fmt: skip
        self.recording.calls.append(call)
        if file:
            self.files[file] = call

    def _dropped(self, line):
        if line["file"] in self.files:
            self.files[line["file"]].file = None

    def _decoded(self, line):
        file, shape = _file_name(line), tuple(int(side) for side in line["shape"])
        if len(shape) not in (2, 3) or not 1 <= int(line["orientation"]) <= 8:
            raise ValueError(f"an image {list(shape)} with the orientation {line['orientation']}")
        path = None if line["path"] is None else str(line["path"])
        texts = {key: str(line[key]) for key in ("library", "call", "source", "dtype", "mode", "hash")}
        image = Decoded(number=int(line["number"]), path=path, orientation=int(line["orientation"]), shape=shape,
                        file=file and self.path.parent / file, **texts)  # fmt: skip
        self.recording.decoded.append(image)

    def _lost(self, line):
        self.recording.lost = " ".join(str(line["why"]).split())  # errors of Paddle fill several lines


# `process` and `end` say nothing that is needed here
_EVENTS = ("network", "predictor", "call", "dropped", "decoded", "lost")


def _file_name(line, key="file"):
    file = line["file"] if key == "file" else line.get(key)
    if file is not None and Path(file).name != file:
        raise ValueError(f"file {file!r} is not in the recording's folder")
    return file


def _stored(file, keys, of="call"):
    """The arrays of these keys in a file of the recording."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return [stored[key] for key in keys]
    except FileNotFoundError:
        raise UserError(f"{file}: missing, and the recording says that it is there") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UserError(f"{file}: not the arrays of a recorded {of}, or damaged ({error})") from None


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
