"""Transforms of an image together with its boxes.

A sample is a dict: image (HWC uint8 RGB, CHW float32 in the end), chw (False until then), boxes [n, 4] float32
(x1, y1, x2, y2 in pixels of the image), labels [n] int64, class_num, scale_factor [2] float32 (pixels of the image per
pixel of the image as it was read, y and x). Transforms that move no pixel come from `transforms`.
"""

import cv2
import numpy as np

from ppcls_lite.data.transforms import TRANSFORMS, decode
from ppcls_lite.data.transforms.compose import build_op
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

DET_TRANSFORMS = Registry("detection transform")
_STILL = ("DecodeImage", "NormalizeImage", "ToCHWImage")  # of the classifiers' transforms
_AT_THE_END = ("NormalizeImage", "ToCHWImage", "Gt2CenterNetTarget")
_FILL = (124, 116, 104)  # ImageNet's mean colour, about 0 after normalisation


class DetCompose:
    """The detection transforms of a config in their order: `transforms(sample, rng=None)` returns the sample."""

    def __init__(self, ops):
        self.ops = list(ops)

    def __call__(self, sample, rng=None):
        for op in self.ops:
            sample = op(sample, rng)
        return sample

    @property
    def makes_targets(self):
        """True when a network can be trained on the samples that result."""
        return any(getattr(op, "needs_boxes", False) for op in self.ops)


def build_det_transforms(ops, where="transforms"):
    """A DetCompose from a list of one-key mappings; faults raise UserError as in `build_transforms`."""
    if not isinstance(ops, (list, tuple)):
        raise UserError(f"{where}: expected a list of transforms, found {ops!r:.80}")
    built = [_build(entry, f"{where}[{index}]") for index, entry in enumerate(ops)]
    _check_order(built, where)
    return DetCompose(built)


def _check_order(ops, where):
    """UserError for a transform that would get numbers or an order of axes that it cannot see."""
    finished = None
    for index, op in enumerate(ops):
        name = type(getattr(op, "op", op)).__name__
        if finished and name not in _AT_THE_END:
            raise UserError(f"{where}[{index}] {name}: expected before {finished}, since it takes an image of bytes")
        if name in ("NormalizeImage", "ToCHWImage"):
            finished = finished or name


def _build(entry, place):
    name = entry if isinstance(entry, str) else next(iter(entry), None) if isinstance(entry, dict) else None
    if name in _STILL:
        op = build_op(TRANSFORMS, entry, place)
        if name == "DecodeImage" and (op.makes_chw or not op.to_rgb):  # samples are decoded when they are made
            raise UserError(f"{place} DecodeImage: the transforms of detection take RGB with the channels last")
        return _ImageOnly(op)
    if name in TRANSFORMS:
        raise UserError(
            f"{place} {name}: it would move the image away from its boxes; for detection there are "
            f"{', '.join((*DET_TRANSFORMS.names(), *_STILL))}"
        )
    return build_op(DET_TRANSFORMS, entry, place)


class _ImageOnly:
    """A transform of the classifiers, for the image of a sample."""

    def __init__(self, op):
        self.op = op

    def __call__(self, sample, rng=None):
        sample["image"] = self.op(sample["image"], rng)
        sample["chw"] = sample["chw"] or bool(getattr(self.op, "makes_chw", False))
        return sample


def new_sample(data, boxes=None, labels=None, class_num=0):
    """A sample of an image file's bytes or of an HWC array; without boxes for a prediction."""
    image = data if isinstance(data, np.ndarray) else decode(data)
    return {
        "image": image,
        "chw": False,
        "boxes": np.zeros((0, 4), np.float32) if boxes is None else boxes.astype(np.float32),
        "labels": np.zeros(0, np.int64) if labels is None else labels.astype(np.int64),
        "class_num": class_num,
        "scale_factor": np.ones(2, np.float32),
    }


def need_rng(rng, op):
    """`rng`; ValueError when it is missing, since hidden randomness cannot be repeated."""
    if rng is None:
        raise ValueError(f"{type(op).__name__} draws random numbers: call it with a numpy Generator")
    return rng


@DET_TRANSFORMS.register
class DetFlip:
    """With probability `prob`, mirror left to right."""

    def __init__(self, prob=0.5):
        self.prob = checks.real("prob", prob, 0, 1)

    def __call__(self, sample, rng=None):
        if need_rng(rng, self).random() < self.prob:
            width = sample["image"].shape[1]
            sample["image"] = cv2.flip(sample["image"], 1)
            sample["boxes"][:, [0, 2]] = width - sample["boxes"][:, [2, 0]]
        return sample


