"""The deterministic transforms that every config names: decode, resize, crop, normalise, transpose."""

import cv2
import numpy as np

from ppcls_lite.data.transforms.compose import TRANSFORMS
from ppcls_lite.data.transforms.decoding import decode, decode_bgr, decode_with_pillow
from ppcls_lite.data.transforms.resize import Resizer
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError

_IMAGENET_MEAN = [0.485, 0.456, 0.406]
_IMAGENET_STD = [0.229, 0.224, 0.225]


@TRANSFORMS.register
class DecodeImage:
    """Bytes of an image file to an HWC uint8 array; an array passes through as it is.

    `to_rgb: False` leaves OpenCV's BGR order. `to_np` is accepted for PaddleClas's sake: images are always
    NumPy arrays here. Raises UserError when the bytes are not an image.
    """

    decodes = True

    def __init__(self, to_rgb=True, to_np=True, channel_first=False, backend="cv2"):
        self.to_rgb = checks.boolean("to_rgb", to_rgb)
        checks.boolean("to_np", to_np)
        self.makes_chw = checks.boolean("channel_first", channel_first)
        self.backend = checks.choice("backend", backend, ("cv2", "pil"))

    def __call__(self, image, rng=None):
        if isinstance(image, np.ndarray):
            return image
        if self.backend == "pil":
            image = decode_with_pillow(image)
            image = image if self.to_rgb else image[:, :, ::-1]
        else:
            image = decode(image) if self.to_rgb else decode_bgr(image)
        return image.transpose(2, 0, 1) if self.makes_chw else image


@TRANSFORMS.register
class ResizeImage:
    """Resize so that the shorter side has `resize_short` pixels, or to `size` (a number or [width, height]).

    Sides are `int(round(side * resize_short / shorter))`, as in PaddleClas. `return_numpy` is accepted for
    PaddleClas's sake: images are always NumPy arrays here.
    """

    def __init__(self, size=None, resize_short=None, interpolation=None, backend="cv2", return_numpy=True):
        if size is None and resize_short is None:
            raise UserError("resize_short: this or size is required")
        self.resize_short = None if resize_short is None else checks.whole("resize_short", resize_short)
        self.size = None if resize_short is not None else checks.width_height("size", size)
        checks.boolean("return_numpy", return_numpy)
        self.resizer = Resizer(interpolation, backend)

    def __call__(self, image, rng=None):
        return self.resizer(image, self.size or self._scaled(*image.shape[:2]), rng)

    def _scaled(self, height, width):
        percent = float(self.resize_short) / min(width, height)
        return int(round(width * percent)), int(round(height * percent))


@TRANSFORMS.register
class CropImage:
    """Cut `size` (a number or [width, height]) out of the centre; an odd pixel goes right and below.

    Raises UserError for an image that is smaller than the crop.
    """

    def __init__(self, size):
        self.size = checks.width_height("size", size)

    def __call__(self, image, rng=None):
        width, height = self.size
        have_height, have_width = image.shape[:2]
        if have_height < height or have_width < width:
            raise UserError(
                f"CropImage: the image is {have_width}x{have_height}, smaller than the crop {width}x{height}"
            )
        left, top = (have_width - width) // 2, (have_height - height) // 2
        return image[top : top + height, left : left + width]


@TRANSFORMS.register
class NormalizeImage:
    """(image * scale - mean) / std in float32, bit for bit PaddleClas's.

    `order: chw` (PaddleClas's default) takes channels first, `hwc` and `''` channels last. `output_fp16`
    returns float16; `channel_num: 4` adds a channel of zeros.
    """

    def __init__(self, scale=None, mean=None, std=None, order="chw", output_fp16=False, channel_num=3):
        self.channel_axis = 0 if checks.choice("order", order, ("chw", "hwc", "")) == "chw" else 2
        shape = (3, 1, 1) if self.channel_axis == 0 else (1, 1, 3)
        scale = 1.0 / 255.0 if scale is None else checks.positive("scale", scale)
        mean = checks.reals("mean", _IMAGENET_MEAN if mean is None else mean, 3)
        std = checks.reals("std", _IMAGENET_STD if std is None else std, 3)
        if 0 in std:
            raise checks.wrong("std", "three numbers other than 0", std)
        self.scale = np.float32(scale)
        self.mean = np.array(mean).reshape(shape).astype(np.float32)
        self.std = np.array(std).reshape(shape).astype(np.float32)
        self.dtype = np.float16 if checks.boolean("output_fp16", output_fp16) else np.float32
        if channel_num not in (3, 4):
            raise checks.wrong("channel_num", "3 or 4", channel_num)
        self.extra_channel = channel_num == 4
        self._table = self._of_every_byte() if self.channel_axis == 2 else None

    def _formula(self, image):
        image = image.astype(np.float32)
        image *= self.scale
        image -= self.mean
        image /= self.std
        return image

    def _of_every_byte(self):
        """[1, 256, 3]: a byte has 256 values, so looking the result up saves the arithmetic and its copies."""
        every = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
        return self._formula(np.repeat(every, 3, axis=2))

    def __call__(self, image, rng=None):
        if image.ndim != 3 or image.shape[self.channel_axis] != 3:
            order = "chw" if self.channel_axis == 0 else "hwc"
            raise UserError(f"NormalizeImage: expected 3 channels in order {order}, found shape {image.shape}")
        if self._table is not None and image.dtype == np.uint8:
            image = cv2.LUT(image, self._table)
        else:
            image = self._formula(image)
        if self.extra_channel:
            room = [(0, int(axis == self.channel_axis)) for axis in range(3)]
            image = np.pad(image, room)
        return image.astype(self.dtype, copy=False)


@TRANSFORMS.register
class ToCHWImage:
    """Channels last to channels first."""

    makes_chw = True

    def __call__(self, image, rng=None):
        return image.transpose(2, 0, 1)
