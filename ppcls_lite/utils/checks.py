"""The checks of single options, of a config or of a command line: each returns the value or raises a UserError.

A message begins with the name of the option as it is given here, such as `Global.epochs` or `--size`, and says what was
expected and what was found: "Global.epochs: expected a whole number of at least 1, found 0". A caller that knows only
the last part of the name (a transform its `size`) lets its own caller put the place in front.
"""

import argparse

from ppcls_lite.utils.arithmetic import number
from ppcls_lite.utils.errors import UserError, nearest


def wrong(option, expected, found):
    """The error for one option; raise what this returns."""
    return UserError(f"{option}: expected {expected}, found {found!r:.80}")


def boolean(option, value):
    """True or False; text such as `Fasle` is an error."""
    if not isinstance(value, bool):
        raise wrong(option, "True or False", value)
    return value


def whole(option, value, low=1):
    """A whole number of at least `low`; True and False are not numbers here."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise wrong(option, f"a whole number of at least {low}", value)
    return value


def argument(low=1):
    """A type for argparse: the whole number not below `low` that the text of an option spells."""

    def convert(text):
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {low}, found {text!r}")
        return int(text)

    return convert


def real(option, value, low=None, high=None, high_name=None):
    """A number, or text such as `1.0/3.0`, within [low, high]; `high_name` is what a message says for `high`."""
    value = number(value, option)
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high_name or high}"
        raise wrong(option, f"a number {bounds}", value)
    return value


def positive(option, value):
    """A number above zero."""
    value = number(value, option)
    if value <= 0:
        raise wrong(option, "a number above 0", value)
    return value


def reals(option, value, count):
    """A list of `count` numbers."""
    if not isinstance(value, (list, tuple)) or len(value) != count:
        raise wrong(option, f"a list of {count} numbers", value)
    return [number(item, option) for item in value]


def span(option, value):
    """[low, high] with 0 < low <= high."""
    low, high = reals(option, value, 2)
    if not 0 < low <= high:
        raise wrong(option, "[low, high] with 0 < low <= high", value)
    return low, high


def width_height(option, value):
    """(width, height) from one whole number or from [width, height]."""
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return whole(option, value[0]), whole(option, value[1])
    if isinstance(value, (list, tuple)):
        raise wrong(option, "a whole number or [width, height]", value)
    return (whole(option, value),) * 2


def image_shape(option, value):
    """[3, height, width], whole numbers of at least 1."""
    sides = value if isinstance(value, (list, tuple)) else ()
    if len(sides) != 3 or any(type(side) is not int or side < 1 for side in sides) or sides[0] != 3:
        raise wrong(option, "[3, height, width]", value)
    return list(sides)


def choice(option, value, allowed):
    """One of the texts in `allowed`, as it is spelt there; the value may be in upper or lower case."""
    spelt = {name.lower(): name for name in allowed}
    if not isinstance(value, str) or value.lower() not in spelt:
        names = ", ".join(repr(name) for name in allowed)
        raise UserError(f"{option}: expected one of {names}, found {value!r:.80}{nearest(value, allowed)}")
    return spelt[value.lower()]
