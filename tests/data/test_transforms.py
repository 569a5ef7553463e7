"""Transforms against plain formulas and OpenCV's own calls; faults in a config against their messages."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from ppcls_lite.data.transforms import TRANSFORMS, build_transforms, decode
from ppcls_lite.utils.errors import UserError


@pytest.fixture
def rgb():
    """An HWC uint8 RGB image with odd sides."""
    small = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)
    return cv2.resize(small, (171, 121), interpolation=cv2.INTER_CUBIC)


def one(name, **options):
    return build_transforms([{name: options or None}])


def encoded(rgb, ending=".png"):
    return cv2.imencode(ending, rgb[:, :, ::-1])[1].tobytes()


def test_import_needs_neither_paddle_nor_pillow():
    code = (
        "import sys, ppcls_lite.data.transforms, ppcls_lite.data.dataset;"
        "print([m for m in ('paddle', 'PIL', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("backend", ["cv2", "pil"])
def test_decode_orders(rgb, backend):
    data = encoded(rgb)
    assert np.array_equal(one("DecodeImage", backend=backend)(data), rgb)
    assert np.array_equal(one("DecodeImage", backend=backend, to_rgb=False)(data), rgb[:, :, ::-1])
    first = one("DecodeImage", backend=backend, channel_first=True)
    assert np.array_equal(first(data), rgb.transpose(2, 0, 1))
    assert first.makes_chw
    assert np.array_equal(decode(data), rgb)


def test_decode_passes_an_array_and_widens_grey(rgb):
    assert one("DecodeImage")(rgb) is rgb
    grey = cv2.imencode(".png", rgb[:, :, 0])[1].tobytes()
    assert decode(grey).shape == rgb.shape


@pytest.mark.parametrize("backend", ["cv2", "pil"])
@pytest.mark.parametrize("data", [b"", b"no image", "cut"])
def test_not_decodable(rgb, backend, data):
    data = encoded(rgb)[:30] if data == "cut" else data
    with pytest.raises(UserError, match="not a decodable image"):
        one("DecodeImage", backend=backend)(data)


@pytest.mark.parametrize(("width", "height"), [(171, 121), (333, 500), (257, 255), (101, 999), (5, 3)])
@pytest.mark.parametrize("short", [256, 232, 7])
def test_resize_short_rounds_as_the_formula(width, height, short):
    percent = float(short) / min(width, height)
    expected = (int(round(height * percent)), int(round(width * percent)), 3)
    image = np.zeros((height, width, 3), np.uint8)
    assert one("ResizeImage", resize_short=short)(image).shape == expected


def test_resize_rounds_half_to_even():
    # 5 * (250 / 100) = 12.5 -> 12, and 7 * 2.5 = 17.5 -> 18: Python's rule, which decides the crop's place
    assert one("ResizeImage", resize_short=250)(np.zeros((100, 101, 3), np.uint8)).shape == (250, 252, 3)
    assert one("ResizeImage", resize_short=250)(np.zeros((100, 103, 3), np.uint8)).shape == (250, 258, 3)


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        (None, cv2.INTER_LINEAR),
        ("nearest", cv2.INTER_NEAREST),
        ("bilinear", cv2.INTER_LINEAR),
        ("area", cv2.INTER_AREA),
        ("bicubic", cv2.INTER_CUBIC),
        ("lanczos", cv2.INTER_LANCZOS4),
    ],
)
def test_resize_is_opencv(rgb, name, flag):
    ours = one("ResizeImage", size=[60, 50], interpolation=name)(rgb)
    assert np.array_equal(ours, cv2.resize(rgb, (60, 50), interpolation=flag))


@pytest.mark.parametrize("name", [None, "nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_resize_is_pillow(rgb, name):
    image = pytest.importorskip("PIL.Image")
    flag = getattr(image.Resampling, (name or "bicubic").upper())
    ours = one("ResizeImage", size=[60, 50], interpolation=name, backend="pil")(rgb)
    assert np.array_equal(ours, np.asarray(image.fromarray(rgb).resize((60, 50), flag)))


def test_random_interpolation_is_one_of_two(rgb):
    op = one("ResizeImage", size=60, interpolation="random")
    results = {op(rgb, np.random.default_rng(seed)).tobytes() for seed in range(12)}
    flags = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    assert results == {cv2.resize(rgb, (60, 60), interpolation=flag).tobytes() for flag in flags}
    with pytest.raises(ValueError, match="Generator"):
        op(rgb)


def test_crop_takes_the_floor(rgb):
    height, width = rgb.shape[:2]  # 121, 171
    left, top = (width - 64) // 2, (height - 32) // 2
    assert np.array_equal(one("CropImage", size=[64, 32])(rgb), rgb[top : top + 32, left : left + 64])
    assert one("CropImage", size=[171, 121])(rgb).shape == rgb.shape
    with pytest.raises(UserError, match="171x121, smaller than the crop 122x122"):
        one("CropImage", size=122)(rgb)


@pytest.mark.parametrize("order", ["", "hwc", "chw"])
@pytest.mark.parametrize("scale", ["1.0/255.0", 0.00392157, None])
def test_normalize_equals_the_formula_bit_for_bit(rgb, order, scale):
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    image = rgb.transpose(2, 0, 1) if order == "chw" else rgb
    shape = (3, 1, 1) if order == "chw" else (1, 1, 3)
    factor = np.float32(scale if isinstance(scale, float) else 1.0 / 255.0)
    mean32 = np.array(mean).reshape(shape).astype("float32")
    std32 = np.array(std).reshape(shape).astype("float32")
    expected = (image.astype("float32") * factor - mean32) / std32
    op = one("NormalizeImage", scale=scale, mean=mean, std=std, order=order)
    assert expected.dtype == np.float32
    part = (slice(3, 90), slice(None, None, -1))
    part = (slice(None), *part) if order == "chw" else part
    for given, required in ((image, expected), (image[part], expected[part]), (image.astype(np.float32), expected)):
        assert op(given).dtype == np.float32
        assert np.array_equal(op(given), required)


def test_normalize_leaves_its_input_alone(rgb):
    given = rgb.astype(np.float32)
    one("NormalizeImage", order="hwc")(given)
    assert np.array_equal(given, rgb)


def test_normalize_half_precision_and_fourth_channel(rgb):
    plain = one("NormalizeImage", order="")(rgb)
    four = one("NormalizeImage", order="", output_fp16=True, channel_num=4)(rgb)
    assert four.dtype == np.float16
    assert np.array_equal(four[:, :, :3], plain.astype(np.float16))
    assert not four[:, :, 3].any()
    assert one("NormalizeImage", channel_num=4)(rgb.transpose(2, 0, 1)).shape == (4, 121, 171)


def test_normalize_tells_a_wrong_order(rgb):
    with pytest.raises(UserError, match=r"3 channels in order chw, found shape \(121, 171, 3\)"):
        one("NormalizeImage")(rgb)


def test_official_chain(rgb):
    ops = [
        {"DecodeImage": {"to_rgb": True, "channel_first": False}},
        {"ResizeImage": {"resize_short": 256}},
        {"CropImage": {"size": 224}},
        {"NormalizeImage": {"scale": "1.0/255.0", "order": ""}},
        {"ToCHWImage": None},
    ]
    chain = build_transforms(ops)
    assert chain.makes_chw
    resized = cv2.resize(rgb, (362, 256))
    cut = resized[16:240, 69:293].astype(np.float32) * np.float32(1 / 255)
    cut -= np.float32([0.485, 0.456, 0.406])
    cut /= np.float32([0.229, 0.224, 0.225])
    assert np.array_equal(chain(encoded(rgb)), cut.transpose(2, 0, 1))


FAULTS = [
    ([{"ResizeImages": None}], r"^T\[0\]: unknown transform 'ResizeImages' \(did you mean 'ResizeImage'\?\)"),
    ([{"CropImage": {"size": 4}}, {"CropImage": {"sise": 4}}], r"^T\[1\] CropImage\.sise: .*mean 'size'"),
    ([{"CropImage": None}], r"^T\[0\] CropImage\.size: this option is required"),
    ([{"CropImage": {"size": "224"}}], r"^T\[0\] CropImage\.size: expected a whole number"),
    ([{"CropImage": {"size": [1, 2, 3]}}], r"CropImage\.size: expected a whole number or \[width, height\]"),
    ([{"CropImage": 224}], r"^T\[0\] CropImage: expected a mapping"),
    ([{"DecodeImage": {"to_rgb": "Fasle"}}], r"DecodeImage\.to_rgb: expected True or False, found 'Fasle'"),
    ([{"ResizeImage": None}], r"ResizeImage\.resize_short: this or size is required"),
    ([{"ResizeImage": {"size": 3, "interpolation": "bicubik"}}], r"ResizeImage\.interpolation: .*'bicubic'\?"),
    ([{"ResizeImage": {"size": 3, "backend": "gpu"}}], r"ResizeImage\.backend: expected one of 'cv2', 'pil'"),
    ([{"NormalizeImage": {"scale": "import os"}}], r"NormalizeImage\.scale: expected a number"),
    ([{"NormalizeImage": {"mean": [1, 2]}}], r"NormalizeImage\.mean: expected a list of 3 numbers"),
    ([{"NormalizeImage": {"std": [1, 2, 0]}}], r"NormalizeImage\.std: "),
    ([{"NormalizeImage": {"order": "nchw"}}], r"NormalizeImage\.order: .*mean 'chw'"),
    ([{"RandFlipImage": {"flip_code": 2}}], r"RandFlipImage\.flip_code: expected 1, 0 or -1"),
    ([{"RandCropImage": {"size": 4, "scale": [1, 0.5]}}], r"RandCropImage\.scale: expected \[low, high\]"),
    ([{"RandomErasing": {"EPSILON": 2}}], r"RandomErasing\.EPSILON: expected a number from 0 to 1"),
    ([{"RandomErasing": {"sh": "1.0/0"}}], r"RandomErasing\.sh: "),
    ([{"RandomErasing": {"r1": 0}}], r"RandomErasing\.r1: expected a number above 0"),
    ([{"TimmAutoAugment": {"config_str": "rand-q7"}}], r"TimmAutoAugment\.config_str: .*section 'q7'"),
    ([{"TimmAutoAugment": {"config_str": "augmix-m3"}}], r"TimmAutoAugment\.config_str: expected rand"),
    ([{"A": 1, "B": 2}], r"^T\[0\]: expected one `Name: options`"),
    ({"CropImage": 1}, r"^T: expected a list"),
]


@pytest.mark.parametrize(("ops", "message"), FAULTS)
def test_faults_of_a_config_are_one_line_with_their_place(ops, message):
    with pytest.raises(UserError, match=message) as caught:
        build_transforms(ops, "T")
    assert "\n" not in str(caught.value)


def test_everything_that_official_configs_name_is_registered():
    official = (
        "DecodeImage ResizeImage CropImage RandCropImage RandFlipImage NormalizeImage ToCHWImage "
        "AutoAugment RandAugment TimmAutoAugment RandomErasing"
    )
    assert set(official.split()) <= set(TRANSFORMS.names())
