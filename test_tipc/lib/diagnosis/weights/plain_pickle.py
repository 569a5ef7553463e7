"""Pickles of arrays, read without running anything that they name.

A pickle may name any function to call. Those of weights need only what rebuilds an array of NumPy, so every other name
is refused (the documentation of `pickle`, "Restricting Globals"). What takes the place of the allowed names are plain
objects that check their arguments: NumPy's own would believe a file that declares bytes to be addresses of Python
objects, and a pickle could change the attributes of functions and classes.
"""

import math
import pickle
import re

import numpy as np

from script import UserError

_NUMBERS = re.compile(r"b1|[iu][1248]|f[248]|c8|c16")
_ORDERS = ("<", ">", "|", "=")
_OBJECT = "O8"
_MOST = 200_000  # values of a file: a few bytes may spell a container that holds itself a billion times


class _Refused(Exception):
    """The file names what no array needs."""


class _Allowed:
    """Takes the place of a name in a pickle: `make` is called with what the pickle calls it with."""

    __slots__ = ("make",)

    def __init__(self, make):
        self.make = make

    def __call__(self, *values):
        return self.make(*values)

    def __setstate__(self, state):  # the pickle would change it
        raise _Refused("a state of a function")


class _Dtype:
    """A type of numbers, or of Python objects."""

    __slots__ = ("code", "order")

    def __init__(self, code, align=False, copy=False):
        if not isinstance(code, str) or not (_NUMBERS.fullmatch(code) or code == _OBJECT):
            raise _Refused(f"numpy.dtype({code!r:.40})")
        self.code, self.order = code, "="

    def __setstate__(self, state):
        _, order, *rest = state
        if order not in _ORDERS or rest[:5] != [None, None, None, -1, -1] or len(rest) != 6:
            raise _Refused(f"numpy.dtype.__setstate__({state!r:.80})")
        self.order = order

    @property
    def is_object(self):
        return self.code == _OBJECT

    @property
    def numpy(self):
        if self.is_object:
            raise ValueError("an array of other things than numbers")
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """An array, in the two steps of a pickle: an empty one, then its state. One of objects holds a list of them."""

    __slots__ = ("state",)

    def __init__(self, kind, shape, code):
        self.state = None  # shape and kind come again with it

    def __setstate__(self, state):
        _, *rest = state
        self.state = rest

    def value(self):
        if self.state is None:
            raise ValueError("an array without its numbers")
        shape, kind, is_fortran, data = self.state
        if isinstance(kind, _Dtype) and kind.is_object:
            return _objects(shape, data)
        return _numbers(data, kind, shape, "F" if is_fortran else "C")


def _objects(shape, data):
    if type(data) is not list or len(data) != math.prod(shape):
        raise ValueError("an array of objects without a list of them")
    return data if shape else data[0]


def _numbers(data, kind, shape, order):
    if not isinstance(kind, _Dtype) or not isinstance(data, (bytes, bytearray)):
        raise ValueError("an array of other things than numbers")
    shape = (shape,) if type(shape) is int else shape
    if any(type(side) is not int or side < 0 for side in shape):
        raise ValueError(f"an array of shape {shape!r:.40}")
    if math.prod(shape) * kind.numpy.itemsize != len(data):
        raise ValueError(f"an array of shape {shape!r:.40} in {len(data)} bytes")
    return np.frombuffer(data, kind.numpy).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind, data):
    return _numbers(data, kind, (), "C")


def _encode(text, encoding):  # how protocol 2 spells bytes
    if encoding != "latin1":
        raise _Refused(f"_codecs.encode with {encoding!r:.40}")
    return text.encode("latin1")


def _static(code, names):
    """What Paddle writes for a tensor of a static program: the Python text `data`, and the array that it names."""
    if code != "data" or type(names) is not dict or list(names) != ["data"] or not isinstance(names["data"], _Array):
        raise _Refused(f"eval({code!r:.40})")
    return names["data"]


def _no_bytes():  # how protocol 2 spells b""
    return b""


def _no_call(*values):
    raise _Refused("a call of numpy.ndarray")


_NAMES = {
    ("numpy", "ndarray"): _no_call,  # only ever an argument
    ("numpy", "dtype"): _Dtype,
    ("collections", "OrderedDict"): dict,  # which keeps its order, too
    ("builtins", "tuple"): tuple,
    ("__builtin__", "tuple"): tuple,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "eval"): _static,
    ("__builtin__", "eval"): _static,
    ("_codecs", "encode"): _encode,
}
for _module in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    _NAMES[f"{_module}.multiarray", "_reconstruct"] = _Array
    _NAMES[f"{_module}.multiarray", "scalar"] = _scalar
    _NAMES[f"{_module}.numeric", "_frombuffer"] = _numbers  # protocol 5
_PLACES = {name: _Allowed(make) for name, make in _NAMES.items()}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _PLACES:
            raise _Refused(f"{module}.{name}")
        return _PLACES[module, name]


def read_pickle(path, stream, what):
    """The arrays, numbers, texts and containers of the pickle in `stream`, a part of the file `path`.

    Arrays are views of bytes, and cannot be written to. UserError, with `what` the file should be, where it is damaged
    or cut, or names anything else.
    """
    try:
        return _Walk().plain(_Unpickler(stream).load())
    except _Refused as refused:
        raise UserError(
            f"{path}: refused: it names '{f'{refused}':.100}', expected {what}, which holds arrays only"
        ) from None
    except Exception as error:  # damaged bytes make the unpickler raise nearly any type
        detail = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UserError(f"{path}: expected {what}, found something else, or it is damaged ({detail:.100})") from None


class _Walk:
    """The values of a pickle with NumPy's own arrays in it; a container that holds itself raises RecursionError."""

    def __init__(self):
        self.count = 0

    def plain(self, value):
        self.count += 1
        if self.count > _MOST:
            raise ValueError(f"more than {_MOST:,} values")
        if isinstance(value, _Array):
            value = value.value()
        if type(value) is dict:
            return {self._key(key): self.plain(item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(map(self.plain, value))
        if value is None or isinstance(value, (np.ndarray, bool, int, float, complex, str, bytes)):
            return value
        raise _Refused(f"a value that is {type(value).__name__.strip('_')}")

    @staticmethod
    def _key(key):
        if key is None or isinstance(key, (str, int, float, bytes)):
            return key
        raise ValueError(f"a key that is {type(key).__name__.strip('_')}")
