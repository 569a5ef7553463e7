"""Where an exported model's two parts are: its structure, and its weights in one file or one file per variable."""

from pathlib import Path
from typing import NamedTuple, Optional

from ppcls_lite.utils.errors import UserError

# (structure, weights) as Paddle's versions have named them, newest first
NAMES = (
    ("inference.pdmodel", "inference.pdiparams"),
    ("inference.json", "inference.pdiparams"),
    ("model", "params"),
    ("__model__", "__params__"),
)


ONNX, ONNX_SUFFIX = "inference.onnx", ".onnx"


class ModelFiles(NamedTuple):
    """The files of one exported model; `params` is None when each variable has a file beside the structure, and for
    a model in ONNX's format."""

    structure: Path
    params: Optional[Path]

    @property
    def folder(self):
        return self.structure.parent

    @property
    def is_separate(self):
        return self.params is None and not self.is_onnx

    @property
    def is_json(self):
        """Whether this is Paddle 3's own format, which Serving and Lite cannot read."""
        return self.structure.suffix == ".json"

    @property
    def is_onnx(self):
        """Whether this is a model in ONNX's format, which has its weights in itself."""
        return self.structure.suffix == ONNX_SUFFIX


def find_model(model):
    """The `ModelFiles` of the exported model in the folder `model` (or `model` itself, if it is ModelFiles).

    UserError says what is missing.
    """
    if isinstance(model, ModelFiles):
        return model
    folder = Path(model)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise UserError(f"{folder}: expected a folder with an exported model, found {found}")
    for structure, params in NAMES:
        if (folder / structure).is_file() and (folder / params).is_file():
            return ModelFiles(folder / structure, folder / params)
    for structure, _ in NAMES:
        if (folder / structure).is_file() and not structure.endswith(".json"):
            return ModelFiles(folder / structure, None)
    found = _contents(folder) + (" (Global.use_onnx=True reads it)" if (folder / ONNX).is_file() else "")
    raise UserError(f"{folder}: expected inference.pdmodel or inference.json, and inference.pdiparams, found {found}")


def find_onnx(model):
    """The `ModelFiles` of the model in ONNX's format: the folder `model` that holds an inference.onnx, or the file.

    UserError says what is missing.
    """
    path = Path(model)
    if path.suffix == ONNX_SUFFIX:
        if not path.is_file():
            raise UserError(f"{path}: no such ONNX file")
        return ModelFiles(path, None)
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise UserError(f"{path}: expected a folder with {ONNX}, found {found}")
    if not (path / ONNX).is_file():
        made = "deploy/paddle2onnx/convert.py makes it of an exported model"
        raise UserError(f"{path}: expected {ONNX}, found {_contents(path)}; {made}")
    return ModelFiles(path / ONNX, None)


def _contents(folder):
    return ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"


def given_files(structure, params=None):
    """The `ModelFiles` of two paths as a user gives them.

    `params` is None or the structure's folder when each variable has a file there. UserError names a missing file.
    """
    structure = Path(structure)
    if not structure.is_file():
        raise UserError(f"{structure}: no such model file")
    if params is None or Path(params).resolve() == structure.parent.resolve():
        if structure.suffix == ".json":
            raise UserError(f"{structure}: expected its weights in one file, found no such file named (--p)")
        return ModelFiles(structure, None)
    if not Path(params).is_file():
        raise UserError(f"{params}: no such weights file (one file per variable is read from the model file's folder)")
    return ModelFiles(structure, Path(params))
