"""AutoAugment's ImageNet policy (https://arxiv.org/abs/1805.09501) and RandAugment
(https://arxiv.org/abs/1909.13719), with the operations and magnitudes that PaddleClas gives them.
"""

import numpy as np

from ppcls_lite.data.transforms import pillow as ops
from ppcls_lite.data.transforms.compose import TRANSFORMS, RandomTransform
from ppcls_lite.utils import checks

_FILL = (128, 128, 128)

# (image, magnitude, fill); the operations in _SIGNED get their magnitude with a random sign.
_OPERATIONS = {
    "shearX": lambda image, by, fill: ops.shear_x(image, by, "bicubic", fill),
    "shearY": lambda image, by, fill: ops.shear_y(image, by, "bicubic", fill),
    "translateX": lambda image, by, fill: ops.translate_x(image, by, "nearest", fill),
    "translateY": lambda image, by, fill: ops.translate_y(image, by, "nearest", fill),
    "rotate": lambda image, by, fill: ops.rotate_over_grey(image, by),
    "color": lambda image, by, fill: ops.enhance(image, "Color", 1 + by),
    "posterize": lambda image, by, fill: ops.posterize(image, by),
    "solarize": lambda image, by, fill: ops.solarize(image, by),
    "contrast": lambda image, by, fill: ops.enhance(image, "Contrast", 1 + by),
    "sharpness": lambda image, by, fill: ops.enhance(image, "Sharpness", 1 + by),
    "brightness": lambda image, by, fill: ops.enhance(image, "Brightness", 1 + by),
    "autocontrast": lambda image, by, fill: ops.auto_contrast(image),
    "equalize": lambda image, by, fill: ops.equalize(image),
    "invert": lambda image, by, fill: ops.invert(image),
}
_SIGNED = {"shearX", "shearY", "translateX", "translateY", "color", "contrast", "sharpness", "brightness"}
_LARGEST = {  # magnitude at level 10 of RandAugment, and at step 9 of AutoAugment's ten
    "shearX": 0.3,
    "shearY": 0.3,
    "translateX": 150 / 331,
    "translateY": 150 / 331,
    "rotate": 30,
    "color": 0.9,
    "contrast": 0.9,
    "sharpness": 0.9,
    "brightness": 0.9,
}

# Two (probability, operation, step of ten) per row; every image gets one row.
IMAGENET_POLICY = (
    ((0.4, "posterize", 8), (0.6, "rotate", 9)),
    ((0.6, "solarize", 5), (0.6, "autocontrast", 5)),
    ((0.8, "equalize", 8), (0.6, "equalize", 3)),
    ((0.6, "posterize", 7), (0.6, "posterize", 6)),
    ((0.4, "equalize", 7), (0.2, "solarize", 4)),
    ((0.4, "equalize", 4), (0.8, "rotate", 8)),
    ((0.6, "solarize", 3), (0.6, "equalize", 7)),
    ((0.8, "posterize", 5), (1.0, "equalize", 2)),
    ((0.2, "rotate", 3), (0.6, "solarize", 8)),
    ((0.6, "equalize", 8), (0.4, "posterize", 6)),
    ((0.8, "rotate", 8), (0.4, "color", 0)),
    ((0.4, "rotate", 9), (0.6, "equalize", 2)),
    ((0.0, "equalize", 7), (0.8, "equalize", 8)),
    ((0.6, "invert", 4), (1.0, "equalize", 8)),
    ((0.6, "color", 4), (1.0, "contrast", 8)),
    ((0.8, "rotate", 8), (1.0, "color", 2)),
    ((0.8, "color", 8), (0.8, "solarize", 7)),
    ((0.4, "sharpness", 7), (0.6, "invert", 8)),
    ((0.6, "shearX", 5), (1.0, "equalize", 9)),
    ((0.4, "color", 0), (0.6, "equalize", 3)),
    ((0.4, "equalize", 7), (0.2, "solarize", 4)),
    ((0.6, "solarize", 5), (0.6, "autocontrast", 5)),
    ((0.6, "invert", 4), (1.0, "equalize", 8)),
    ((0.6, "color", 4), (1.0, "contrast", 8)),
    ((0.8, "equalize", 8), (0.6, "equalize", 3)),
)


def policy_magnitude(name, step):
    """AutoAugment's magnitude at `step` 0 to 9: ten even steps from no change to the largest change."""
    if name == "posterize":  # bits kept, 8 down to 4
        return int(np.round(np.linspace(8, 4, 10)[step]))
    if name == "solarize":
        return float(np.linspace(256, 0, 10)[step])
    return float(np.linspace(0, _LARGEST.get(name, 0), 10)[step])


def rand_magnitude(name, level):
    """RandAugment's magnitude at `level` 0 to 10. PaddleClas keeps fewer bits at a low level of posterize."""
    if name == "posterize":
        return int(4.0 * level / 10)
    if name == "solarize":
        return 256.0 * level / 10
    return _LARGEST.get(name, 0) * level / 10


def _apply(name, image, magnitude, fill, rng):
    if name in _SIGNED and rng.integers(2):
        magnitude = -magnitude
    return _OPERATIONS[name](image, magnitude, fill)


def _colour(option, value):
    red, green, blue = checks.reals(option, value, 3)
    return int(red), int(green), int(blue)


@TRANSFORMS.register
class AutoAugment(RandomTransform):
    """One of the 25 pairs of operations of AutoAugment's ImageNet policy; HWC uint8 images."""

    def __init__(self, fillcolor=_FILL):
        self.fill = _colour("fillcolor", fillcolor)

    def apply(self, image, rng):
        edited = ops.to_pillow(image)
        for probability, name, step in IMAGENET_POLICY[rng.integers(len(IMAGENET_POLICY))]:
            if rng.random() < probability:
                edited = _apply(name, edited, policy_magnitude(name, step), self.fill, rng)
        return np.asarray(edited)


@TRANSFORMS.register
class RandAugment(RandomTransform):
    """`num_layers` random operations at one `magnitude` (0 to 10), with probability `prob`; HWC uint8 images."""

    def __init__(self, num_layers=2, magnitude=5, fillcolor=_FILL, prob=1.0):
        self.num_layers = checks.whole("num_layers", num_layers)
        self.magnitude = checks.real("magnitude", magnitude, 0, 10)
        self.fill = _colour("fillcolor", fillcolor)
        self.prob = checks.real("prob", prob, 0, 1)
        self._names = tuple(_OPERATIONS)

    def apply(self, image, rng):
        if rng.random() >= self.prob:
            return image
        edited = ops.to_pillow(image)
        for index in rng.integers(len(self._names), size=self.num_layers):
            name = self._names[index]
            edited = _apply(name, edited, rand_magnitude(name, self.magnitude), self.fill, rng)
        return np.asarray(edited)
