"""Which preprocessing made an input of a decoded image? Found by trying the usual ones: turned, resized, cropped, its
channels in one order or the other, and normalised with one mean and standard deviation per channel.

A pipeline is found when it gives every number of the input, up to the rounding of floats.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

from diagnosis.images.geometry import Geometry, fixed, short, square, usual_sides
from diagnosis.images.normalisation import Normalisation
from diagnosis.images.resizers import Resizer, quick, resizers
from diagnosis.images.turning import likely, turned

_EXACT, _ROUGH = 0.02, 4.0  # levels that a number may be off; with one channel alone, which libraries round otherwise
_FEW, _AROUND, _MOST = 3, (-1, 1), 12  # sizes that are tried, what is around them, all ways with all interpolations
_TWICE = 2  # short sides are tried up to so many times the crop's
_CLOSE = 0.05  # correlations of turns of which each may be the right one
_ALIKE = 0.6  # the correlation of an image that may be the input's


class Pipeline(NamedTuple):
    """How an input was made; `normalisation` is in the order of the input's channels."""

    turn: int
    is_reversed: bool
    resizer: Resizer
    geometry: Geometry
    normalisation: Normalisation

    @property
    def words(self):
        """`resizes the short side to 36 (36 x 54) with PIL bilinear and crops the middle 32 x 32`."""
        return _resizing(self) + (f" and {self.geometry.crop_words}" if self.geometry.crop_words else "")


def _resizing(pipeline):
    with_what = "" if pipeline.geometry.kind == "original" else f" with {pipeline.resizer.name}"
    return f"{pipeline.geometry.resize_words}{with_what}"


def find(pixels, image, stated=1, prefer=None):
    """The `Pipeline` that makes `image` [C, H, W] of `pixels` uint8 [H, W, C], or None.

    `stated` is the EXIF orientation of the image; ways like those of the pipeline `prefer` are tried first.
    """
    pixels = _coloured(pixels, len(image))
    if pixels is None or not quick():
        return None
    image = np.asarray(image, dtype=np.float64)
    for number in _turns(pixels, image, stated, prefer):
        seen = np.ascontiguousarray(turned(pixels, number))
        for geometry in _geometries(seen, image, prefer):
            for resizer in _preferred(resizers(), prefer and prefer.resizer):
                made = _made(seen, image, geometry, resizer)
                if made:
                    return Pipeline(number, made[0], resizer, geometry, made[1])
                if geometry.resized == seen.shape[:2]:  # all interpolations are the same
                    break
    return None


def likeness(pixels, image, stated=1):
    """How much an input [C, H, W] looks like a decoded image, at most 1."""
    pixels = _coloured(pixels, len(image))
    if pixels is None or not quick():
        return 0.0
    image = np.asarray(image, dtype=np.float64)
    return max(_by_turn(pixels, image, stated).values())


def _coloured(pixels, channels):
    """Decoded pixels with so many channels, as scripts make them; None where they cannot be."""
    if pixels.dtype != np.uint8:
        return None
    if pixels.ndim == 2:
        return pixels if channels == 1 else np.repeat(pixels[:, :, None], channels, 2)
    return np.ascontiguousarray(pixels[:, :, :channels]) if pixels.shape[2] >= channels > 1 else None


