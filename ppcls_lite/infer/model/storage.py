"""The two storage forms of an exported model's weights, one file or one file per variable, and their conversion.

Paddle's single file is the variables' files one after the other, in the order of their names, so both forms hold the
same bytes.
"""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.infer.model.files import ModelFiles
from ppcls_lite.infer.model.pir import PirTensor, read_pir
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import check_finite
from ppcls_lite.utils.scratch import ScratchFolder
from ppcls_lite.utils.tensor_files import read_tensors

_STANDARD = ("inference.pdmodel", "inference.pdiparams")


class Operators(NamedTuple):
    """Of a structure file: the `kinds` of the operators that run for each batch where nothing is optimised, which of
    them makes a result {its name: number} (not known of `.json`), and whether there are branches or loops."""

    kinds: list
    made_by: dict
    branches: bool


def variables(structure):
    """{name: shape} of the weights that the structure file needs, in the order of the single file."""
    if structure.suffix == ".json":
        return {weight.name: weight.shape for weight in read_pir(structure).weights}
    program = _program(structure)
    found = [var for var in program.block(0).all_vars() if var.persistable() and var.name() not in ("feed", "fetch")]
    return dict(sorted((var.name(), list(var.shape())) for var in found))


def inputs(structure):
    """The inputs of the structure file, a `PirTensor` each, in the order in which they are fed."""
    if structure.suffix == ".json":
        return read_pir(structure).inputs
    program = _program(structure)
    block = program.block(0)
    feeds = [block.op(number) for number in range(block.op_size()) if block.op(number).type() == "feed"]
    fed = [block.find_var(op.output("Out")[0].encode()) for op in sorted(feeds, key=lambda op: op.attr("col"))]
    return [PirTensor(var.name(), str(var.dtype()).rpartition(".")[2], list(var.shape())) for var in fed]


def operators(structure):
    """The `Operators` of the structure file."""
    if structure.suffix == ".json":
        program = read_pir(structure)
        return Operators(program.operators, {}, program.branches)
    program = _program(structure)
    block = program.block(0)
    found = [block.op(number) for number in range(block.op_size())]
    found = [op for op in found if op.type() not in ("feed", "fetch")]
    made_by = {name: number for number, op in enumerate(found) for name in op.output_arg_names()}
    return Operators([op.type() for op in found], made_by, program.num_blocks() > 1)


def _program(structure):
    """The program; a caller that reads its parts has to keep it, since Paddle frees the parts with it."""
    from paddle.base import core

    try:
        return core.ProgramDesc(Path(structure).read_bytes())
    except (ValueError, RuntimeError):
        folder, name = Path(structure).parent, Path(structure).name
        raise UserError(
            f"{folder}: Paddle Inference cannot load it: {name} is not a Paddle program, or damaged"
        ) from None


def check_params(files):
    """Raise UserError unless the weights file holds the variables of the structure, all of them finite numbers.

    Paddle itself loads a cut file, or that of another model, without an error and reads stray memory instead.
    """
    expected, found = variables(files.structure), read_tensors(files.params)
    if len(expected) != len(found):
        raise UserError(f"{files.params}: holds {len(found)} variables, {files.structure.name} has {len(expected)}")
    for (name, shape), (_, _, array) in zip(expected.items(), found):
        _check_shape(files.params, name, shape, array)
        check_finite({f"variable '{name}'": array}, files.params)


def joined_params(files):
    """The bytes of the single weights file for a model with one file per variable."""
    parts = []
    for name, shape in variables(files.structure).items():
        path = files.folder / name
        if Path(name).name != name or not path.is_file():
            raise UserError(
                f"{files.folder}: no weights for {files.structure.name}: there is neither one file of them nor "
                f"a file '{name}' of this variable"
            )
        tensors = read_tensors(path)
        if len(tensors) != 1:
            raise UserError(f"{path}: expected one tensor, found {len(tensors)}")
        _check_shape(path, name, shape, tensors[0][2])
        check_finite({f"variable '{name}'": tensors[0][2]}, path)
        parts.append(path.read_bytes())
    return b"".join(parts)


def write_separate(files, folder):
    """Write each variable of the model `files` (with a single weights file) to a file of its own in `folder`."""
    check_params(files)
    content = files.params.read_bytes()
    for name, (start, end, _) in zip(variables(files.structure), read_tensors(files.params)):
        if Path(name).name != name:
            raise UserError(f"{files.structure}: variable '{name}' cannot be a file's name")
        Path(folder, name).write_bytes(content[start:end])


@contextmanager
def standard_files(files, always=False):
    """The same model as `inference.pdmodel` with one `inference.pdiparams`, which some engines require.

    They are the model's own files, or links and a joined file in a temporary folder that is removed afterwards.
    `always` links even files of these names, and so leaves out `inference.pdiparams.info`, a pickle that
    `paddle.jit.load` would otherwise execute.
    """
    is_standard = not files.is_separate and (files.structure.name, files.params.name) == _STANDARD
    if not always and (files.is_json or is_standard):
        yield files
        return
    with ScratchFolder() as folder:
        structure = files.structure.name if files.is_json else _STANDARD[0]
        standard = ModelFiles(Path(folder, structure), Path(folder, _STANDARD[1]))
        os.symlink(files.structure.resolve(), standard.structure)
        if files.is_separate:
            standard.params.write_bytes(joined_params(files))
        else:
            os.symlink(files.params.resolve(), standard.params)
        yield standard


def _check_shape(path, name, shape, array):
    if list(array.shape) != shape:
        raise UserError(f"{path}: variable '{name}' is {list(array.shape)}, its structure has {shape}")
