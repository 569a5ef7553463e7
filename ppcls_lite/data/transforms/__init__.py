"""Image transforms under PaddleClas's names, with its numbers and with randomness that can be repeated.

`build_transforms(ops)` makes a `Compose` from a config's `transform_ops`. An import needs only NumPy and
OpenCV; Pillow is imported by the first transform that uses it.
"""

from ppcls_lite.data.transforms import auto_augment, basic, random_ops, timm_augment  # noqa: F401 (they register)
from ppcls_lite.data.transforms.compose import TRANSFORMS, Compose, build_transforms
from ppcls_lite.data.transforms.decoding import decode

__all__ = ["TRANSFORMS", "Compose", "build_transforms", "decode"]
