"""How pixels from 0 to 255 became the numbers of a network's input: (pixel / 255 - mean) / std for each channel."""

from typing import NamedTuple

import numpy as np

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_USUAL = {
    "ImageNet's": _IMAGENET,
    "ImageNet's in the order BGR": tuple(numbers[::-1] for numbers in _IMAGENET),
    "": ((0.5,) * 3, (0.5,) * 3),
    "divided by 255": ((0.0,) * 3, (1.0,) * 3),
}
_FACTORS = {1: "", 255: ", 1/255 twice", 1 / 255: ", without 1/255"}
_EXACT = 2e-3  # of a mean or std: they are read off thousands of pixels
_WHOLE = 0.02  # levels that a pixel may be from a whole number
_SAMPLE, _DIFFERENT = 4096, 12  # numbers of an image; different ones that show something


class Normalisation(NamedTuple):
    """`means` and `stds` of the channels, in the order of the input's."""

    means: tuple
    stds: tuple

    @classmethod
    def of_fits(cls, fits):
        """That of an input whose channels are slope x pixel + shift."""
        return cls(tuple(-shift / slope / 255 for slope, shift in fits), tuple(1 / (255 * slope) for slope, _ in fits))

    def after(self, fits):
        """That of another input, whose channels are slope x this one's + shift."""
        pairs = list(zip(self.means, self.stds, fits))
        means = tuple(mean - shift * std / slope for mean, std, (slope, shift) in pairs)
        return Normalisation(means, tuple(std / slope for _, std, (slope, _) in pairs))

    def apply(self, pixels):
        """The input [C, H, W] of pixels [C, H, W]."""
        return (pixels / 255 - _column(self.means)) / _column(self.stds)

    def undo(self, image):
        """The pixels of an input [C, H, W]."""
        return (image.astype(np.float64) * _column(self.stds) + _column(self.means)) * 255

    def is_as(self, other):
        """Whether two normalisations are the same."""
        return all(
            abs(first - second) <= _EXACT * max(abs(first), abs(second), abs(scale) / 255)
            for first, second, scale in zip(self.means + self.stds, other.means + other.stds, self.stds * 2)
        )

    @property
    def reversed(self):
        """The same with the channels in the other order."""
        return Normalisation(self.means[::-1], self.stds[::-1])

    @property
    def words(self):
        """`mean 0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225 (ImageNet's)`."""
        for usual, name, factor in usual_ones(len(self.means)):
            if usual.is_as(self):
                return _name(usual, name, factor)
        return f"mean {_numbers(self.means)} and std {_numbers(self.stds)} of pixels from 0 to 1"


def usual_ones(channels):
    """Yield (normalisation, name, factor): 1/255 once, twice or forgotten."""
    for factor in _FACTORS:
        for name, (means, stds) in _USUAL.items():
            if channels == 3 or len(set(means)) == 1:
                numbers = (tuple(number * factor for number in part[:channels]) for part in (means, stds))
                yield Normalisation(*numbers), name, factor


def guess(image):
    """The usual `Normalisation` under which an input [C, H, W] is pixels of whole numbers; None where none is."""
    step = max(1, image[0].size // _SAMPLE)
    sample = image.reshape(len(image), -1)[:, ::step]
    if sample.dtype.kind not in "fiu" or len(np.unique(sample)) < _DIFFERENT:
        return None
    for usual, _, _ in usual_ones(len(image)):
        pixels = usual.undo(sample[:, :, None])
        whole = np.abs(pixels - np.round(pixels)).max() <= _WHOLE
        if whole and pixels.min() > -0.5 and pixels.max() < 255.5:
            return usual
    return None


def _name(usual, name, factor):
    means, stds = ([number / factor for number in part] for part in usual)
    if name == "divided by 255":
        return {1: "pixels / 255", 255: "pixels / 255 / 255"}.get(factor, "pixels from 0 to 255")
    told = f" ({name})" if name else ""
    return f"mean {_numbers(means)} and std {_numbers(stds)}{told}{_FACTORS[factor]}"


def _numbers(values):
    values = [f"{value:.4g}" for value in values]
    return values[0] if len(set(values)) == 1 else ", ".join(values)


def _column(values):
    return np.array(values, np.float64).reshape(-1, 1, 1)
