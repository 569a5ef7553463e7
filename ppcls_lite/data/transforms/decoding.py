"""From the bytes of an image file to an array."""

import io

import cv2
import numpy as np

from ppcls_lite.data.transforms.pillow import pillow
from ppcls_lite.utils.errors import UserError


class Unreadable(UserError):
    """A file that cannot be read, or is no image that can be decoded."""


def decode(data):
    """An HWC uint8 RGB array from the bytes of an image file; grey and alpha become three channels.

    Turns the image as its EXIF orientation says. Raises Unreadable when OpenCV cannot decode it.
    """
    return cv2.cvtColor(decode_bgr(data), cv2.COLOR_BGR2RGB)


def decode_bgr(data):
    """As `decode`, in OpenCV's channel order."""
    image = None
    if len(data):
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # an absurd size in a damaged header
            image = None
    if image is None:
        raise Unreadable(f"not a decodable image ({len(data)} bytes)")
    return image


def decode_with_pillow(data):
    """As `decode` by Pillow, which leaves the EXIF orientation alone."""
    try:
        return np.asarray(pillow().Image.open(io.BytesIO(data)).convert("RGB"))
    except UserError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly every built-in type on damaged data
        raise Unreadable(f"not a decodable image ({len(data)} bytes)") from error
