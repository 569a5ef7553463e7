"""Which usual faults turn predict's input of an image into infer's, without a look at the image itself?

Each is tried alone, then two at once, on all numbers: what is named reproduces the difference.
"""

from itertools import product
from typing import Callable, NamedTuple, Optional

import numpy as np

from agreement import limits
from agreement.pixels import channel_axis, channel_fits, is_close
from diagnosis.images.fault import Fault, both, other_normalisation, reversed_channels, turn
from diagnosis.images.normalisation import guess
from diagnosis.images.turning import TURNS, turned

_SAMPLE = 512  # numbers that show most views to be none
_NEAR = 1e-3  # of a factor
_PATCH = 8  # pixels on a side, of what is looked for in another crop


class View(NamedTuple):
    """One change of an image [C, H, W], and the `Fault` that it is; None for no change."""

    fault: Optional[Fault]
    make: Callable


def explain(image, other, stated=1):
    """The `Fault` that makes `other` of `image`, one image of predict and of infer in either layout, or None.

    `stated` is what EXIF says of the image."""
    if image.dtype != other.dtype:
        return _other_type(image, other, stated)
    axis = channel_axis(image.shape)
    if axis is None:
        return None
    own = image if axis == 0 else np.moveaxis(image, 2, 0)
    for views in _combined(axis, stated):
        seen = own
        for view in views:
            seen = view.make(seen)
        if _is_same(seen, other):
            return both(view.fault for view in views)
    return _normalised(own, other, axis, stated) or _moved(own, other, axis)


def _other_type(image, other, stated):
    types = Fault(("dtype",), f"another type: {image.dtype} in predict, {other.dtype} in infer")
    wide = image.astype(np.float64), other.astype(np.float64)
    if image.shape == other.shape and is_close(*wide):
        return types
    rest = explain(*wide, stated)
    return rest and both([types, rest])


def _layouts(axis):
    """What a script does wrongly with [H, W, C]; a view's result is compared in infer's own layout."""
    names = "[H, W, C]", "[C, H, W]"
    kept, turned_over = (names[0], names[1]) if axis else (names[1], names[0])
    reshaped = "reshaped from [H, W, C] to [C, H, W] where a transpose was needed"
    return [
        View(None, lambda image: np.moveaxis(image, 0, axis)),
        View(Fault(("layout",), f"infer's image is {turned_over}, predict's is {kept}"),
             lambda image: np.moveaxis(image, 0, 2 - axis)),
        View(Fault(("layout",), f"infer's image is {reshaped}"),
             lambda image: np.moveaxis(image, 0, 2).reshape(image.shape)),
        View(Fault(("layout",), f"predict's image is {reshaped}"),
             lambda image: np.moveaxis(image.reshape(*image.shape[1:], len(image)), 2, 0)),
    ]  # fmt: skip


def _orders():
    return [View(None, lambda image: image), View(reversed_channels(), lambda image: image[::-1])]


def _turns(stated):
    return [
        View(turn(number, stated) if number > 1 else None, lambda image, number=number: turned(image, number, 1))
        for number in TURNS
    ]


def _combined(axis, stated):
    """Views in their order: orders of channels, turns, layouts; one fault first, then two."""
    found = [views for views in product(_orders(), _turns(stated), _layouts(axis)) if 1 <= _count(views) <= 2]
    return sorted(found, key=_count)


def _count(views):
    return sum(view.fault is not None for view in views)


