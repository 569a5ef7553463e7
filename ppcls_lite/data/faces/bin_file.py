"""InsightFace's `.bin` files of image pairs (lfw.bin, cfp_fp.bin, agedb_30.bin): read without unpickling, and written.

Such a file is the pickle of two lists: the encoded images (JPEG or PNG), two for each pair, and a boolean for each
pair. Real files hold the images as bytes, as Python 2's `str`, or as NumPy arrays of bytes.
"""

import os
import pickle
from pathlib import Path

from ppcls_lite.data.faces.pickle_names import Damaged, Refused, plain
from ppcls_lite.data.faces.plain_pickle import read_pickle
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write

MAX_BYTES = 2 << 30  # lfw.bin has 60 MB, the largest of the usual ones about 100


def read_bin(path):
    """(images, same) of the `.bin` file at `path`: 2 N encoded images as bytes, of which images 2 i and 2 i + 1 are
    pair i, and N booleans.

    Raises UserError for a file that is missing, larger than 2 GiB, cut or damaged, or that holds or would call
    anything else.
    """
    try:
        size = os.path.getsize(path)
        if size > MAX_BYTES:
            raise UserError(f"{path}: expected a pair file of at most {MAX_BYTES >> 30} GiB, found {size >> 20} MiB")
        with open(path, "rb") as stream:
            images, same = _two_lists(read_pickle(stream))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except Refused as refused:
        raise UserError(
            f"{path}: refused: a pair file holds images and booleans only, and this one {refused}"
        ) from None
    except Damaged as damaged:
        raise UserError(f"{path}: not a pair file, or a damaged one ({damaged})") from None
    if len(images) != 2 * len(same):
        raise UserError(f"{path}: expected two images for each of the {len(same)} pairs, found {len(images)} images")
    return images, same


def _two_lists(value):
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Damaged("expected two lists, of images and of booleans")
    images, same = (plain(part) for part in value)
    if not isinstance(images, (tuple, list)) or not isinstance(same, (tuple, list)):
        raise Damaged("expected two lists, of images and of booleans")
    return [_image(plain(item), number) for number, item in enumerate(images)], list(map(_truth, same))


def _image(value, number):
    if not isinstance(value, bytes):
        raise Damaged(f"image {number} is not a row of bytes ({type(value).__name__})")
    return value


def _truth(value):
    value = plain(value)
    if isinstance(value, list) and len(value) == 1:  # an array of one boolean
        (value,) = value
    if not isinstance(value, int) or value not in (0, 1):
        raise Damaged(f"expected True or False for each pair, found {type(value).__name__}")
    return bool(value)


def write_bin(path, images, same):
    """Write 2 N encoded `images` (bytes) and N booleans `same` as `read_bin` and InsightFace read them."""
    if len(images) != 2 * len(same):
        raise ValueError(f"{len(images)} images for {len(same)} pairs")
    with atomic_write(Path(path), "wb") as stream:
        pickle.dump(([bytes(image) for image in images], [bool(item) for item in same]), stream, protocol=4)
