"""The structure file of Paddle 3's own format, `inference.json`: a program in PIR, its intermediate representation.

`paddle.jit.save` writes it from 3.0 on, and from 3.2 on nothing else. Its one block holds the weights (`p`), the inputs
(`data`), the operators and the outputs (`fetch`), each with the types of its results. Paddle is not imported here.
"""

import json
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError

_BUILTIN = "0"  # of PIR itself: such an operator lists tensors, and computes nothing
# Paddle's types as NumPy names them
_TYPES = {
    "t_bool": "bool",
    "t_ui8": "uint8",
    "t_i8": "int8",
    "t_i16": "int16",
    "t_i32": "int32",
    "t_i64": "int64",
    "t_f16": "float16",
    "t_bf16": "bfloat16",
    "t_f32": "float32",
    "t_f64": "float64",
}


class PirTensor(NamedTuple):
    """An input, output or weight: its name, NumPy's name of its type ("" if there is none), and its shape, -1 where
    it may vary."""

    name: str
    dtype: str
    shape: list


class PirProgram(NamedTuple):
    """`inputs` and `outputs` in the order in which they are fed and fetched, `weights` in that of the weights file.

    `operators` are the kinds of those that depend on an input, such as `conv2d`, in the order of the file; `constants`
    those of the others, which Paddle computes once, when it loads the model. Those that only make a list of tensors or
    take one apart are left out. `branches` says whether there is a branch or a loop, with operators of its own.
    """

    inputs: list
    outputs: list
    weights: list
    operators: list
    constants: list
    branches: bool


def read_pir(path):
    """The `PirProgram` in the file; UserError for anything else."""
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: the model's structure cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not a Paddle program in JSON, or damaged") from None
    try:
        if content["base_code"]["magic"] != "pir":
            raise KeyError
        (region,) = content["program"]["regions"]
        (block,) = region["blocks"]
        return _program(block["ops"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path}: not an inference model as Paddle 3 writes it") from None


def _program(ops):
    inputs, outputs, weights, operators, constants = [], {}, [], [], []
    variable = set()  # the results that depend on an input
    branches = False
    for op in ops:
        dialect, _, kind = op["#"].rpartition(".")
        if kind == "p":
            weights.append(_tensor(op["A"][3], op["O"]))
        elif kind == "data":
            inputs.append(_tensor(_attributes(op)["name"], op["O"][0]))
            variable.add(op["O"][0]["%"])
        elif kind == "fetch":
            attributes = _attributes(op)
            outputs[attributes["col"]] = _tensor(attributes["name"], op["O"][0])
        else:
            branches = branches or bool(op.get("regions"))
            depends = not variable.isdisjoint(entry["%"] for entry in op["I"])
            if depends:
                variable.update(entry["%"] for entry in op["O"])
            if not _is_about_lists(dialect, op):
                (operators if depends else constants).append(kind)
    ordered = [outputs[column] for column in sorted(outputs)]
    ordered_weights = sorted(weights, key=lambda one: one.name)
    return PirProgram(inputs, ordered, ordered_weights, operators, constants, branches)


def _is_about_lists(dialect, op):
    """Whether Paddle's hook cannot see the operator: it is PIR's own, or its results are lists of tensors."""
    return dialect == _BUILTIN or all(entry["TT"]["#"] == "0.t_vec" for entry in op["O"])


def _attributes(op):
    return {entry["N"]: entry["AT"]["D"] for entry in op["A"]}


def _tensor(name, result):
    dtype, shape = result["TT"]["D"][:2]
    if not str(name).isprintable():  # names end on the screen
        raise ValueError(name)
    return PirTensor(str(name), _TYPES.get(dtype["#"].rpartition(".")[2], ""), [int(side) for side in shape])
