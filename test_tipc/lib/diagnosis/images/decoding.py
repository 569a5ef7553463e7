"""Why do two decoders give other pixels for the same file? Found by trying what is often the reason."""

import numpy as np

from diagnosis.images.fault import Fault
from diagnosis.images.resizers import quick
from diagnosis.images.turning import TURNS, turned

ROUNDING = 8  # levels by which decoders of JPEG may part: other arithmetic, other ways to enlarge the colours
_CLIPPED = 48  # of grey: colours that JPEG has beyond 0 and 255 were cut off
_MEAN = 2.0  # levels, on average
_GREY = (0.299, 0.587, 0.114)  # of red, green and blue
_REDUCED = 24.0  # levels, on average, by which a reduced image may be off from one that is made smaller here


def levels_apart(own, other):
    """The largest difference of two images in levels; None where their shapes or types differ."""
    if own.shape != other.shape or own.dtype != other.dtype:
        return None
    return float(np.abs(own.astype(np.float64) - other.astype(np.float64)).max(initial=0.0))


def why_other_pixels(own, other, own_pixels, other_pixels):
    """The `Fault` that parts predict's image `own` from infer's `other`, both `Decoded` with their pixels; None where
    nothing explains it."""
    for explain in (_turned, _depth, _alpha, _grey, _reduced, _rounded):
        fault = explain(own, other, own_pixels, other_pixels)
        if fault:
            return fault
    return None


def _turned(own, other, first, second):
    for number in TURNS:
        if number > 1 and _is_about(turned(first, number), second):
            stated = "" if own.orientation == 1 else f" (the file states the EXIF orientation {own.orientation})"
            return Fault(("exif",), f"infer's image is predict's {TURNS[number]}{stated}: {_names(own, other)}")
    return None


def _depth(own, other, first, second):
    if first.dtype == second.dtype:
        return None
    wide, narrow = (first, second) if first.dtype.itemsize > second.dtype.itemsize else (second, first)
    wide = wide.astype(np.float64)
    ways = (wide / 256, wide / 257, np.minimum(wide, 255), np.mod(wide, 256))
    if wide.shape == narrow.shape and any(np.abs(np.floor(way) - narrow).max(initial=0) <= 1 for way in ways):
        return Fault(("bit_depth",), f"predict has {first.dtype}, infer {second.dtype}: {_names(own, other)}")
    return None


def _alpha(own, other, first, second):
    is_first = own.mode == "RGBA"
    if {own.mode, other.mode} != {"RGB", "RGBA"} or first.shape[:2] != second.shape[:2]:
        return None
    with_alpha, plain = (first, second) if is_first else (second, first)
    who, whose = ("predict", "infer's") if is_first else ("infer", "predict's")
    colours, part = with_alpha[..., :3].astype(np.float64), with_alpha[..., 3:].astype(np.float64) / 255
    ways = {"cut off": colours, "laid on white": colours * part + 255 * (1 - part), "laid on black": colours * part}
    for words, made in ways.items():
        if _is_about(made, plain):
            told = f"{who} keeps the transparency, in {whose} image it is {words}"
            return Fault(("alpha",), f"{told}: {_names(own, other)}")
    return None


def _grey(own, other, first, second):
    if first.ndim == second.ndim or first.shape[:2] != second.shape[:2]:
        return None
    colour, grey = (first, second) if first.ndim == 3 else (second, first)
    who = "infer" if grey is second else "predict"
    if colour.shape[2] == 3 and _is_about(colour.astype(np.float64) @ np.array(_GREY), grey, _CLIPPED):
        return Fault(("grey",), f"{who} decodes the image as grey: {_names(own, other)}")
    return None


def _reduced(own, other, first, second):
    """One is about a half, a quarter or an eighth of the other: only its means can be compared, as decoders reduce in
    the frequencies of JPEG."""
    large, small = (first, second) if first.shape[0] >= second.shape[0] else (second, first)
    for factor in (2, 4, 8):
        sizes = [tuple(rounded(side / factor) for side in large.shape[:2]) for rounded in (np.floor, np.ceil, round)]
        if small.shape[:2] in [tuple(map(int, size)) for size in sizes] and large.ndim == small.ndim and quick():
            made = quick()[0].resize(np.ascontiguousarray(large), small.shape[:2])
            if np.abs(made.astype(np.float64) - small).mean() <= _REDUCED:
                who = "infer" if small is second else "predict"
                sides = " and ".join(f"{one.shape[0]} x {one.shape[1]}" for one in (first, second))
                return Fault(("reduced_size",), f"{who} decodes the image at 1/{factor} of its size "
                                                f"({sides}): {_names(own, other)}")  # fmt: skip
    return None


def _rounded(own, other, first, second):
    if first.shape != second.shape or not _is_about(first, second):
        return None
    return Fault(("decoder",), f"the decoders round otherwise: {_names(own, other)}")


def _is_about(made, found, most=ROUNDING):
    """Whether two images are the same up to what decoders round, `most` levels anywhere."""
    if made.shape != found.shape or not found.size:
        return False
    apart = np.abs(made.astype(np.float64) - found.astype(np.float64))
    return bool(apart.max() <= most * max(1, int(np.max(found) > 255) * 257) and apart.mean() <= _MEAN)


def _names(own, other):
    names = [f"{image.library}.{image.call}" for image in (own, other)]
    return f"{names[0]} in both" if names[0] == names[1] else f"{names[0]} in predict, {names[1]} in infer"
