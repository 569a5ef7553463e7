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


class ModelFiles(NamedTuple):
    """The files of one exported model; `params` is None when each variable has a file beside the structure."""

    structure: Path
    params: Optional[Path]

    @property
    def folder(self):
        return self.structure.parent

    @property
    def is_separate(self):
        return self.params is None

    @property
    def is_json(self):
        """Whether this is Paddle 3's own format, which Serving and Lite cannot read."""
        return self.structure.suffix == ".json"


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
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    raise UserError(f"{folder}: expected inference.pdmodel or inference.json, and inference.pdiparams, found {found}")


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
