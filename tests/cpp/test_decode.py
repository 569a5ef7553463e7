"""Images of every kind are decoded as OpenCV and Pillow decode them in Python, and damaged ones are refused by both."""

import ctypes
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from ppcls_lite.data.transforms.decoding import decode, decode_with_pillow
from ppcls_lite.utils.errors import UserError
from tests.helpers.service import encoded, make_image
from tests.serving.test_attack import IMAGES, pillow_bytes

WITHOUT_4_11 = ["animated"]  # WebP: older releases of OpenCV for C++ refuse it


def decoded(decoder, data, as_pillow=False):
    """An RGB array, or None for what is refused."""
    width, height = ctypes.c_int(), ctypes.c_int()
    found = decoder.Decode(data, ctypes.c_long(len(data)), int(as_pillow), ctypes.byref(width), ctypes.byref(height))
    if not found:
        return None
    pixels = np.empty((height.value, width.value, 3), np.uint8)
    decoder.Pixels(pixels.ctypes.data_as(ctypes.c_void_p))
    return pixels


def python(data, decode=decode):
    try:
        return decode(data)
    except UserError:
        return None


def assert_same(decoder, data):
    expected, found = python(data), decoded(decoder, data)
    assert (expected is None) == (found is None)
    assert expected is None or np.array_equal(expected, found)
    return found


@pytest.mark.parametrize("kind", [kind for kind in IMAGES if kind not in (*WITHOUT_4_11, "8000x6000")])
def test_images_of_every_kind(decoder, kind):
    assert assert_same(decoder, IMAGES[kind]()) is not None


def test_an_animated_webp_is_refused_or_decoded_alike(decoder):
    data = IMAGES["animated"]()
    found = decoded(decoder, data)
    assert found is None or np.array_equal(found, python(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(decoder, form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert assert_same(decoder, pillow_bytes("RGB", form, size=(30, 20), exif=exif)) is not None


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (33, 17)])
def test_jpeg(decoder, subsampling, progressive, size):
    data = pillow_bytes("RGB", "JPEG", size=size, subsampling=subsampling, progressive=progressive)
    assert assert_same(decoder, data) is not None


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_cut_files_are_decoded_by_both_or_none(decoder, form):
    data = pillow_bytes("RGB", form, size=(40, 30))
    for length in [*range(0, 24), *range(24, len(data), max(len(data) // 60, 1)), *range(len(data) - 24, len(data))]:
        assert_same(decoder, data[:length])


@pytest.mark.parametrize("progressive", [True, False])
def test_a_jpeg_without_its_end(decoder, progressive):
    data = pillow_bytes("RGB", "JPEG", size=(40, 30), progressive=progressive)
    assert data.endswith(b"\xff\xd9")
    for cut in (1, 2, 3, 40, len(data) // 2):
        assert_same(decoder, data[:-cut])
        assert_same(decoder, data[:-cut] + b"\xff")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_damaged_files_are_decoded_by_both_or_none(decoder, form):
    data, rng = pillow_bytes("RGB", form, size=(40, 30)), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(2, len(data), 3):
            damaged[place] = rng.integers(256)
        assert_same(decoder, bytes(damaged))


@pytest.mark.parametrize(
    "data", [b"", b"x", b"hello, no image\n" * 9, b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x10JFIF"]
)
def test_no_image(decoder, data):
    assert assert_same(decoder, data) is None


def test_blue_and_red_are_not_exchanged(decoder):
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 2] = 255  # red, in OpenCV's order
    assert decoded(decoder, encoded(image, ".png"))[0, 0].tolist() == [255, 0, 0]


PILLOW = {
    "JPEG": lambda: pillow_bytes("RGB", "JPEG"),
    "grey": lambda: pillow_bytes("L", "JPEG"),
    "EXIF": IMAGES["EXIF"],
    "PNG": lambda: pillow_bytes("RGB", "PNG"),
    "palette": lambda: pillow_bytes("P", "PNG"),
    "alpha": lambda: pillow_bytes("RGBA", "PNG"),
    "1 bit": lambda: pillow_bytes("1", "PNG"),
}


@pytest.mark.parametrize("kind", PILLOW)
def test_as_pillow(decoder, kind):
    data = PILLOW[kind]()
    assert np.array_equal(decoded(decoder, data, as_pillow=True), decode_with_pillow(data))


@pytest.mark.parametrize("kind", ["CMYK", "16 bit", "TIFF", "BMP"])
def test_what_pillow_decodes_in_its_own_way_is_refused(decoder, kind):
    assert decoded(decoder, IMAGES[kind](), as_pillow=True) is None


def test_an_image_of_many_pixels(decoder):
    data = encoded(cv2.resize(make_image(), (3000, 2000)))
    assert np.array_equal(decoded(decoder, data), python(data))
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (3000, 2000)
