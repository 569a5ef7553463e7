"""Limits of a request, and the decoding of its images. Requests come from unknown senders: every byte is checked."""

import binascii
import io
import os
from dataclasses import dataclass
from enum import IntEnum

from ppcls_lite.utils.errors import UserError

DRAW = "draw"  # the key of a request that is no image


class Code(IntEnum):
    """`err_no` of an answer; Paddle Serving leaves 51 to 99 to services, and has its own numbers above."""

    FORM = 51  # not of the form {"key": ["image"], "value": [base64]}
    LIMIT = 52  # more than the service allows
    IMAGE = 53  # not an image that can be decoded
    BUSY = 54  # too many requests at once, or the service stops; try again
    MODEL = 55  # scores that are not finite: the fault is in the service


_STATUS = {Code.FORM: 400, Code.LIMIT: 413, Code.IMAGE: 422, Code.BUSY: 503}


def status_of(number):
    """The HTTP status of an answer with that `err_no`: 200, or one for each kind of error, so that failures can be
    counted without reading answers. What the client cannot change is 500."""
    return _STATUS.get(number, 500) if number else 200


class RequestError(UserError):
    """A request that is refused; the message is one line that names what was found and what is expected."""

    def __init__(self, code, message, status=None):
        super().__init__(message)
        self.code = code
        self.status = status or status_of(code)


@dataclass(frozen=True)
class Limits:
    """The limits of one request, and of all together; `limits` in config.yml."""

    max_images: int = 32
    max_body_mb: int = 16
    max_pixels: int = 1 << 26  # of one image: 8192 x 8192
    max_request_pixels: int = 1 << 26  # of all images of a request together
    max_scans: int = 64  # of one progressive JPEG, each of which costs as much as decoding the whole image
    max_headers: int = 64
    max_header_kb: int = 16
    header_seconds: int = 5  # from the first byte of a request to the end of its header
    body_seconds: int = 10  # from there to the end of its body
    request_seconds: int = 30  # from there to its answer
    idle_seconds: int = 60  # between two requests of a connection
    max_queue: int = 64  # requests of one model under way: more are refused at once
    max_wait_ms: int = 0  # a request that would wait longer for an engine is refused at once; 0: whatever it takes
    memory_mb: int = 256  # of all bodies under way
    max_connections: int = 8192

    @property
    def max_body(self):
        return self.max_body_mb << 20

    @property
    def memory(self):
        return self.memory_mb << 20


def shown(text, length=60):
    """A text from a request, made safe for a message or a log: one line, escaped, shortened."""
    return ascii(text if len(text) <= length else text[:length] + "...")


def check_form(keys, values, limits):
    """{key: value} of a request's two lists; RequestError when they do not describe images.

    The key `draw` is no image: with the value `true`, the images with their boxes are answered too.
    """
    if len(keys) != len(values):
        raise RequestError(Code.FORM, f"expected as many values as keys, found {len(keys)} keys, {len(values)} values")
    count = count_images(keys)
    if not count:
        found = f"{shown(DRAW)} alone" if keys else "no key"
        raise RequestError(Code.FORM, f'expected "key": ["image"] and "value": [base64], found {found}')
    if count > limits.max_images:
        raise RequestError(Code.LIMIT, f"{count} images in one request; expected at most {limits.max_images}")
    texts = dict(zip(keys, values))
    if len(texts) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RequestError(Code.FORM, f"the key {shown(twice)} appears twice; each image needs a key of its own")
    if texts.get(DRAW, "true") not in ("true", "false"):
        raise RequestError(Code.FORM, f"the value of {shown(DRAW)}: expected true or false, found {shown(texts[DRAW])}")
    return texts


def count_images(keys):
    """The number of images among the keys of a request."""
    return sum(key != DRAW for key in keys)


def images_of(texts):
    """{key: base64} of the images of a request that `check_form` has passed."""
    return {key: value for key, value in texts.items() if key != DRAW}


def wants_drawings(texts):
    """Whether a request that `check_form` has passed wants the images with their boxes."""
    return texts.get(DRAW) == "true"


def decode_base64(key, value):
    """The bytes of the base64 text `value`; it may have line breaks, but no other foreign character."""
    if not value:
        raise RequestError(Code.FORM, f"the value of {shown(key)} is empty; expected an image file as base64")
    for text in (value, "".join(value.split())):
        try:
            data = binascii.a2b_base64(text)
        except (binascii.Error, ValueError):
            continue
        # the decoder skips foreign characters, and then returns fewer bytes than the length promises
        if len(text) % 4 == 0 and len(data) == len(text) // 4 * 3 - text[-2:].count("="):
            return data
    raise RequestError(Code.FORM, f"the value of {shown(key)} is not base64 ({len(value)} characters)")


def check_pixels(images, limits):
    """Raise RequestError when the headers of the image files {key: bytes} state too many pixels together."""
    total = 0
    for key, data in images.items():
        width, height = _size_of(data)
        total += width * height
        if total > limits.max_request_pixels:
            raise RequestError(
                Code.LIMIT,
                f"{shown(key)}: {width}x{height} pixels, with the images before it {total}; expected at most "
                f"{limits.max_request_pixels} in a request",
            )


def transform_image(key, data, transforms, limits, prepare):
    """What `prepare(data, transforms)` makes of the bytes of an image file; RequestError says what is wrong with them.

    OpenCV checks an image's size itself before it decodes (see `limit_opencv`); for Pillow it is checked here.
    """
    scans = data.count(b"\xff\xda") if data[:2] == b"\xff\xd8" else 0
    if scans > limits.max_scans:
        raise RequestError(Code.LIMIT, f"{shown(key)}: a JPEG of {scans} scans; expected at most {limits.max_scans}")
    if any(getattr(op, "decodes", False) and op.backend == "pil" for op in transforms.ops):
        _check_size(key, data, limits)
    try:
        return prepare(data, transforms)
    except UserError as error:
        _check_size(key, data, limits)  # the size may be why OpenCV refused
        raise RequestError(Code.IMAGE, f"{shown(key)}: {error}") from None


def limit_opencv(limits):
    """Make OpenCV refuse larger images by their header; call it before OpenCV is imported."""
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(limits.max_pixels)


def _check_size(key, data, limits):
    """Raise RequestError when the header of an image file states too many pixels."""
    width, height = _size_of(data)
    if width * height > limits.max_pixels:
        raise RequestError(Code.LIMIT, f"{shown(key)}: {width}x{height} pixels; expected at most {limits.max_pixels}")


def _size_of(data):
    """Width and height that the header of an image file states; 0, 0 where it has none that can be read."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit raises before it says the size
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except Exception:  # Pillow's readers raise nearly every built-in type on damaged data
        return 0, 0
