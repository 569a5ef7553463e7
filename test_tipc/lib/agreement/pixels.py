"""Why do the inputs of an image differ in two scripts? Found by trying what is often wrong.

Another channel order, a mirror image, another mean or standard deviation (one scale and shift per channel), another
size. Images are [C, H, W] or [H, W, C] with 1, 3 or 4 channels.
"""

import numpy as np

from agreement import limits

_RESIDUE = 1e-4  # of the spread of a channel: what a fit with one scale and shift may leave
_SAMPLE = 4096  # numbers of an image that are enough to find its partner


def why_different(image, others):
    """What explains that `image` is none of `others`, arrays of the other script, in words."""
    alike = [other for other in others if other.shape == image.shape and other.dtype == image.dtype]
    if not alike:
        return _other_size(image, others)
    axis = channel_axis(image.shape)
    views = _views(axis)
    for words, view in views.items():
        if words and any(is_close(view(image), other) for other in alike):
            return words
    if axis is not None:
        for words, view in views.items():
            for other in alike:
                fitted = _scale_and_shift(view(image), other, axis)
                if fitted:
                    return f"{words}, and {fitted}" if words else fitted
    return "other pixels: another resize, crop or decoder" if axis is not None else "other values"


def _views(axis):
    """{words: what makes a view of an image with this axis of channels}."""
    views = {"": lambda array: array}
    if axis is not None:
        width = 1 if axis == 2 else 2
        views["the channels are in reverse order (BGR for RGB)"] = lambda array: np.flip(array, axis)
        views["the image is mirrored"] = lambda array: np.flip(array, width)
        both = "the channels are in reverse order (BGR for RGB) and the image is mirrored"
        views[both] = lambda array: np.flip(array, (axis, width))
    return views


def is_close(first, second):
    """Whether two inputs of one shape are equal up to rounding: floats within INPUTS of the scale, integers exactly."""
    if first.dtype.kind != "f":
        return bool((first == second).all())
    return limits.largest_difference(first, second) <= limits.INPUTS * limits.scale(first)


def is_blank(image):
    """Whether every channel of an input has one value only: no image, but what fills a batch up."""
    axis = channel_axis(image.shape)
    channels = [image] if axis is None else np.moveaxis(image, axis, 0)
    return all(bool((channel == channel.flat[0]).all()) for channel in channels if channel.size)


def nearest(image, others):
    """The position of the array in `others` that is nearest to `image`, judged by a sample of its numbers, or None."""
    alike = [number for number, other in enumerate(others) if other.shape == image.shape and other.dtype == image.dtype]
    step = max(1, image.size // _SAMPLE)
    sample = _sample(image, step)
    return min(alike, key=lambda number: float(np.abs(_sample(others[number], step) - sample).max()), default=None)


def _sample(array, step):
    return np.nan_to_num(array.reshape(-1)[::step].astype(np.float64))


def channel_axis(shape):
    """Which side of an image of this shape are its channels, 0 or 2; None where it is no image."""
    if len(shape) != 3:
        return None
    return 0 if shape[0] in (1, 3, 4) else 2 if shape[2] in (1, 3, 4) else None


def _other_size(image, others):
    shapes = list(dict.fromkeys(f"{list(other.shape)} {other.dtype}" for other in others))
    return f"another size or type: {list(image.shape)} {image.dtype} in predict, {', '.join(shapes[:3])} in infer"


def channel_fits(image, other, axis):
    """[(slope, shift)] for each channel where other = slope x image + shift explains all numbers, else None."""
    pairs = []
    for first, second in zip(np.moveaxis(image, axis, 0), np.moveaxis(other, axis, 0)):
        first, second = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
        spread = float(second.std())
        if float(first.std()) == 0.0 or spread == 0.0:
            return None
        slope = float(((first - first.mean()) * (second - second.mean())).mean() / first.var())
        shift = float(second.mean() - slope * first.mean())
        if np.abs(slope * first + shift - second).max() > _RESIDUE * spread:
            return None
        pairs.append((slope, shift))
    return pairs


def fit_words(fits):
    """`infer's are 2 x predict's + 0.1 in channel 0, …` of what `channel_fits` returned."""
    terms = [f"{slope:.4g} x predict's {'-' if shift < 0 else '+'} {abs(shift):.4g}" for slope, shift in fits]
    told = ", ".join(f"{term} in channel {number}" for number, term in enumerate(terms))
    return f"infer's are {f'{terms[0]} in all channels' if len(set(terms)) == 1 else told}"


def _scale_and_shift(image, other, axis):
    """`another mean or standard deviation: …` where that explains all numbers, else ""."""
    fits = channel_fits(image, other, axis)
    if not fits or all(
        abs(slope - 1) <= _RESIDUE and abs(shift) <= _RESIDUE * limits.scale(other) for slope, shift in fits
    ):
        return ""
    return f"another mean or standard deviation: {fit_words(fits)}"