@DET_TRANSFORMS.register
class DetColor:
    """Multiply brightness, contrast and saturation by 1 +- the given shares, turn the hue by +- `hue` degrees."""

    def __init__(self, brightness=0.4, contrast=0.4, saturation=0.4, hue=0):
        self.brightness = checks.real("brightness", brightness, 0, 1)
        self.contrast = checks.real("contrast", contrast, 0, 1)
        self.saturation = checks.real("saturation", saturation, 0, 1)
        self.hue = checks.real("hue", hue, 0, 180)

    def __call__(self, sample, rng=None):
        rng = need_rng(rng, self)
        bright, contrast, saturation = (
            1 + rng.uniform(-share, share) for share in (self.brightness, self.contrast, self.saturation)
        )
        image = sample["image"]
        turn = rng.uniform(-self.hue, self.hue)
        if self.hue:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)  # hue from 0 to 179
            hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(round(turn / 2))) % 180
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # one sum: (image * saturation + grey * (1 - saturation)) * contrast + mean * (1 - contrast), times brightness
        mean = float(grey.mean())
        mixed = cv2.addWeighted(
            image,
            saturation * contrast * bright,
            cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB),
            (1 - saturation) * contrast * bright,
            mean * (1 - contrast) * bright,
        )
        sample["image"] = mixed
        return sample


def _lay(image, size, scale_x, scale_y, left, top):
    """`image` scaled and laid at (left, top) of a canvas of `size` (width, height); the part beyond it is cut off."""
    height, width = image.shape[:2]
    new = max(1, round(width * scale_x)), max(1, round(height * scale_y))
    shrinks = new[0] * new[1] < width * height
    scaled = cv2.resize(image, new, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[:] = _FILL
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + new[0], size[0]), min(top + new[1], size[1])
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = scaled[y0 - top : y1 - top, x0 - left : x1 - left]
    return canvas, new


def _move(boxes, old, new, left, top):
    """Boxes of an image of size `old` (width, height) after scaling to `new` and laying at (left, top)."""
    scale = np.array([new[0] / old[0], new[1] / old[1]] * 2, np.float32)
    return boxes * scale + np.array([left, top] * 2, np.float32)


@DET_TRANSFORMS.register
class DetResize:
    """Scale to fit into `size` (a number or [width, height]), in the upper left; the rest is the mean colour.

    With `keep_ratio: False` the image fills the size. Sets `scale_factor`.
    """

    def __init__(self, size, keep_ratio=True):
        self.size = checks.width_height("size", size)
        self.keep_ratio = checks.boolean("keep_ratio", keep_ratio)

    def __call__(self, sample, rng=None):
        height, width = sample["image"].shape[:2]
        scale_x, scale_y = self.size[0] / width, self.size[1] / height
        if self.keep_ratio:
            scale_x = scale_y = min(scale_x, scale_y)
        sample["image"], new = _lay(sample["image"], self.size, scale_x, scale_y, 0, 0)
        sample["boxes"] = _move(sample["boxes"], (width, height), new, 0, 0)
        sample["scale_factor"] = np.array([new[1] / height, new[0] / width], np.float32)
        return sample


@DET_TRANSFORMS.register
class DetScaleCrop:
    """Scale to `size` as DetResize does, times a random factor out of `scale`, and place it at random.

    A larger image is cropped, a smaller one lies on the mean colour. `ratio` widens or narrows it at random. Boxes
    are cut at the border; those of which less than `min_visible` of the area is left go.
    """

    def __init__(self, size, scale=(0.7, 1.4), ratio=(1.0, 1.0), min_visible=0.4):
        self.size = checks.width_height("size", size)
        self.scale, self.ratio = checks.span("scale", scale), checks.span("ratio", ratio)
        self.min_visible = checks.real("min_visible", min_visible, 0, 1)

    def __call__(self, sample, rng=None):
        rng = need_rng(rng, self)
        height, width = sample["image"].shape[:2]
        scale = min(self.size[0] / width, self.size[1] / height) * np.exp(rng.uniform(*np.log(self.scale)))
        stretch = np.exp(rng.uniform(*np.log(self.ratio)) / 2)
        scale_x, scale_y = scale * stretch, scale / stretch
        left, top = (
            int(round(rng.uniform(*sorted((0.0, room - side * factor)))))
            for room, side, factor in ((self.size[0], width, scale_x), (self.size[1], height, scale_y))
        )
        sample["image"], new = _lay(sample["image"], self.size, scale_x, scale_y, left, top)
        moved = _move(sample["boxes"], (width, height), new, left, top)
        cut = np.clip(moved, 0, np.array([*self.size, *self.size], np.float32))
        kept = _areas(cut) >= np.maximum(self.min_visible * _areas(moved), 1)
        sample["boxes"], sample["labels"] = cut[kept], sample["labels"][kept]
        sample["scale_factor"] = np.array([new[1] / height, new[0] / width], np.float32)
        return sample


def _areas(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
