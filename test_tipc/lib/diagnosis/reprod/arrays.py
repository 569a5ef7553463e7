"""Files of reprod_log (1.0.1), the format in which guides to reproduce papers with Paddle compare arrays.

`ReprodLogger.save` is `numpy.save` of {name: array}: an array of one Python object, which is a pickle behind the head
of a `.npy`. It is read here without running anything that it names, and written so that `ReprodDiffHelper.load_info`
reads it. `ReprodDiffHelper` judges by the mean of the differences, which hides one wrong number among a million, and
lets nan pass; both figures are given here, and both must be small.
"""

from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from agreement import limits
from diagnosis.weights.plain_pickle import read_pickle
from script import UserError, atomic_write

LIMIT = 1e-6  # of the mean difference, as ReprodDiffHelper has it
_LARGEST = 100  # times it: the largest difference, a share of the largest number where that is over 1
_WHAT = "a file of reprod_log"
_HEADS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Row(NamedTuple):
    """One name of two files: figures are None where nothing could be computed, as `why` says."""

    name: str
    mean: Optional[float]
    largest: Optional[float]
    passed: bool
    why: str = ""


def read_reprod(path):
    """{name: array} of a file of reprod_log, whose `.npy` may be left off; a dictionary within is `outer/name`.

    UserError when it cannot be read, is damaged or cut, names anything but arrays, or is another kind of file.
    """
    path = Path(path)
    path = path if path.is_file() else path.with_name(f"{path.name}.npy")
    try:
        with path.open("rb") as stream:
            shape, dtype = _head(path, stream)
            if not dtype.hasobject or shape != ():
                raise UserError(f"{path}: expected {_WHAT}, found an array {dtype} {list(shape)}")
            content = read_pickle(path, stream, _WHAT)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected {_WHAT}, which holds named arrays, found {type(content).__name__}")
    return _flat(path, content)


def _head(path, stream):
    try:
        shape, _, dtype = _HEADS[np.lib.format.read_magic(stream)](stream)
    except (ValueError, KeyError, TypeError, SyntaxError) as error:
        raise UserError(f"{path}: expected {_WHAT}, found no .npy ({f'{error}'.splitlines()[0]:.80})") from None
    return shape, dtype


def _flat(path, content, prefix=""):
    found = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found.update(_flat(path, value, f"{name}/"))
        elif isinstance(value, np.ndarray):
            found[name] = value
        else:
            raise UserError(f"{path}: {name}: expected an array, found {type(value).__name__}")
    return found


def write_reprod(path, arrays):
    """Write {name: array} for `ReprodDiffHelper.load_info`; the file is whole or not there. OSError names it."""
    with atomic_write(path, "wb") as stream:
        np.save(stream, {str(name): np.asarray(array) for name, array in arrays.items()})


def compare_reprod(reference, other, limit=LIMIT):
    """[Row] of two {name: array}: the reference's names in their order, then those that only the other has.

    A name passes where the mean difference is at most `limit`, and the largest at most 100 times that, or as large a
    share of the largest number. An array whose sides are in reverse order is turned, as ReprodDiffHelper does.
    """
    rows = [_row(name, array, other.get(name), limit) for name, array in reference.items()]
    rows += [Row(name, None, None, False, "only the other has it") for name in other if name not in reference]
    return rows


def _row(name, first, second, limit):
    if second is None:
        return Row(name, None, None, False, "only the reference has it")
    turned = first.shape != second.shape == first.T.shape
    if first.shape != second.shape and not turned:
        return Row(name, None, None, False, f"expected {list(first.shape)}, found {list(second.shape)}")
    first = first.T if turned else first
    if first.dtype.kind not in "fiub" or second.dtype.kind not in "fiub":
        same = bool(np.array_equal(first, second))
        return Row(name, None, None, same, "" if same else f"{first.dtype} and {second.dtype} are not equal")
    apart = _apart(first, second)
    mean, largest = (float(apart.mean()), float(apart.max())) if apart.size else (0.0, 0.0)
    most = _LARGEST * limit * max(1.0, limits.scale(first))
    why = "its sides are in reverse order" if turned else ""
    return Row(name, mean, largest, mean <= limit and largest <= most, why)


def _apart(first, second):
    """The absolute differences of two arrays of one shape; inf where only one of two numbers is finite."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.atleast_1d(np.abs(first - second))
    apart[np.atleast_1d((first == second) | (np.isnan(first) & np.isnan(second)))] = 0.0
    return np.nan_to_num(apart, nan=np.inf, posinf=np.inf)
