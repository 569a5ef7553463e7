"""The names that the pickle of a pair file may use, and what is made of them: bytes and booleans.

Nothing is ever looked up or called by a file's word: `BUILT` is the whole list.
"""

import math

_KINDS = ("u1", "i1", "b1")


class Refused(Exception):
    """The file holds, or would call, something else than the images and booleans of a pair file."""


class Damaged(Exception):
    """The file ends too early, or contradicts itself."""


class Name:
    """One of the names that a file may use; it is never looked up."""

    def __init__(self, name):
        self.name = name


class Kind:
    """What `numpy.dtype` makes: the code of the numbers in an array."""

    def __init__(self, code):
        self.code = code

    def set_state(self, state):
        """The order of the bytes, which numbers of one byte do not have; objects and fields are refused."""
        if len(state) != 8 or as_text(state[1]) not in ("|", "<", ">", "=") or state[2:] != _PLAIN_STATE:
            raise Refused("has an array of other things than bytes or booleans")


_PLAIN_STATE = (None, None, None, -1, -1, 0)  # no fields, no names, no sub-arrays, no flags


class Array:
    """An array of bytes or booleans: it is made empty, and gets its content as its state."""

    kind, data = None, None

    def set_state(self, state):
        """(version, shape, kind, order, bytes)."""
        if len(state) != 5:
            raise Refused("has a state that no array has")
        self.fill(state[4], state[2], state[1])

    def fill(self, data, kind, shape):
        """Take the bytes `data` as the content."""
        if self.data is not None or not isinstance(kind, Kind) or not isinstance(data, bytes):
            raise Refused("has an array of other things than bytes or booleans")
        sides = shape if isinstance(shape, tuple) else (shape,)
        if not all(type(side) is int and 0 <= side < 1 << 40 for side in sides[:8]) or len(sides) > 8:
            raise Damaged("an array without a shape")
        if math.prod(sides) != len(data):
            raise Damaged(f"an array of {math.prod(sides)} numbers in {len(data)} bytes")
        self.kind, self.data = kind.code, data


def plain(value):
    """bytes, or a list of booleans for an array of them; any other value as it is."""
    if not isinstance(value, Array):
        return value
    if value.data is None:
        raise Damaged("an array without content")
    return [bool(item) for item in value.data] if value.kind == "b1" else value.data


def as_text(value):
    """The text that Python 2 wrote as bytes; any other value as it is."""
    return value.decode("latin1") if isinstance(value, bytes) else value


def _new_kind(code, align=False, copy=False):
    code = as_text(code)
    if not isinstance(code, str) or code.removeprefix("|") not in _KINDS:
        found = repr(code[:20]) if isinstance(code, str) else "something else"
        raise Refused(f"has an array of {found}: expected bytes (u1) or booleans (b1)")
    return Kind(code.removeprefix("|"))


def _empty_array(kind, shape, code):
    return Array()


def _array_of_buffer(data, kind, shape, order):
    array = Array()
    array.fill(data, kind, shape)
    return array


def _scalar(kind, data):
    if kind.code != "b1" or len(data) != 1:
        raise ValueError
    return data != b"\0"


def _encoded(text, encoding):
    if as_text(encoding) not in ("latin1", "latin-1"):
        raise ValueError
    return text.encode("latin1")


def _no_bytes():
    return b""


BUILT = {
    "numpy.ndarray": None,  # only ever an argument
    "numpy.dtype": _new_kind,
    "_codecs.encode": _encoded,  # the bytes of Python 3 in protocols 0 to 2
    "__builtin__.bytes": _no_bytes,
    "builtins.bytes": _no_bytes,
}
for _module in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    BUILT[f"{_module}.multiarray._reconstruct"] = _empty_array
    BUILT[f"{_module}.multiarray.scalar"] = _scalar
    BUILT[f"{_module}.numeric._frombuffer"] = _array_of_buffer
