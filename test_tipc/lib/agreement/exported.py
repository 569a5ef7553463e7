"""The exported model, and what it computes in strict mode: no IR optimisation, no oneDNN, one thread.

In strict mode an export equals the network bit by bit on the CPU (measured with 12 networks of Paddle 2.6.2, 3.1.1 and
3.3.1), as long as the batch and the number of threads are the same.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agreement.params import read_weights
from script import UserError

_STRUCTURES = (".pdmodel", ".json")
_TYPE = re.compile(r"([a-z]+)(\d*)")
_FAILED = re.compile(r"operator < (\w+) > error")
_KINDS = {"f": "float", "fp": "float", "float": "float", "bf": "bfloat", "bfloat": "bfloat", "i": "int", "int": "int",
          "ui": "uint", "uint": "uint", "bool": "bool"}  # fmt: skip


class CannotReplay(UserError):
    """Nothing is wrong, and nothing can be compared: a pipeline of several models, or a model in an old format."""


class Feed(NamedTuple):
    """An input of the exported model: `shape` has -1 where a side may vary; "" and None where it is not known."""

    name: str
    dtype: str
    shape: tuple

    def __str__(self):
        shape = "" if self.shape is None else f" {list(self.shape)}"
        return f"{self.name} {self.dtype}{shape}"


class Exported:
    """An exported model; `weights`, `feeds` and the predictors are made once, when they are needed first.

    `embeds`: its outputs [N, D] are known to be embeddings, whatever their length.
    """

    def __init__(self, structure, embeds=False):
        self.structure, self.embeds = structure, embeds
        self.params = structure.with_suffix(".pdiparams")
        self.weights = read_weights(self.params)
        self._predictors = {}
        predictor = self._predictor(1)
        inputs = _inputs(structure)
        self.feeds = [inputs.get(name, Feed(name, "", None)) for name in predictor.get_input_names()]
        self.outputs = list(predictor.get_output_names())

    def run(self, inputs, threads=1):
        """All outputs, in the model's order, for one array of each of `feeds`; RuntimeError when it cannot take
        them."""
        predictor = self._predictor(threads)
        try:
            for feed, array in zip(self.feeds, inputs):
                handle = predictor.get_input_handle(feed.name)
                handle.reshape(array.shape)
                handle.copy_from_cpu(np.ascontiguousarray(array))
            predictor.run()
            return [predictor.get_output_handle(name).copy_to_cpu() for name in self.outputs]
        except (RuntimeError, ValueError, OSError, MemoryError) as error:
            del self._predictors[threads]  # it may hold a part of the batch
            raise RuntimeError(_reason(error)) from error

    def reload(self):
        """Forget the loaded model: the next run loads it again."""
        self._predictors.clear()

    def run_rows(self, inputs, is_batched, batch):
        """As `run`, image by image: the arrays whose `is_batched` is true are cut along their first side."""
        rows = [
            self.run([array[row : row + 1] if cut else array for array, cut in zip(inputs, is_batched)])
            for row in range(batch)
        ]
        return [np.stack(parts) if parts[0].ndim == 0 else np.concatenate(parts) for parts in zip(*rows)]

    @property
    def fixed_batch(self):
        """The number of images that the model takes at once, None where it may vary."""
        sides = {feed.shape[0] for feed in self.feeds if feed.shape}
        side = sides.pop() if len(sides) == 1 else -1
        return side if side > 0 else None

    def is_one_of(self, files):
        """Whether a predictor that loaded `files` loaded this model."""
        own = {self.structure.resolve(), self.params.resolve()}
        return not own.isdisjoint(Path(file).resolve() for file in files)

    def has_weights_of(self, files):
        """Whether the weights file among `files` holds this model's weights; None where none of them can be read."""
        for file in map(Path, files):
            if file.suffix not in _STRUCTURES and file.is_file():
                try:
                    return Counter(read_weights(file)) == Counter(self.weights)
                except UserError:  # of another kind
                    continue
        return None

    def _predictor(self, threads):
        if threads not in self._predictors:
            from paddle import inference

            config = inference.Config(str(self.structure), str(self.params))
            config.disable_glog_info()
            config.disable_gpu()
            if hasattr(config, "disable_mkldnn"):  # Paddle 2.6 has no switch: off is its default
                config.disable_mkldnn()
            config.switch_ir_optim(False)
            config.switch_use_feed_fetch_ops(False)
            config.set_cpu_math_library_num_threads(threads)
            try:
                self._predictors[threads] = inference.create_predictor(config)
            except (RuntimeError, ValueError, OSError, MemoryError) as error:
                raise UserError(f"{self.structure}: Paddle Inference cannot load it: {_reason(error)}") from error
        return self._predictors[threads]


