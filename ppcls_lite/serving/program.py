"""Read an exported model's description: its inputs and outputs, and whether its weights file is complete.

Reads the files of `paddle.jit.save` without importing Paddle: the structure as `.pdmodel` (a ProgramDesc, with Paddle's
own message definitions) or as `.json` (Paddle 3's own format), and `.pdiparams` (tensors one after the other).
"""

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.infer.model.pir import read_pir
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.tensor_files import read_tensors

# FeedFetchList and ReaderBase variables are persistable too, and have no tensor.
_TENSOR = 7

# NumPy's name of a data type, by Paddle's number (framework.proto, VarType.Type)
_TYPES = {
    0: "bool",
    1: "int16",
    2: "int32",
    3: "int64",
    4: "float16",
    5: "float32",
    6: "float64",
    20: "uint8",
    21: "int8",
    22: "bfloat16",
    23: "complex64",
    24: "complex128",
}


class Variable(NamedTuple):
    """An input, output or weight: its name, NumPy's name of its data type (Paddle's number of one that NumPy has not),
    and its shape, -1 where it may vary."""

    name: str
    dtype: str
    shape: list
    lod_level: int = 0


class Program(NamedTuple):
    """What an exported model says about itself, each a list of `Variable`.

    `inputs` and `outputs` are in the order in which they are fed and fetched, `weights` in that of the weights file.
    """

    inputs: list
    outputs: list
    weights: list


def load_proto(package, *places):
    """A generated protobuf module of an installed package, without importing the package itself (seconds).

    Args:
        places: its possible places in the package's folder; the first one found is taken.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        for place in places:
            path = Path(folder, place)
            if path.is_file():
                name = f"_{package}_{path.stem}"
                if name not in sys.modules:
                    sys.modules[name] = _load(name, path)
                return sys.modules[name]
    raise UserError(
        f"this Python has no {package} with {places[0]}; set it up with: bash test_tipc/prepare.sh CONFIG serving_infer"
    )


def _load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    try:
        with warnings.catch_warnings():  # the generated code is old
            warnings.simplefilter("ignore")
            spec.loader.exec_module(module)
    except (ImportError, TypeError, AttributeError) as error:  # as protobuf refuses code for another version of it
        raise UserError(
            f"{path}: this Python's protobuf cannot load it ({first_line(error)}); "
            "for Paddle Serving: bash test_tipc/install_serving.sh PYTHON"
        ) from error
    return module


def first_line(error):
    """The beginning of an error's text, which protobuf writes a page of."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def read_program(path):
    """The `Program` in a structure file, `.json` or `.pdmodel`; UserError for anything else."""
    path = Path(path)
    if path.suffix == ".json":
        found = read_pir(path)
        program = Program(*([Variable(*tensor) for tensor in part] for part in found[:3]))
    else:
        described = _read_description(path)
        program = Program(*_inputs_and_outputs(described, path), _weights(described, path))
    if not program.inputs or not program.outputs:
        raise UserError(
            f"{path}: the program has {len(program.inputs)} inputs and {len(program.outputs)} outputs: it is not an "
            "inference model"
        )
    return program


def _read_description(path):
    """The ProgramDesc in a `.pdmodel` file."""
    framework = load_proto("paddle", "base/proto/framework_pb2.py", "fluid/proto/framework_pb2.py")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the model's structure cannot be read ({error.strerror})") from None
    if data.lstrip()[:1] == b"{":
        raise UserError(
            f"{path}: holds Paddle 3's JSON format, which Paddle reads from a file named inference.json only"
        )
    program = framework.ProgramDesc()
    try:
        program.ParseFromString(data)
    except Exception:  # protobuf's DecodeError, which has moved between its versions
        program.Clear()
    if not program.blocks or not program.blocks[0].ops:
        raise UserError(
            f"{path}: expected the structure of an exported model, found {len(data)} bytes of something else"
        )
    return program


def _tensor(var):
    """The tensor description of a variable, or None: Paddle 3 renamed the field."""
    for name in ("dense_tensor", "lod_tensor"):
        if name in var.type.DESCRIPTOR.fields_by_name and var.type.HasField(name):
            return getattr(var.type, name)
    return None


def _variable(kind, name, tensor, path):
    if tensor is None:
        raise UserError(f"{path}: the {kind} variable {name!r:.80} is not described as a tensor")
    levels = getattr(tensor, "lod_level", None) or getattr(tensor, "legacy_lod_level", 0)
    number = tensor.tensor.data_type
    return Variable(name, _TYPES.get(number, str(number)), list(tensor.tensor.dims), levels)


def _inputs_and_outputs(program, path):
    block = program.blocks[0]
    described = {var.name: var for var in block.vars}
    found = {"feed": {}, "fetch": {}}
    for op in block.ops:
        if op.type in found:
            column = next((attribute.i for attribute in op.attrs if attribute.name == "col"), 0)
            slots = op.outputs if op.type == "feed" else op.inputs
            name = "".join(slots[0].arguments) if slots else ""
            tensor = _tensor(described[name]) if name in described else None
            found[op.type][column] = _variable(op.type, name, tensor, path)
    return ([found[kind][column] for column in sorted(found[kind])] for kind in ("feed", "fetch"))


def _weights(program, path):
    variables = [var for var in program.blocks[0].vars if var.persistable and var.type.type == _TENSOR]
    return [_variable("weight", var.name, _tensor(var), path) for var in sorted(variables, key=lambda var: var.name)]


def check_params(path, program):
    """Raise UserError unless the weights file holds exactly the `Program`'s tensors, complete.

    Paddle loads a truncated file without an error, and then computes with uninitialised memory.
    """
    found = read_tensors(path)
    if len(found) != len(program.weights):
        raise UserError(f"{path}: holds {len(found)} tensors, and the model has {len(program.weights)}")
    for weight, (_, _, array) in zip(program.weights, found):
        if list(array.shape) != weight.shape:
            raise UserError(
                f"{path}: the tensor {weight.name!r:.80} is {list(array.shape)}, and the model has {weight.shape}"
            )
