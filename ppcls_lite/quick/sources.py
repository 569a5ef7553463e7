"""The images of a prediction: files, folders, lists, addresses and arrays."""

import hashlib
import os

import numpy as np

from ppcls_lite.infer.predict import find_images
from ppcls_lite.quick.downloads import cache, fetched
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


def find_inputs(source):
    """[(what to read, name)] for the images of `source`.

    `source` is an image, a folder or a list file, the http(s) address of an image, an array [H, W, 3] (uint8, RGB), or
    a list of these. What to read is a path or an array; the name is the path or the address, and None for an array.
    UserError when there is no image.
    """
    if isinstance(source, (list, tuple)):
        found = [entry for part in source for entry in find_inputs(part)]
        if not found:
            raise UserError("infer_imgs: expected images, found an empty list")
        return found
    if isinstance(source, np.ndarray):
        return [(source, None)]
    if is_address(source):
        return [(_downloaded(source), source)]
    if isinstance(source, (str, os.PathLike)):
        return [(path, str(path)) for path in find_images(source)]
    raise UserError(
        "infer_imgs: expected the path or the address of an image, a folder, a list file or an array, "
        f"found {source!r:.80}"
    )


def is_address(source):
    """Whether it is the address of an image."""
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def _downloaded(url):
    """The file of the image at `url`, fetched once into a folder of its own: other addresses end with that name too."""
    folder = cache("images") / hashlib.sha256(url.encode()).hexdigest()[:12]
    known = folder.is_dir() and any(path.is_file() for path in folder.iterdir())
    path = fetched(url, folder, "give its path: infer_imgs")
    if known:
        logger.info("%s: the file that was downloaded before is used: %s", url, path)
    return str(path)
