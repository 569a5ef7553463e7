"""How images are resized: OpenCV's and Pillow's interpolations, as far as the libraries are installed."""

from functools import cache
from typing import Callable, NamedTuple

import numpy as np

_CV2 = {"linear": "INTER_LINEAR", "area": "INTER_AREA", "cubic": "INTER_CUBIC", "nearest": "INTER_NEAREST",
        "lanczos": "INTER_LANCZOS4"}  # fmt: skip
_PIL = {"bilinear": 2, "bicubic": 3, "nearest": 0, "lanczos": 1, "box": 4, "hamming": 5}


class Resizer(NamedTuple):
    """`resize(pixels [H, W] or [H, W, C], (height, width))`; `name` is `PIL bilinear`, `cv2 area`, …"""

    name: str
    resize: Callable


@cache
def resizers():
    """All that are there, the usual ones first."""
    own, others = _opencv(), _pillow()
    return [*own[:1], *others[:2], *own[1:], *others[2:]]


def quick():
    """One or two that find the size roughly."""
    names = {one.name: one for one in resizers()}
    known = [names[name] for name in ("cv2 area", "cv2 linear", "PIL bilinear") if name in names]
    return known[:2]


def _opencv():
    try:
        import cv2
    except ImportError:
        return []

    def make(name, code, of_floats):
        def resize(pixels, size):
            pixels = pixels.astype(np.float32) if of_floats else pixels
            return cv2.resize(pixels, size[::-1], interpolation=code)

        return Resizer(f"cv2 {name}{' of floats' if of_floats else ''}", resize)

    codes = {name: getattr(cv2, code) for name, code in _CV2.items()}
    found = [make(name, code, False) for name, code in codes.items()]
    return found + [make(name, code, True) for name, code in codes.items() if name != "nearest"]


def _pillow():
    try:
        from PIL import Image
    except ImportError:
        return []

    def make(name, code):
        def resize(pixels, size):
            return np.asarray(Image.fromarray(pixels).resize(size[::-1], code))

        return Resizer(f"PIL {name}", resize)

    return [make(name, code) for name, code in _PIL.items()]
