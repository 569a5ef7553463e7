"""Real images as inputs of an exported model: what the model computes of them is compared, on two engines.

How a project prepares its images does not matter to that comparison, as long as both engines are given the same: here
they are scaled, cropped in the middle and normalised as ImageNet's are. A file of inputs that the project has prepared
itself may be given instead.
"""

from pathlib import Path

import numpy as np

from script import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm")
MOST = 16  # images: they are taken at equal distances from all that are there
_SIDE = 224
_MEAN, _DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def find_images(places):
    """At most MOST images: the files among `places`, and those in the folders among them; UserError for none."""
    found = []
    for place in map(Path, places):
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        found += [path for path in files if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise UserError(f"{', '.join(map(str, places))}: no images there ({', '.join(SUFFIXES)})")
    count = min(MOST, len(found))
    return [found[number * len(found) // count] for number in range(count)]


def make_inputs(paths, feeds):
    """{name of an input: array [N, ...]} for the N images and the model's `Feed`s.

    UserError for inputs other than an image and, as PaddleDetection's exports have them, its sizes.
    """
    images = [feed for feed in feeds if feed.shape is None or len(feed.shape) == 4]
    if len(images) != 1 or images[0].dtype not in ("", "float32"):
        raise UserError(f"expected one input of images [N, 3, H, W] float32, found {', '.join(map(str, feeds))}")
    height, width = (side if side > 0 else _SIDE for side in (images[0].shape or (0, 0, 0, 0))[2:])
    arrays = {images[0].name: np.stack([_read(path, width, height) for path in paths])}
    for feed in feeds:
        if feed.name not in arrays:
            arrays[feed.name] = _sizes(feed, len(paths), height, width)
    return arrays


def _sizes(feed, count, height, width):
    """What PaddleDetection's exports take beside the image."""
    if feed.name == "scale_factor":
        return np.ones((count, 2), np.float32)
    if feed.name == "im_shape":
        return np.tile(np.float32([height, width]), (count, 1))
    raise UserError(f"the model's input {feed} is not known: give a file of inputs (--inputs)")


def _read(path, width, height):
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image = image.convert("RGB")
            scale = max(width / image.width, height / image.height) * 256 / 224
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.BILINEAR)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not an image that can be read ({error})") from None
    left, top = (image.width - width) // 2, (image.height - height) // 2
    pixels = np.asarray(image.crop((left, top, left + width, top + height)), np.float32)
    return ((pixels / 255 - _MEAN) / _DEVIATION).transpose(2, 0, 1).astype(np.float32)


def read_arrays(path):
    """{name: array} of a .npz file; UserError where it cannot be read. Nothing in it is ever unpickled."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a file of arrays (.npz), or damaged ({error})") from None
