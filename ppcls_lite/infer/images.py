"""Images for a network: read from disk, transformed, checked, and put together into batches."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcls_lite.data.detection import new_sample
from ppcls_lite.utils.errors import UserError


class DetectorImage(NamedTuple):
    """What a detector needs of one image."""

    image: np.ndarray  # [3, H, W] float32
    scale_factor: np.ndarray  # [2] float32: pixels of `image` per pixel of the file, y and x
    size: tuple  # width and height of the image in the file, in pixels


def read_image(path, transforms):
    """The file at `path` as a classifier's input [3, H, W] float32; UserError for a file that is not an image."""
    image = _read(path, transforms)
    check_input(path, image)
    return image


def prepare_array(array, transforms):
    """An image [H, W, 3] (uint8, RGB) as a classifier's input [3, H, W] float32; UserError for another array."""
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise UserError(f"expected an image [H, W, 3] of uint8 (RGB), found {list(array.shape)} of {array.dtype}")
    image = transforms(np.ascontiguousarray(array))
    check_input("an array", image)
    return np.ascontiguousarray(image)


def read_detector_image(path, transforms):
    """The file at `path` as a `DetectorImage`; UserError for a file that is not an image."""
    prepared = _read(path, lambda content: prepare_detector_image(content, transforms))
    check_input(path, prepared.image)
    return prepared


def prepare_detector_image(content, transforms):
    """The bytes of an image file, or an array [H, W, 3] (uint8, RGB), as a `DetectorImage`; UserError otherwise."""
    sample = new_sample(content)
    height, width = sample["image"].shape[:2]
    sample = transforms(sample)
    return DetectorImage(np.ascontiguousarray(sample["image"]), sample["scale_factor"], (width, height))


def stack_images(images):
    """One batch [N, 3, H, W] of images; UserError when their sizes differ."""
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise UserError(
            f"images of one batch differ in shape, {shapes[0]} and {shapes[1]}: a crop or a resize to one size is "
            "missing in the transforms (or use batch_size=1)"
        )
    return np.stack(images)


def _read(path, prepare):
    """What `prepare` makes of the bytes of the file at `path`."""
    try:
        return prepare(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def check_input(path, image):
    """UserError unless `image`, made of the file `path`, is [3, H, W] float32."""
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != np.float32:
        raise UserError(
            f"{path}: the transforms make {list(image.shape)} {image.dtype}, and a network takes [3, H, W] float32: "
            "is NormalizeImage or ToCHWImage missing?"
        )
