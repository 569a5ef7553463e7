"""Images sorted into one folder per predicted class: labels to begin with, for a data set that has none."""

import filecmp
import itertools
import shutil
from pathlib import Path

from ppcls_lite.utils.errors import UserError


def save_pre_label(folder, path, result):
    """Copy the image `path` to `folder`/<id of its best class>/, as PaddleClas's `save_dir` does.

    An image of that name and another content keeps its place: the new one gets `_2`, `_3`, … before its ending.
    UserError when it cannot be written.
    """
    target = Path(folder, str(result["class_ids"][0]))
    try:
        target.mkdir(parents=True, exist_ok=True)
        free = next(place for place in _places(target, Path(path)) if not _is_other(place, path))
        if not free.exists():
            shutil.copyfile(path, free)
    except OSError as error:
        raise UserError(f"save_dir={folder}: {path} cannot be copied there ({error.strerror or error})") from error


def _places(folder, path):
    yield folder / path.name
    for number in itertools.count(2):
        yield folder / f"{path.stem}_{number}{path.suffix}"


def _is_other(place, path):
    return place.exists() and not filecmp.cmp(place, path, shallow=False)
