"""Read an exported model's description: its inputs and outputs, and whether its weights file is complete.

Reads the files of `paddle.jit.save` (`.pdmodel`, a ProgramDesc; `.pdiparams`, tensors one after the other) with
Paddle's own message definitions, without importing Paddle.
"""

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.tensor_files import read_tensors

# FeedFetchList and ReaderBase variables are persistable too, and have no tensor.
_TENSOR = 7


class Variable(NamedTuple):
    """An input or output: its name, Paddle's number of its data type, and its shape, -1 where it may vary."""

    name: str
    data_type: int
    shape: list
    lod_level: int


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
                    found = importlib.util.spec_from_file_location(name, path)
                    sys.modules[name] = importlib.util.module_from_spec(found)
                    with warnings.catch_warnings():  # the generated code is old
                        warnings.simplefilter("ignore")
                        found.loader.exec_module(sys.modules[name])
                return sys.modules[name]
    raise UserError(
        f"this Python has no {package} with {places[0]}; set it up with: bash test_tipc/prepare.sh CONFIG serving_infer"
    )


def read_program(path):
    """The ProgramDesc in a `.pdmodel` file; UserError for anything else."""
    framework = load_proto("paddle", "base/proto/framework_pb2.py", "fluid/proto/framework_pb2.py")
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the model's structure cannot be read ({error.strerror})") from None
    if data.lstrip()[:1] == b"{":
        raise UserError(
            f"{path}: expected a .pdmodel, found the .json format, which Paddle Serving cannot read; export it again "
            "with the environment variable FLAGS_enable_pir_api=0"
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


def inputs_and_outputs(program, path):
    """(inputs, outputs) of a program, each a list of `Variable` in the order in which they are fed and fetched."""
    block = program.blocks[0]
    described = {var.name: var for var in block.vars}
    found = {"feed": {}, "fetch": {}}
    for op in block.ops:
        if op.type in found:
            column = next((attribute.i for attribute in op.attrs if attribute.name == "col"), 0)
            slots = op.outputs if op.type == "feed" else op.inputs
            name = "".join(slots[0].arguments) if slots else ""
            tensor = _tensor(described[name]) if name in described else None
            if tensor is None:
                raise UserError(f"{path}: the {op.type} variable {name!r:.80} is not described as a tensor")
            levels = getattr(tensor, "lod_level", None) or getattr(tensor, "legacy_lod_level", 0)
            found[op.type][column] = Variable(name, tensor.tensor.data_type, list(tensor.tensor.dims), levels)
    feeds, fetches = ([found[kind][column] for column in sorted(found[kind])] for kind in ("feed", "fetch"))
    if not feeds or not fetches:
        raise UserError(
            f"{path}: the program has {len(feeds)} inputs and {len(fetches)} outputs: it is not an inference model"
        )
    return feeds, fetches


def check_params(path, program):
    """Raise UserError unless the weights file holds exactly the program's tensors, complete.

    Paddle loads a truncated file without an error, and then computes with uninitialised memory.
    """
    variables = [var for var in program.blocks[0].vars if var.persistable and var.type.type == _TENSOR]
    found = read_tensors(path)
    if len(found) != len(variables):
        raise UserError(f"{path}: holds {len(found)} tensors, and the model has {len(variables)}")
    for var, (_, _, array) in zip(sorted(variables, key=lambda var: var.name), found):
        expected = list(_tensor(var).tensor.dims)
        if list(array.shape) != expected:
            raise UserError(f"{path}: the tensor {var.name!r:.80} is {list(array.shape)}, and the model has {expected}")
