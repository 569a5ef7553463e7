"""timm's RandAugment, which PaddleClas calls TimmAutoAugment: `rand-m7-mstd0.5-inc1` and its relatives."""

import re

import numpy as np

from ppcls_lite.data.transforms import pillow as ops
from ppcls_lite.data.transforms.compose import TRANSFORMS, RandomTransform
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError

_MAX_LEVEL = 10.0


def _sign(value, rng):
    return -value if rng.random() > 0.5 else value


# The meaning of a level in [0, 10] for an operation. `inc` grows with the level; the plain kind of posterize and
# solarize weakens with it and the plain enhancements run from 0.1 to 1.9, as in the papers' code.
def _signed(largest):
    return lambda level, inc, rng: _sign(level / _MAX_LEVEL * largest, rng)


def _enhancement(level, inc, rng):
    return 1.0 + _sign(level / _MAX_LEVEL * 0.9, rng) if inc else level / _MAX_LEVEL * 1.8 + 0.1


def _bits(level, inc, rng):
    bits = int(level / _MAX_LEVEL * 4)
    return 4 - bits if inc else bits


def _threshold(level, inc, rng):
    threshold = int(level / _MAX_LEVEL * 256)
    return 256 - threshold if inc else threshold


def _addition(level, inc, rng):
    return int(level / _MAX_LEVEL * 110)


def _no_level(level, inc, rng):
    return None


def _enhance(kind):
    return lambda image, factor, resample, fill: ops.enhance(image, kind, factor)


# (name, level to argument, operation(image, argument, resample, fill), share under `w0`)
OPERATIONS = (
    ("AutoContrast", _no_level, lambda image, *_: ops.auto_contrast(image), 0.025),
    ("Equalize", _no_level, lambda image, *_: ops.equalize(image), 0.005),
    ("Invert", _no_level, lambda image, *_: ops.invert(image), 0.0),
    ("Rotate", _signed(30.0), ops.rotate, 0.3),
    ("Posterize", _bits, lambda image, bits, *_: ops.posterize(image, bits), 0.0),
    ("Solarize", _threshold, lambda image, threshold, *_: ops.solarize(image, threshold), 0.005),
    ("SolarizeAdd", _addition, lambda image, add, *_: ops.solarize_add(image, add), 0.005),
    ("Color", _enhancement, _enhance("Color"), 0.025),
    ("Contrast", _enhancement, _enhance("Contrast"), 0.005),
    ("Brightness", _enhancement, _enhance("Brightness"), 0.005),
    ("Sharpness", _enhancement, _enhance("Sharpness"), 0.025),
    ("ShearX", _signed(0.3), ops.shear_x, 0.2),
    ("ShearY", _signed(0.3), ops.shear_y, 0.2),
    ("TranslateXRel", _signed(0.45), ops.translate_x, 0.1),
    ("TranslateYRel", _signed(0.45), ops.translate_y, 0.1),
)


@TRANSFORMS.register
class TimmAutoAugment(RandomTransform):
    """RandAugment as timm has it, with probability `prob` per image; HWC uint8 images.

    `config_str` is `rand` and, after dashes in any order, `m` magnitude (default 10), `n` operations per image
    (2), `mstd` standard deviation of the magnitude (0), `inc1` operations that strengthen with the magnitude
    (else `inc0`), `w0` weighted choice without repetition. Each chosen operation runs with probability 0.5.
    `interpolation` is bilinear, bicubic, lanczos, hamming or random (bilinear or bicubic); `mean` times 255
    fills what a shift uncovers. `img_size` is accepted for PaddleClas's sake: only absolute shifts use it,
    and this family has none. PaddleClas takes `inc0` for `inc1`; no official config has it.
    """

    def __init__(
        self,
        config_str="rand-m9-mstd0.5-inc1",
        interpolation="bicubic",
        img_size=224,
        mean=(0.485, 0.456, 0.406),
        prob=1.0,
    ):
        checks.width_height("img_size", img_size)
        known = ("bilinear", "bicubic", "lanczos", "hamming", "random")
        self.interpolation = checks.choice("interpolation", interpolation, known)
        self.fill = tuple(min(255, round(255 * value)) for value in checks.reals("mean", mean, 3))
        self.prob = checks.real("prob", prob, 0, 1)
        self.magnitude, self.layers, self.deviation, self.increasing = _MAX_LEVEL, 2, 0.0, False
        self.weights = None
        self._read(config_str)

    def _read(self, text):
        expected = "rand and sections such as m7, n2, mstd0.5, inc1, w0 between dashes"
        if not isinstance(text, str) or text.split("-")[0] != "rand":
            raise checks.wrong("config_str", expected, text)
        for section in text.split("-")[1:]:
            match = re.fullmatch(r"(mstd|inc|m|n|w)(\d+(?:\.\d+)?)", section)
            if match is None or (match[1] != "mstd" and "." in match[2]):
                raise UserError(f"config_str: expected {expected}, found section {section!r} in {text!r}")
            self._set(match[1], float(match[2]), text)
        if self.weights is not None and self.layers > np.count_nonzero(self.weights):
            raise UserError(f"config_str: w0 chooses among {np.count_nonzero(self.weights)} operations, found {text!r}")

    def _set(self, key, value, text):
        if key == "m":
            self.magnitude = value
        elif key == "mstd":
            self.deviation = value
        elif key == "inc":
            self.increasing = value != 0
        elif key == "n" and value >= 1:
            self.layers = int(value)
        elif key == "w" and value == 0:
            shares = np.array([share for *_, share in OPERATIONS])
            self.weights = shares / shares.sum()
        else:
            raise UserError(f"config_str: expected n of at least 1 and w0, found {key}{value:g} in {text!r}")

    def apply(self, image, rng):
        if rng.random() >= self.prob:
            return image
        repeat = self.weights is None
        chosen = rng.choice(len(OPERATIONS), self.layers, replace=repeat, p=self.weights)
        edited = None
        for index in chosen:
            if rng.random() <= 0.5:
                edited = ops.to_pillow(image) if edited is None else edited
                edited = self._operate(edited, index, rng)
        return image if edited is None else np.asarray(edited)

    def _operate(self, image, index, rng):
        _, to_argument, operate, _ = OPERATIONS[index]
        level = self.magnitude
        if self.deviation:
            level = rng.normal(level, self.deviation)
        level = min(_MAX_LEVEL, max(0.0, level))
        resample = self.interpolation
        if resample == "random":
            resample = ("bilinear", "bicubic")[rng.integers(2)]
        return operate(image, to_argument(level, self.increasing, rng), resample, self.fill)