def _middle(image):
    """The channel of an input that is the same in RGB and BGR."""
    return image[len(image) // 2]


def _grey(pixels):
    """The same channel of decoded pixels."""
    return np.ascontiguousarray(pixels[:, :, pixels.shape[2] // 2]) if pixels.ndim == 3 else pixels


def _turns(pixels, image, stated, prefer):
    """Ways to turn the image, those first that look like the input."""
    scores = _by_turn(pixels, image, stated)
    best = max(scores.values())
    alike = [number for number in scores if scores[number] >= max(_ALIKE, best - _CLOSE)]
    return _preferred(sorted(alike, key=lambda number: -scores[number])[:2], prefer and prefer.turn)


def _by_turn(pixels, image, stated):
    """{turn: the best correlation of the turned image with the input, for a few sizes}."""
    size, grey = image.shape[1:], _reduced(_grey(pixels), image.shape[1:])
    return {number: _rough(np.ascontiguousarray(turned(grey, number)), image, size) for number in likely(stated)}


def _rough(grey, image, size):
    sides = usual_sides(size)[:2]
    ways = [one for one in fixed(grey.shape, size) if one.kind != "original"]
    ways += [one for side in sides for one in short(grey.shape, side, size)[:1]]
    return max(_correlation(grey, image, geometry, quick()[0]) for geometry in ways)


def _correlation(grey, image, geometry, resizer):
    inside, part = geometry.valid
    made = resizer.resize(grey, geometry.resized)[part].astype(np.float64).ravel()
    found = _middle(image)[inside].ravel()
    made, found = made - made.mean(), found - found.mean()
    scale = float(np.sqrt((made @ made) * (found @ found)))
    return abs(float(made @ found)) / scale if scale else 0.0


def _geometries(pixels, image, prefer):
    """Ways to resize and crop that may have made the input: those of `prefer`, then the likeliest."""
    size, grey = image.shape[1:], _grey(pixels)
    whole, small = grey.shape, _reduced(grey, size)
    liked = []
    if prefer and prefer.geometry.side is not None and prefer.geometry.kind != "long":
        liked = _ways(prefer.geometry.kind, prefer.geometry.side, whole, size)
    if prefer and prefer.geometry.size == size:
        liked = _preferred(liked, prefer.geometry)
    tried = fixed(whole, size)
    for side in usual_sides(size):
        tried += short(whole, side, size) + square(side, size)
    for kind, side in _likely_sides(small, whole, image):
        tried += _ways(kind, side, whole, size)
    scores = {one: max(_correlation(small, image, one, quickly) for quickly in quick()) for one in dict.fromkeys(tried)}
    kind = prefer.geometry.kind if prefer else ""  # of ways that are one for this image, that of the other step
    best = sorted(scores, key=lambda one: (-round(scores[one], 9), one.kind != kind))
    return list(dict.fromkeys(liked + [one for one in best if scores[one] >= _ALIKE][:_MOST]))


def _ways(kind, side, whole, size):
    return {"short": lambda: short(whole, side, size), "square": lambda: square(side, size)}[kind]()


def _likely_sides(small, whole, image):
    """(kind, side) of the sides that make an image most like the input, and their neighbours."""
    size, found = image.shape[1:], []
    for quickly in quick():
        scores = {}
        for kind, side in product(("short", "square"), range(min(size), _TWICE * max(size) + 1)):
            ways = _ways(kind, side, whole, size)
            if ways:
                scores[kind, side] = _correlation(small, image, ways[0], quickly)
        found += sorted(scores, key=lambda key: -scores[key])[:_FEW]
    return dict.fromkeys((kind, side + step) for kind, side in found for step in (0, *_AROUND))


def _reduced(grey, size):
    """A channel that is not much larger than what is made of it: the sizes are found as well, and sooner."""
    factor = min(grey.shape) // (2 * _TWICE * max(size))
    return quick()[0].resize(grey, tuple(side // factor for side in grey.shape)) if factor > 1 else grey


def _made(pixels, image, geometry, resizer):
    """(whether the channels are in reverse, the `Normalisation`) of an input that is made in this way, else None."""
    inside, part = geometry.valid
    grey = resizer.resize(_grey(pixels), geometry.resized)[part]
    if not _fit(grey, _middle(image)[inside], _ROUGH):
        return None
    whole = resizer.resize(pixels, geometry.resized)[part]
    channels = [whole] if whole.ndim == 2 else list(np.moveaxis(whole, 2, 0))
    for is_reversed in (False, True):
        ordered = channels[::-1] if is_reversed else channels
        fits = [_fit(channel, target[inside], _EXACT) for channel, target in zip(ordered, image)]
        if all(fits):
            return is_reversed, Normalisation.of_fits(fits)
    return None


def _fit(channel, target, limit):
    """(slope, shift) with target = slope x channel + shift up to `limit` levels, or None."""
    channel, target = channel.astype(np.float64).ravel(), target.ravel()
    own, other = channel.mean(), target.mean()
    variance = float(((channel - own) ** 2).mean())
    slope = float(((channel - own) * (target - other)).mean()) / variance if variance else 0.0
    shift = float(other - slope * own)
    if slope == 0.0 or np.abs(slope * channel + shift - target).max() > limit * abs(slope):
        return None
    return slope, shift


def _preferred(ones, first):
    return [first, *(one for one in ones if one != first)] if first and (first in ones or not ones) else list(ones)
