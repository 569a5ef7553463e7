"""Read `.pdparams`, `.pdopt` and `.pdstates` files without running anything that they name.

Paddle saves pickles, and a pickle may name any function to call. Paddle's own need nothing but NumPy's array
constructors, so every other name is refused (the `pickle` documentation, "Restricting Globals"). And those
constructors are replaced by ones that check their arguments: NumPy's `dtype.__setstate__` believes a file that
declares bytes to be Python objects, and such an array makes the interpreter follow the addresses in the file.
"""

import math
import pickle
import re
from pathlib import Path

import numpy as np

from ppcls_lite.utils.errors import SHOWN, UserError, first_of
from ppcls_lite.utils.tensor_files import read_folder

_NUMBERS = re.compile(r"b1|[iu][1248]|f[248]|c8|c16")
_NAME_TABLE = "StructuredToParameterName@@"  # Paddle's own list of parameter names, not a weight


class _Refused(Exception):
    pass


class _Dtype:
    """Takes the place of `numpy.dtype` in a pickle: plain numbers only."""

    def __init__(self, code, align=False, copy=False):
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            raise _Refused(f"numpy.dtype({code!r:.40})")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        _, order, *rest = state
        if order not in ("<", ">", "|", "=") or rest != [None, None, None, -1, -1, 0]:
            raise _Refused(f"numpy.dtype.__setstate__({state!r:.80})")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray):
    """The array that a pickle builds in two steps: an empty one, then its state."""

    def __setstate__(self, state):
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Dtype) or not isinstance(data, bytes):
            raise ValueError("an array of other things than numbers")
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(f"an array of shape {shape!r:.40}")
        if math.prod(shape) * kind.dtype.itemsize != len(data):
            raise ValueError(f"an array of shape {shape!r:.40} in {len(data)} bytes")
        super().__setstate__((1, shape, kind.dtype, bool(fortran), data))


def _empty_array(kind, shape, code):
    return np.ndarray.__new__(_Array, (0,), np.uint8)  # shape and kind come again with the state


def _scalar(kind, data):
    (value,) = np.frombuffer(data, kind.dtype)
    return value


_ALLOWED = {
    ("numpy", "ndarray"): None,  # only ever an argument
    ("numpy", "dtype"): _Dtype,
    ("collections", "OrderedDict"): dict,  # which keeps its order, too, and has no attributes to be replaced
    ("builtins", "tuple"): tuple,
}
_ARRAY_BUILDERS = {"_reconstruct": _empty_array, "scalar": _scalar}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _ARRAY_BUILDERS:
            return _ARRAY_BUILDERS[name]
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 spells the bytes of an array
            return _encode_latin1
        raise _Refused(f"{module}.{name}")


def _encode_latin1(text, encoding):
    if encoding != "latin1":
        raise _Refused(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


def load_plain(path):
    """The arrays, numbers, texts and containers in the pickle at `path`.

    Raises UserError when the file is missing, damaged, or names anything but arrays and plain containers.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        with path.open("rb") as stream:
            return _plain(_ArrayUnpickler(stream).load())
    except _Refused as refused:
        raise UserError(
            f"{path}: refused: the file asks to load '{refused}', and a weights file may hold arrays only"
        ) from None
    except Exception as error:  # damaged bytes make the unpickler raise nearly any type
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a Paddle weights file, or a damaged one ({detail})") from None


def load_arrays(path, suffix=".pdparams"):
    """The state dict at `path`: {entry name: ndarray}, in the file's order.

    `path` may leave the suffix off, as PaddleClas's options do, or be a folder with one file per variable, named as
    the entry. What is stored as float16 (see `as_float16`) comes as float32, which every network here computes in.
    Raises UserError as `load_plain` does, and when the file holds anything but named arrays of finite numbers.
    """
    if Path(path).is_dir() and not with_suffix(path, suffix).is_file():
        arrays = read_folder(path)
    else:
        path = with_suffix(path, suffix)
        arrays = _named_arrays(path)
    check_finite(arrays, path)
    return {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in arrays.items()}


def as_float16(arrays):
    """{name: ndarray} to store in half the space: float32 of two or more dimensions as float16, the rest as it is.

    BatchNorm's statistics and biases have one dimension: they take little room, and their range is wider. Raises
    UserError, with the entry's name, for a number that float16 cannot hold.
    """
    halves = {}
    for name, array in arrays.items():
        is_large = array.ndim > 1 and array.dtype == np.float32
        with np.errstate(over="ignore"):
            halves[name] = array.astype(np.float16) if is_large else array
        if is_large and not np.isfinite(halves[name]).all():
            largest = np.abs(array).max()
            raise UserError(f"{name}: float16 holds numbers up to {np.finfo(np.float16).max:g}, found {largest:g}")
    return halves


def check_finite(arrays, source):
    """UserError when one of {name: ndarray} holds numbers that are nan or infinite: nothing can be computed of them."""
    for name, array in arrays.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            count = array.size - int(np.isfinite(array).sum())
            raise UserError(f"{source}: {name} holds numbers that are nan or infinite ({count} of {array.size})")


def _named_arrays(path):
    state = load_plain(path)
    if not isinstance(state, dict):
        raise UserError(f"{path}: expected named arrays, found {type(state).__name__}")
    arrays = {name: value for name, value in state.items() if name != _NAME_TABLE}
    for name, value in arrays.items():
        # tensors outside a state dict are kept as (name, array) pairs
        if isinstance(value, tuple) and len(value) == 2:
            value = arrays[name] = value[1]
        if not isinstance(value, np.ndarray):
            raise UserError(f"{path}: entry '{name}' is not an array of numbers ({type(value).__name__})")
    return arrays


def _plain(value):
    """`value` with NumPy's own arrays in it; a container that holds itself raises RecursionError."""
    if isinstance(value, _Array):
        return value.view(np.ndarray)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value


def with_suffix(path, suffix):
    """`path` with `suffix` appended unless it has it: `best_model` and `best_model.pdparams` mean one file."""
    path = str(path)
    return Path(path if path.endswith(suffix) else path + suffix)


def set_weights(model, arrays, source, network=""):
    """Load named arrays into `model`; UserError when entries are missing, unexpected or wrongly shaped.

    It names the first of them. Where there are more, `network`, how the config names the network, such as `Arch.name
    ResNet18`, is named too: the weights are of another one then, most often.
    """
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    problems = [f"missing {name} {shape}" for name, shape in expected.items() if name not in arrays]
    problems += [f"unexpected {name} {list(value.shape)}" for name, value in arrays.items() if name not in expected]
    problems += [
        f"{name} is {list(arrays[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in arrays and list(arrays[name].shape) != shape
    ]
    if problems:
        of_another = network and len(problems) > SHOWN
        hint = f"; are they of another network than {network}?" if of_another else ""
        raise UserError(f"{source}: does not fit the network, {len(problems)} entries: {first_of(problems)}{hint}")
    model.set_state_dict(arrays)
