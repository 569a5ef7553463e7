"""Resizing by OpenCV or by Pillow: the two round and filter differently, so a config names the one to use."""

import cv2
import numpy as np

from ppcls_lite.data.transforms.pillow import pillow
from ppcls_lite.utils import checks

_CV2 = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_PIL = ("nearest", "bilinear", "bicubic", "box", "lanczos", "hamming")
_RANDOM = ("bilinear", "bicubic")  # the choices of `interpolation: random`


class Resizer:
    """`resizer(image, (width, height), rng)` with PaddleClas's names.

    Without an interpolation OpenCV uses bilinear and Pillow bicubic, as in PaddleClas. `random` draws
    bilinear or bicubic for each image and is the only interpolation that needs `rng`.
    """

    def __init__(self, interpolation=None, backend="cv2"):
        self.backend = checks.choice("backend", backend, ("cv2", "pil"))
        if interpolation is None:
            interpolation = "bilinear" if self.backend == "cv2" else "bicubic"
        known = tuple(_CV2) if self.backend == "cv2" else _PIL
        self.interpolation = checks.choice("interpolation", interpolation, (*known, "random"))

    def __call__(self, image, size, rng=None):
        name = self.interpolation
        if name == "random":
            if rng is None:
                raise ValueError("interpolation: random draws numbers: call it with a numpy Generator")
            name = _RANDOM[rng.integers(2)]
        if self.backend == "cv2":
            return cv2.resize(image, size, interpolation=_CV2[name])
        image_module = pillow().Image
        resampling = getattr(image_module.Resampling, name.upper())
        return np.asarray(image_module.fromarray(np.ascontiguousarray(image)).resize(size, resampling))
