"""The C++ transforms are bit for bit those of OpenCV, Pillow and NumPy, over many sizes; lines are those of Python."""

import ctypes

import cv2
import numpy as np
import pytest
from PIL import Image

from ppcls_lite.data.transforms.basic import CropImage, NormalizeImage, ResizeImage
from ppcls_lite.infer.model.postprocess import Topk, format_line
from ppcls_lite.utils.errors import UserError

BILINEAR, AREA, NEAREST = 0, 1, 2
OPENCV = {BILINEAR: cv2.INTER_LINEAR, AREA: cv2.INTER_AREA, NEAREST: cv2.INTER_NEAREST}
# where sides stay, halve, double, shrink by whole numbers or vanish; then sizes at random
SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (7, 5)),
    ((2, 2), (1, 1)),
    ((9, 7), (1, 1)),
    ((3, 1000), (50, 2)),
    ((64, 48), (32, 24)),
    ((64, 48), (32, 48)),
    ((64, 48), (16, 12)),
    ((63, 47), (32, 24)),
    ((98, 98), (2, 2)),
    ((32, 24), (64, 48)),
    ((500, 375), (341, 256)),
    ((333, 500), (36, 54)),
]


def _sizes(count, seed=5):
    rng = np.random.default_rng(seed)
    most = (12, 60, 200)
    return [tuple(tuple(map(int, pair)) for pair in rng.integers(1, most[n % 3], (2, 2))) for n in range(count)]


def _image(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def resized(common, function, kind, image, size):
    out = np.empty((size[1], size[0], 3), np.uint8)
    getattr(common, function)(kind, _pointer(image), image.shape[1], image.shape[0], _pointer(out), *size)
    return out


@pytest.mark.parametrize("kind", OPENCV)
def test_resize_is_opencvs(common, kind):
    for old, new in SIZES + _sizes(400):
        image = _image(old)
        expected = cv2.resize(image, new, interpolation=OPENCV[kind])
        assert np.array_equal(resized(common, "Resize", kind, image, new), expected), (old, new)


def test_another_interpolation_is_seen(common):
    image = _image((64, 48))
    assert not np.array_equal(resized(common, "Resize", AREA, image, (30, 20)), cv2.resize(image, (30, 20)))


def test_grey_images_stay_grey(common):
    image = np.repeat(_image((40, 31))[:, :, :1], 3, axis=2)
    found = resized(common, "Resize", BILINEAR, image, (33, 57))
    assert (found == found[:, :, :1]).all()


@pytest.mark.parametrize("kind", range(6))
def test_resize_is_pillows(common, kind):
    for old, new in SIZES + _sizes(150):
        image = _image(old)
        expected = np.asarray(Image.fromarray(image).resize(new, kind))
        assert np.array_equal(resized(common, "ResizeAsPillow", kind, image, new), expected), (old, new)


def test_the_short_side_is_rounded_as_python_rounds(common):
    resize, found = ResizeImage(resize_short=5), (ctypes.c_int * 2)()
    for width in range(1, 90):
        for height in range(1, 40):
            common.ShortSideSize(width, height, 5, found)
            assert tuple(found) == resize._scaled(height, width)


def test_crop(common):
    for size in ((9, 8), (8, 9), (5, 4)):
        image, out = _image(size), np.empty((4, 5, 3), np.uint8)
        assert common.Crop(_pointer(image), *size, _pointer(out), 5, 4) == 0
        assert np.array_equal(out, CropImage([5, 4])(image))
    with pytest.raises(UserError):
        CropImage([5, 4])(_image((4, 9)))
    assert common.Crop(_pointer(_image((4, 9))), 4, 9, _pointer(np.empty((4, 5, 3), np.uint8)), 5, 4) == 1


@pytest.mark.parametrize(
    ("scale", "mean", "std"), [(1 / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), (1, [127.5] * 3, [3] * 3)]
)
def test_normalise(common, scale, mean, std):
    image = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(16, 16, 3)
    out = np.empty((3, 16, 16), np.float32)
    numbers = [(ctypes.c_double * 3)(*values) for values in (mean, std)]
    common.Normalize(_pointer(image), 16, 16, ctypes.c_double(scale), *numbers, _pointer(out))
    expected = NormalizeImage(scale, mean, std, order="")(image).transpose(2, 0, 1)
    assert out.tobytes() == np.ascontiguousarray(expected).tobytes()


SCORES = {
    "ties": [0.25, 0.5, 0.25, 0.5, 0.0],
    "rounding": [0.125, 0.375, 0.004999, 0.005, 0.995],
    "negative": [-1.5, -0.0, 0.0, -1e-9, 3e9],
    "one": [1.0],
}


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_lines_are_pythons(common, kind, k):
    scores = np.array(SCORES[kind], np.float32)
    names = ["plain", "it's", 'a "word"', "both ' and \"", "tab\tü漢\\\u00a0\u200b😀"][: len(scores)]
    topk = Topk(k)
    topk.names = dict(enumerate(names))
    expected = format_line(topk(scores[None])[0], "a folder/an image.jpg")
    out = ctypes.create_string_buffer(4096)
    text = "".join(f"{name}\n" for name in names).encode()
    common.Line(_pointer(scores), len(scores), k, text, b"a folder/an image.jpg", out, len(out))
    assert out.value.decode() == expected


def test_quoted_text_is_pythons(common):
    out = ctypes.create_string_buffer(64)
    for code in [*range(1, 0x250), 0x3B1, 0x2028, 0x3000, 0xFEFF, 0x1F600]:
        common.Quoted(chr(code).encode(), out, len(out))
        assert out.value.decode() == repr(chr(code)), hex(code)
        out.raw = b"\0" * len(out)
