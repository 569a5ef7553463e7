"""The tensors of a file of trained weights (`.pdparams`), without Paddle, and without running anything that it names.

`paddle.save` pickles {name: array}; a tensor outside a state dict is a pair of its name in the program and the array.
Beside them are Paddle's own tables: of the names in the program, and, in files of old protocols, of the slices that
tensors over a gigabyte are cut into. Checkpoints may hold dictionaries within: the averaged weights of PaddleDetection,
an optimizer's state, the number of the epoch.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diagnosis.weights.plain_pickle import read_pickle
from script import UserError

ENDING = ".pdparams"
_NAMES, _SLICES = "StructuredToParameterName@@", "UnpackBigParamInfor@@"
_WHAT = "a file of trained weights"


class Checkpoint(NamedTuple):
    """`arrays` {name: array}, in the file's order; `internal` {name: the parameter's name in the program} of those
    whose name is known."""

    arrays: dict
    internal: dict


def find_checkpoint(path):
    """The file that `path` means, which may be given without its ending; None where there is none."""
    return next((one for one in (Path(path), Path(f"{path}{ENDING}")) if one.is_file()), None)


def read_arrays(path):
    """{name: array} of the tensors of a `.pdparams` file, in its order; those of dictionaries within are `outer/name`.

    bfloat16 is there as Paddle writes it: uint16. UserError when the file cannot be read, is damaged or cut, names
    anything but arrays, or holds none.
    """
    return read_checkpoint(path).arrays


def read_checkpoint(path):
    """The `Checkpoint` in a `.pdparams` file; errors as above."""
    try:
        with Path(path).open("rb") as stream:
            content = read_pickle(path, stream, _WHAT)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    found = Checkpoint({}, {})
    try:
        _collect(content, "", found)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the table of its cut tensors does not fit them ({error})") from None
    if not found.arrays:
        raise UserError(f"{path}: expected {_WHAT}, found no tensor in it")
    return found


def _collect(content, prefix, found):
    """Add the arrays of a value of the file; `prefix` names the dictionaries around it."""
    if isinstance(content, tuple) and len(content) == 2 and isinstance(content[1], np.ndarray):
        name = prefix.rstrip("/") or str(content[0])
        if isinstance(content[0], str):
            found.internal[name] = content[0]
        content = content[1]
        found.arrays[name] = content
    elif isinstance(content, np.ndarray):
        found.arrays[prefix.rstrip("/") or "array"] = content
    elif isinstance(content, dict):
        _collect_dict(content, prefix, found)
    elif isinstance(content, list):
        for number, value in enumerate(content):
            _collect(value, f"{prefix}{number}/", found)


def _collect_dict(content, prefix, found):
    names = content.get(_NAMES)
    if isinstance(names, dict):
        found.internal.update({f"{prefix}{key}": name for key, name in names.items() if isinstance(name, str)})
    slices = content.get(_SLICES) or {}
    parts = {part for one in slices.values() for part in one["slices"]}
    for key, value in content.items():
        if key not in (_NAMES, _SLICES) and key not in parts:
            _collect(value, f"{prefix}{key}/", found)
    for key, one in slices.items():
        whole = np.concatenate([content[part].reshape(-1) for part in one["slices"]])
        if math.prod(one["OriginShape"]) != whole.size:
            raise ValueError(f"{key} has {whole.size} numbers, expected {list(one['OriginShape'])}")
        found.arrays[f"{prefix}{key}"] = whole.reshape(one["OriginShape"])