def _is_same(seen, other):
    """As `is_close`, by a sample first."""
    if seen.shape != other.shape:
        return False
    step = max(1, other.size // _SAMPLE)
    if not is_close(np.ascontiguousarray(seen).reshape(-1)[::step], other.reshape(-1)[::step]):
        return False
    return is_close(seen, other)


def _normalised(own, other, axis, stated):
    """Another mean or std, perhaps with one more fault."""
    tried = [views for views in product(_orders(), _turns(stated), _layouts(axis)[:2]) if _count(views) <= 1]
    for views in sorted(tried, key=_count):
        order, turning, layout = views
        found = other if (axis == 0) == (layout.fault is None) else np.moveaxis(other, 2, 0)
        seen = turning.make(order.make(own))
        fits = channel_fits(seen, found, 0) if found.shape == seen.shape and _may_fit(seen, found) else None
        if fits:
            return both([*(view.fault for view in views), _change(order, seen, found, fits)])
    return None


def _may_fit(seen, found):
    """Whether a sample of the first channel is fitted at all."""
    step = max(1, seen[0].size // _SAMPLE)
    first, second = (np.ascontiguousarray(image[0]).reshape(-1)[::step].astype(np.float64) for image in (seen, found))
    if first.size < 3 or first.std() == 0 or second.std() == 0:
        return True
    return abs(np.corrcoef(first, second)[0, 1]) > 0.999


def _both_known(seen, found, fits):
    """The normalisations of two inputs of which one follows from the other."""
    first, second = guess(seen), guess(found)
    if first:
        return first, first.after(fits)
    if second:
        return second.after([(1 / slope, -shift / slope) for slope, shift in fits]), second
    return None, None


def _change(order, seen, found, fits):
    first, second = _both_known(seen, found, fits)
    if order.fault:
        if _is_its_own_reverse(fits):
            return None
        first = first and first.reversed
    return other_normalisation(fits, first, second)


def _is_its_own_reverse(fits):
    """Whether the channels alone are in reverse order: each place has the mean and std that it had before."""
    return all(
        abs(slope * back - 1) <= _NEAR and abs(shift * back + shift_back) <= _NEAR * max(1, abs(shift_back))
        for (slope, shift), (back, shift_back) in zip(fits, fits[::-1])
    )


def _moved(own, other, axis):
    """Another part of the same resized image, perhaps of another size."""
    found = other if axis == 0 else np.moveaxis(other, 2, 0)
    if found.ndim != 3 or len(found) != len(own):
        return None
    for order in _orders():
        seen = order.make(own)
        place = _place_of(seen, found)
        if place:
            return both([order.fault, _crop(own, found, *place)])
    return None


def _place_of(seen, found):
    """(rows, columns) by which `found` lies further down and right in the resized image, where all that both have is
    equal; None where there is no such place."""
    height, width = (min(sides) for sides in zip(seen.shape[1:], found.shape[1:]))
    if min(height, width) < 2 * _PATCH:
        return None
    top, left = _busiest(seen)
    patch = seen[:, top : top + _PATCH, left : left + _PATCH]
    limit = limits.INPUTS * limits.scale(seen)
    wide = found.astype(np.float64)
    rows, columns = np.nonzero(np.abs(wide[0, : 1 - _PATCH, : 1 - _PATCH] - patch[0, 0, 0]) <= limit)
    for row, column in zip(rows, columns):
        if np.abs(wide[:, row : row + _PATCH, column : column + _PATCH] - patch).max() <= limit:
            down, right = top - row, left - column
            if (down or right or seen.shape != found.shape) and _overlap_is_same(seen, found, down, right):
                return int(down), int(right)
    return None


def _busiest(seen):
    """The corner of the patch of the middle with the largest spread."""
    height, width = seen.shape[1:]
    rows = range(height // 4, max(height // 4 + 1, height * 3 // 4 - _PATCH), max(1, _PATCH // 2))
    columns = range(width // 4, max(width // 4 + 1, width * 3 // 4 - _PATCH), max(1, _PATCH // 2))
    return max(
        product(rows, columns),
        key=lambda at: float(seen[:, at[0] : at[0] + _PATCH, at[1] : at[1] + _PATCH].astype(np.float64).std()),
    )


def _overlap_is_same(seen, found, down, right):
    first, second = [slice(None)], [slice(None)]
    for shift, own, others in zip((down, right), seen.shape[1:], found.shape[1:]):
        first.append(slice(max(shift, 0), min(own, others + shift)))
        second.append(slice(max(-shift, 0), min(others, own - shift)))
    first, second = seen[tuple(first)], found[tuple(second)]
    return first.size >= min(seen.size, found.size) // 4 and is_close(first, second)


def _crop(own, found, down, right):
    sizes = [f"{image.shape[1]} x {image.shape[2]}" for image in (own, found)]
    if sizes[0] != sizes[1]:
        return Fault(("crop",), f"another crop of the same resized image: {sizes[0]} in predict, {sizes[1]} in infer, "
                                f"which begins {_moves(down, right)}")  # fmt: skip
    return Fault(("crop",), f"another crop of the same resized image: infer's {sizes[1]} begin {_moves(down, right)}")


def _moves(down, right):
    parts = [f"{abs(down)} pixels further {'down' if down > 0 else 'up'}"] if down else []
    parts += [f"{abs(right)} pixels further {'right' if right > 0 else 'left'}"] if right else []
    return " and ".join(parts) or "at the same place"
