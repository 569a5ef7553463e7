"""Read `.pdparams`, `.pdopt` and `.pdstates` files without running anything that they ask for.

Paddle saves pickles, and a pickle may name any function to call. Paddle's own need nothing but NumPy's array
constructors, so every other name is refused (the `pickle` documentation, "Restricting Globals").
"""

import collections
import pickle
from pathlib import Path

import numpy as np

from ppcls_lite.utils.errors import UserError

_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "tuple"): tuple,
}
_ARRAY_BUILDERS = {"_reconstruct", "scalar"}
_NAME_TABLE = "StructuredToParameterName@@"  # Paddle's own list of parameter names, no weight


class _Refused(Exception):
    pass


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _ARRAY_BUILDERS:
            return getattr(np.core.multiarray if np.__version__ < "2" else np._core.multiarray, name)
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 spells the bytes of an array
            return _encode_latin1
        raise _Refused(f"{module}.{name}")


def _encode_latin1(text, encoding):
    if encoding != "latin1":
        raise _Refused(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


def load_plain(path):
    """The arrays, numbers, texts and containers in the pickle at `path`.

    Raises UserError when the file is missing, damaged, or asks for anything but arrays and plain containers.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        with path.open("rb") as stream:
            return _ArrayUnpickler(stream).load()
    except _Refused as refused:
        raise UserError(
            f"{path}: refused: the file asks to load '{refused}', and a weights file may hold arrays only"
        ) from None
    except Exception as error:  # damaged bytes make the unpickler raise nearly any type
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a Paddle weights file, or a damaged one ({detail})") from None


def load_arrays(path):
    """The state dict at `path`: {entry name: ndarray}, in the file's order.

    `path` may leave `.pdparams` off, as PaddleClas's options do. Raises UserError as `load_plain` does, and when
    the file holds something else than named arrays.
    """
    state = load_plain(with_suffix(path, ".pdparams"))
    if not isinstance(state, dict):
        raise UserError(f"{path}: expected named arrays, found {type(state).__name__}")
    arrays = {name: value for name, value in state.items() if name != _NAME_TABLE}
    for name, value in arrays.items():
        # tensors outside a state dict are kept as (name, array) pairs
        if isinstance(value, tuple) and len(value) == 2:
            value = arrays[name] = value[1]
        if not isinstance(value, np.ndarray) or value.dtype.hasobject:
            raise UserError(f"{path}: entry '{name}' is no array of numbers ({type(value).__name__})")
    return arrays


def with_suffix(path, suffix):
    """`path` with `suffix` appended unless it has it: `best_model` and `best_model.pdparams` mean one file."""
    path = str(path)
    return Path(path if path.endswith(suffix) else path + suffix)


def set_weights(model, arrays, source):
    """Load named arrays into `model`; every missing, unexpected or wrongly shaped entry is named in the UserError."""
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    problems = [f"missing {name} {shape}" for name, shape in expected.items() if name not in arrays]
    problems += [f"unexpected {name} {list(value.shape)}" for name, value in arrays.items() if name not in expected]
    problems += [
        f"{name} is {list(arrays[name].shape)}, expected {shape}"
        for name, shape in expected.items()
        if name in arrays and list(arrays[name].shape) != shape
    ]
    if problems:
        raise UserError(f"{source}: does not fit the network, {len(problems)} entries: " + "; ".join(problems))
    model.set_state_dict(arrays)
