"""Small images and pairs of them for the tests of faces."""

import cv2
import numpy as np


def encoded(seed, size=16, ending=".png"):
    """The bytes of an image file."""
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return cv2.imencode(ending, image)[1].tobytes()


def write_images(folder, names, size=16):
    """Write one image under each of the `names` below `folder`."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(seed, size))