def find_structure(folder, loaded=()):
    """The structure file of the exported model in `folder` or below: the one among the files `loaded` by the inference
    command, else the only one. UserError where there is none, or several; CannotReplay where it loaded several, or the
    format is an old one."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no folder of an exported model")
    found = sorted(
        path for path in folder.rglob("*") if path.suffix in _STRUCTURES and path.with_suffix(".pdiparams").is_file()
    )
    files = {Path(file).resolve() for file in loaded}
    used = [path for path in found if path.resolve() in files]
    used = used or [path for path in found if path.with_suffix(".pdiparams").resolve() in files]
    chosen = used if used else found
    if len(chosen) == 1:
        return chosen[0]
    expected = "expected one .pdmodel or .json with a .pdiparams of the same name"
    if not chosen and any(folder.rglob("__model__")):
        raise CannotReplay("the export wrote __model__, a format of Paddle before 2.0")
    if not chosen:
        raise UserError(f"{folder}: no exported model ({expected})")
    names = ", ".join(str(path.relative_to(folder)) for path in chosen[:5])
    if used:
        raise CannotReplay(f"infer loaded {len(used)} exported models ({names}), and one is expected")
    raise UserError(f"{folder}: {len(chosen)} exported models ({names}); {expected}, or one that the inference loaded")


def _inputs(structure):
    """{name: Feed} from the structure file; {} where it cannot be read."""
    try:
        feeds = _pir_inputs(structure) if structure.suffix == ".json" else _program_inputs(structure)
        return {feed.name: feed for feed in feeds}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OSError):
        return {}


def _pir_inputs(structure):
    (region,) = json.loads(structure.read_bytes())["program"]["regions"]
    for op in region["blocks"][0]["ops"]:
        if op["#"].rpartition(".")[2] == "data":
            name = next(entry["AT"]["D"] for entry in op["A"] if entry["N"] == "name")
            dtype, shape = op["O"][0]["TT"]["D"][:2]
            yield Feed(name, _dtype(dtype["#"].rpartition(".t_")[2]), tuple(map(int, shape)))


def _program_inputs(structure):
    from paddle.base import core

    program = core.ProgramDesc(structure.read_bytes())  # kept: Paddle frees its parts with it
    block = program.block(0)
    operators = [block.op(number) for number in range(block.op_size())]
    for name in (name for op in operators if op.type() == "feed" for name in op.output_arg_names()):
        variable = block.find_var(name.encode())
        yield Feed(name, _dtype(str(variable.dtype()).rpartition(".")[2].lower()), tuple(variable.shape()))


def _dtype(word):
    """NumPy's name of a type as Paddle's files spell it: `i64`, `int64`, `f32` and `fp32`."""
    kind, bits = _TYPE.fullmatch(word).groups()
    return _KINDS[kind] + bits


def _reason(error):
    """The line of Paddle's error that says what is wrong, and the operator that it names: its text fills a page."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error: " in line or "Error) " in line] or lines[:1] or [type(error).__name__]
    failed = _FAILED.search(str(error))
    return f"{told[-1]:.200}" + (f" (operator {failed[1]})" if failed else "")
