"""The random transforms that need no table of operations: crop, flip, erase."""

import math

import cv2
import numpy as np

from ppcls_lite.data.transforms.compose import TRANSFORMS, RandomTransform
from ppcls_lite.data.transforms.resize import Resizer
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError


@TRANSFORMS.register
class RandCropImage(RandomTransform):
    """Cut out a random share `scale` of the area with a random aspect `ratio` and resize it to `size`.

    The crop of Inception (https://arxiv.org/abs/1409.4842) with PaddleClas's numbers: the share is limited
    so that the crop fits, and `use_log_aspect` draws the ratio evenly on a logarithmic scale.
    """

    def __init__(self, size, scale=None, ratio=None, interpolation=None, use_log_aspect=False, backend="cv2"):
        self.size = checks.width_height("size", size)
        self.scale = checks.span("scale", [0.08, 1.0] if scale is None else scale)
        self.ratio = checks.span("ratio", [3.0 / 4.0, 4.0 / 3.0] if ratio is None else ratio)
        self.use_log_aspect = checks.boolean("use_log_aspect", use_log_aspect)
        self._resize = Resizer(interpolation, backend)

    def apply(self, image, rng):
        left, top, width, height = self.box(image.shape[0], image.shape[1], rng)
        return self._resize(image[top : top + height, left : left + width], self.size, rng)

    def box(self, image_height, image_width, rng):
        """(left, top, width, height) of one crop, in pixels."""
        if self.use_log_aspect:
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
        else:
            ratio = rng.uniform(*self.ratio)
        aspect = math.sqrt(ratio)
        fits = min(image_width / image_height / ratio, image_height / image_width * ratio)
        share = rng.uniform(min(self.scale[0], fits), min(self.scale[1], fits))
        side = math.sqrt(image_width * image_height * share)
        # an image of a few pixels would round to nothing, and rounding must not reach past the border
        width = min(max(int(side * aspect), 1), image_width)
        height = min(max(int(side / aspect), 1), image_height)
        left = int(rng.integers(0, image_width - width, endpoint=True))
        top = int(rng.integers(0, image_height - height, endpoint=True))
        return left, top, width, height


@TRANSFORMS.register
class RandFlipImage(RandomTransform):
    """Flip every second image: `flip_code` 1 left to right, 0 upside down, -1 both."""

    def __init__(self, flip_code=1):
        if isinstance(flip_code, bool) or flip_code not in (1, 0, -1):
            raise checks.wrong("flip_code", "1, 0 or -1", flip_code)
        self.flip_code = flip_code

    def apply(self, image, rng):
        return cv2.flip(image, self.flip_code) if rng.integers(2) else image


@TRANSFORMS.register
class RandomErasing(RandomTransform):
    """With probability `EPSILON` overwrite a rectangle (https://arxiv.org/abs/1708.04896); HWC images.

    Its area is a share `sl` to `sh` of the image, its aspect ratio lies in [r1, 1/r1]; `attempt` draws are
    made to find one that fits. `mode`: `const` writes `mean`, `rand` one normal colour, `pixel` normal noise.
    """

    def __init__(
        self,
        EPSILON=0.5,
        sl=0.02,
        sh=0.4,
        r1=0.3,
        mean=(0.0, 0.0, 0.0),
        attempt=100,
        use_log_aspect=False,
        mode="const",
    ):
        self.probability = checks.real("EPSILON", EPSILON, 0, 1)
        self.low = checks.real("sl", sl, 0, 1)
        self.high = checks.real("sh", sh, 0, 1)
        if self.low > self.high:
            raise checks.wrong("sl", f"at most sh ({self.high})", sl)
        lowest = checks.positive("r1", checks.real("r1", r1, 0, 1))
        self.use_log_aspect = checks.boolean("use_log_aspect", use_log_aspect)
        ratio = (lowest, 1 / lowest)
        self.ratio = tuple(map(math.log, ratio)) if self.use_log_aspect else ratio
        self.mean = np.array(checks.reals("mean", mean, 3), np.float32)
        self.attempt = checks.whole("attempt", attempt)
        self.mode = checks.choice("mode", mode, ("const", "rand", "pixel"))

    def apply(self, image, rng):
        if image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f"RandomErasing: expected an image [height, width, 3], found shape {image.shape}")
        if rng.random() > self.probability:
            return image
        box = self.box(image.shape[0], image.shape[1], rng)
        if box is None:
            return image
        left, top, width, height = box
        image = image.copy()  # the caller's image may be shared
        image[top : top + height, left : left + width] = self._paint(height, width, rng)
        return image

    def box(self, image_height, image_width, rng):
        """(left, top, width, height) in pixels, or None when no draw was smaller than the image."""
        for _ in range(self.attempt):
            area = rng.uniform(self.low, self.high) * image_height * image_width
            ratio = rng.uniform(*self.ratio)
            ratio = math.exp(ratio) if self.use_log_aspect else ratio
            height, width = int(round(math.sqrt(area * ratio))), int(round(math.sqrt(area / ratio)))
            if height < image_height and width < image_width:
                top = int(rng.integers(0, image_height - height, endpoint=True))
                left = int(rng.integers(0, image_width - width, endpoint=True))
                return left, top, width, height
        return None

    def _paint(self, height, width, rng):
        if self.mode == "const":
            return self.mean
        return rng.standard_normal((height, width, 3) if self.mode == "pixel" else (1, 1, 3))
