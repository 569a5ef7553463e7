"""Pillow, imported when a transform first needs it, and the image operations of the augmentation papers.

Every operation takes and returns a Pillow RGB image; `fill` is the colour of pixels that come from outside.
"""

import functools
from types import SimpleNamespace

import numpy as np

from ppcls_lite.utils.errors import UserError


@functools.cache
def pillow():
    """Pillow's modules as attributes; raises UserError when Pillow is not installed."""
    try:
        from PIL import Image, ImageEnhance, ImageOps
    except ImportError as error:
        raise UserError("this transform needs Pillow: pip install pillow") from error
    return SimpleNamespace(Image=Image, ImageEnhance=ImageEnhance, ImageOps=ImageOps)


def to_pillow(array):
    """A Pillow image from an HWC uint8 array."""
    return pillow().Image.fromarray(np.ascontiguousarray(array))


def resampling(name):
    """Pillow's filter called `nearest`, `bilinear`, `bicubic`, `lanczos` or `hamming`."""
    return getattr(pillow().Image.Resampling, name.upper())


def _affine(image, matrix, resample, fill):
    transform = pillow().Image.Transform.AFFINE
    return image.transform(image.size, transform, matrix, resample=resampling(resample), fillcolor=fill)


def shear_x(image, factor, resample, fill):
    return _affine(image, (1, factor, 0, 0, 1, 0), resample, fill)


def shear_y(image, factor, resample, fill):
    return _affine(image, (1, 0, 0, factor, 1, 0), resample, fill)


def translate_x(image, fraction, resample, fill):
    """Shift by `fraction` of the width."""
    return _affine(image, (1, 0, fraction * image.size[0], 0, 1, 0), resample, fill)


def translate_y(image, fraction, resample, fill):
    """Shift by `fraction` of the height."""
    return _affine(image, (1, 0, 0, 0, 1, fraction * image.size[1]), resample, fill)


def rotate(image, degrees, resample, fill):
    return image.rotate(degrees, resample=resampling(resample), fillcolor=fill)


def rotate_over_grey(image, degrees):
    """Rotation by nearest neighbour whose corners show (128, 128, 128)."""
    module = pillow().Image
    turned = image.convert("RGBA").rotate(degrees)
    grey = module.new("RGBA", turned.size, (128,) * 4)
    return module.composite(turned, grey, turned).convert(image.mode)


def enhance(image, kind, factor):
    """Pillow's ImageEnhance; `kind` is Color, Contrast, Brightness or Sharpness; factor 1 changes nothing."""
    return getattr(pillow().ImageEnhance, kind)(image).enhance(factor)


def auto_contrast(image):
    return pillow().ImageOps.autocontrast(image)


def equalize(image):
    return pillow().ImageOps.equalize(image)


def invert(image):
    return pillow().ImageOps.invert(image)


def posterize(image, bits):
    """Keep the upper `bits` (0 to 8) bits of every channel; newer Pillows' own refuses the 0 that timm can draw."""
    if bits >= 8:
        return image
    mask = 0xFF & ~(2 ** (8 - bits) - 1)
    return image.point([value & mask for value in range(256)] * 3)


def solarize(image, threshold):
    """Invert the values from `threshold` up."""
    return pillow().ImageOps.solarize(image, threshold)


def solarize_add(image, add, threshold=128):
    """Add `add` to the values below `threshold`, at most up to 255."""
    table = [min(255, value + add) if value < threshold else value for value in range(256)]
    return image.point(table * 3)
