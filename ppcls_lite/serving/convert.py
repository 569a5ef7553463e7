"""An exported model as Paddle Serving wants it: its files, and a description of its inputs and outputs.

The folder for the server holds the model and `serving_server_conf.prototxt`, the one for clients
`serving_client_conf.prototxt`; each has a binary twin, `.stream.prototxt`. They are `GeneralModelConfig` messages
(Paddle Serving's `general_model_config.proto`), as `python -m paddle_serving_client.convert` wrote them
up to Paddle 2.4. A model in Paddle 3's own format, `inference.json`, is described in the same way.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from ppcls_lite.infer.model.files import NAMES, find_model, given_files
from ppcls_lite.serving.program import check_params, load_proto, read_program
from ppcls_lite.utils.errors import UserError

# Serving's numbers of the data types
_DATA_TYPES = {
    "int64": 0,
    "float32": 1,
    "int32": 2,
    "float64": 3,
    "int16": 4,
    "float16": 5,
    "bfloat16": 6,
    "uint8": 7,
    "int8": 8,
    "bool": 9,
    "complex64": 10,
    "complex128": 11,
}
_OURS = (".prototxt", ".pdmodel", ".pdiparams", ".info")
_COMPANIONS = ("inference.yml", "label_list.txt")  # the preprocessing and the class names travel with the model
_BY_SERVER = "fluid_time_file"  # a C++ server writes it there


def describe(program, path, feed_aliases=None, fetch_aliases=None):
    """The GeneralModelConfig of a `Program`; aliases are lists of names, or None for the names of the variables."""
    config = load_proto("paddle_serving_server", "proto/general_model_config_pb2.py").GeneralModelConfig()
    # the order in which Paddle Serving's own converter writes them
    outputs = sorted(program.outputs, key=lambda variable: variable.name)
    for kind, variables, aliases in (("feed", program.inputs, feed_aliases), ("fetch", outputs, fetch_aliases)):
        aliases = aliases or [variable.name for variable in variables]
        if len(aliases) != len(variables) or not all(aliases) or len(set(aliases)) != len(aliases):
            names = ", ".join(variable.name for variable in variables)
            raise UserError(
                f"--{kind}_alias_names: expected {len(variables)} different names ({names}), found {aliases}"
            )
        for variable, alias in zip(variables, aliases):
            entry = getattr(config, f"{kind}_var").add()
            entry.name, entry.alias_name = variable.name, alias
            entry.is_lod_tensor = variable.lod_level > 0
            if variable.dtype not in _DATA_TYPES:
                raise UserError(f"{path}: {variable.name} has data type {variable.dtype!r}, unknown to Paddle Serving")
            setattr(entry, f"{kind}_type", _DATA_TYPES[variable.dtype])
            entry.shape.extend([-1] if entry.is_lod_tensor else [side for side in variable.shape if side >= 0])
    return config


def find_files(folder, model_filename=None, params_filename=None):
    """The `ModelFiles` of the model in `folder`, by the names that are given or the usual ones."""
    for option, name in (("--model_filename", model_filename), ("--params_filename", params_filename)):
        if name is not None and (Path(name).name != name or name in ("", "..")):
            raise UserError(f"{option}: expected the name of a file in {folder}, found {name!r:.120}")
    if model_filename is None and params_filename is None:
        return find_model(folder)
    structure = Path(folder, model_filename) if model_filename else find_model(folder).structure
    params = Path(folder, params_filename) if params_filename else structure.with_suffix(".pdiparams")
    if not structure.is_file():
        others = [name for name, _ in NAMES if Path(folder, name).is_file()]
        raise UserError(f"{structure}: no such model file" + (f"; found {', '.join(others)} there" if others else ""))
    return given_files(structure, params)


def convert(folder, server_folder, client_folder, model_filename=None, params_filename=None, **aliases):
    """Write the folders for server and clients from the exported model in `folder`.

    Each folder is written completely or not at all; an earlier conversion in it is replaced. Raises UserError for a
    model that cannot be read, and for a folder that holds anything else. Returns the GeneralModelConfig.
    """
    files = find_files(folder, model_filename, params_filename)
    if files.is_separate:
        raise UserError(f"{folder}: its weights are one file per variable; export them as one, inference.pdiparams")
    model, params = files
    program = read_program(model)
    config = describe(program, model, **aliases)
    check_params(params, program)
    server, client = (Path(path).resolve() for path in (server_folder, client_folder))
    if len({server, client, Path(folder).resolve()}) < 3:
        raise UserError(f"{server_folder}: expected different folders for model, server and client")
    companions = [Path(folder, name) for name in (f"{params.name}.info", *_COMPANIONS)]
    copies = [model, params, *(path for path in companions if path.is_file())]
    contents = {server: ("server", copies), client: ("client", [])}
    try:
        with ExitStack() as stack:
            fresh = {}
            for target, (side, files) in contents.items():
                _check_replaceable(target)
                target.parent.mkdir(parents=True, exist_ok=True)
                fresh[target] = stack.enter_context(
                    tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent)
                )
                _fill(Path(fresh[target], "new"), side, files, config)
            for target in contents:
                _swap(Path(fresh[target]), target)
    except OSError as error:
        raise UserError(
            f"{error.filename or server}: the converted model was not written ({error.strerror})"
        ) from error
    return config


def _fill(folder, side, files, config):
    folder.mkdir()
    for path in files:
        shutil.copyfile(path, folder / path.name)
    (folder / f"serving_{side}_conf.prototxt").write_text(str(config), encoding="utf-8")
    (folder / f"serving_{side}_conf.stream.prototxt").write_bytes(config.SerializeToString())


def _check_replaceable(target):
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"{target}: expected a folder for the converted model, found a file")
    for path in target.iterdir():
        # a JSON file may be anybody's: one that has weights beside it is a model
        is_model = path.suffix == ".json" and path.with_suffix(".pdiparams").is_file()
        is_ours = is_model or path.suffix in _OURS or path.name in (*_COMPANIONS, _BY_SERVER)
        if path.is_dir() or not is_ours:
            raise UserError(f"{target}: holds {path.name!r}, not part of a converted model; use another folder")


def _swap(fresh, target):
    """Move fresh/new to `target`; a folder that is already there moves into `fresh`, which is deleted later."""
    if target.exists():
        os.rename(target, fresh / "old")
    os.rename(fresh / "new", target)
