"""The operations of AutoAugment, RandAugment and TimmAutoAugment against plain NumPy, pixel by pixel."""

import math

import numpy as np
import pytest

from ppcls_lite.data.transforms import auto_augment, timm_augment
from ppcls_lite.data.transforms import pillow as ops
from ppcls_lite.data.transforms.compose import build_transforms

pytest.importorskip("PIL")

FILL = (124, 116, 104)
IMAGE = np.random.default_rng(5).integers(0, 256, (23, 31, 3), np.uint8)
IMAGE[4:9, 5:20] //= 3  # so that the three histograms differ from an even one
FACTORS = (0.1, 0.55, 1.0, 1.63, 1.9)


def done(operation, *arguments):
    return np.asarray(operation(ops.to_pillow(IMAGE), *arguments))


# ---- where a pixel comes from: out(x, y) = in(matrix * (x + 0.5, y + 0.5, 1)), the nearest pixel


def _moved(matrix, fill=FILL):
    height, width = IMAGE.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    a, b, c, d, e, f = matrix
    column, row = np.floor(a * x + b * y + c).astype(int), np.floor(d * x + e * y + f).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    result = np.empty_like(IMAGE)
    result[:] = fill
    result[inside] = IMAGE[row[inside], column[inside]]
    return result


def _turned(degrees, fill=FILL):
    height, width = IMAGE.shape[:2]
    cos, sin = math.cos(math.radians(-degrees)), math.sin(math.radians(-degrees))
    x, y = width / 2, height / 2
    return _moved((cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y), fill)


@pytest.mark.parametrize("share", [-0.3, -0.07, 0.0, 0.21])
def test_shears_and_shifts(share):
    height, width = IMAGE.shape[:2]
    for operation, matrix in (
        (ops.shear_x, (1, share, 0, 0, 1, 0)),
        (ops.shear_y, (1, 0, 0, share, 1, 0)),
        (ops.translate_x, (1, 0, share * width, 0, 1, 0)),
        (ops.translate_y, (1, 0, 0, 0, 1, share * height)),
    ):
        found = done(operation, share, "nearest", FILL)
        assert np.array_equal(found, _moved(matrix)), operation.__name__
        assert share == 0 or not np.array_equal(found, _moved((*matrix[:2], -matrix[2], *matrix[3:5], -matrix[5] - 1)))


@pytest.mark.parametrize("degrees", [-27, -3.5, 0, 11, 29.3])
def test_rotation(degrees):
    assert np.array_equal(done(ops.rotate, degrees, "nearest", FILL), _turned(degrees))
    assert np.array_equal(done(ops.rotate_over_grey, degrees), _turned(degrees, (128, 128, 128)))


# ---- enhancements: degenerate + factor * (image - degenerate), cut off to a byte


def _blend(degenerate, factor):
    degenerate = degenerate.astype(np.float32)
    return np.clip(degenerate + np.float32(factor) * (IMAGE.astype(np.float32) - degenerate), 0, 255).astype(np.uint8)


def _grey():
    red, green, blue = (IMAGE[..., channel].astype(np.int64) for channel in range(3))
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _smooth():
    """A mean of the 3 x 3 neighbours with 5 for the middle; the border stays."""
    wide = IMAGE.astype(np.float64)
    total = 4 * wide
    for up in (-1, 0, 1):
        for left in (-1, 0, 1):
            total += np.roll(wide, (up, left), (0, 1))
    smooth = IMAGE.copy()
    smooth[1:-1, 1:-1] = np.floor(total / 13 + 0.5)[1:-1, 1:-1]
    return smooth


@pytest.mark.parametrize("factor", FACTORS)
def test_enhancements(factor):
    grey = np.repeat(_grey()[..., None], 3, axis=2)
    for kind, degenerate in (
        ("Brightness", np.zeros_like(IMAGE)),
        ("Color", grey),
        ("Contrast", np.full_like(IMAGE, int(_grey().mean() + 0.5))),
        ("Sharpness", _smooth()),
    ):
        assert np.array_equal(done(ops.enhance, kind, factor), _blend(degenerate, factor)), kind


# ---- tables of 256 values


def _per_channel(table_of):
    return np.stack([np.array(table_of(IMAGE[..., c]))[IMAGE[..., c]] for c in range(3)], axis=2)


def _contrast_table(channel):
    low, high = int(channel.min()), int(channel.max())
    scale = 255.0 / (high - low)
    return [min(max(int(value * scale - low * scale), 0), 255) for value in range(256)]


def _equal_table(channel):
    histogram = np.bincount(channel.ravel(), minlength=256)
    step = (histogram.sum() - histogram[histogram > 0][-1]) // 255
    before = np.concatenate([[0], np.cumsum(histogram)[:-1]])
    return np.minimum((step // 2 + before) // step, 255)


def test_tables():
    assert np.array_equal(done(ops.auto_contrast), _per_channel(_contrast_table))
    assert np.array_equal(done(ops.equalize), _per_channel(_equal_table))
    assert np.array_equal(done(ops.invert), 255 - IMAGE)
    for threshold in (0, 77, 179, 256):
        assert np.array_equal(done(ops.solarize, threshold), np.where(threshold > IMAGE, IMAGE, 255 - IMAGE))
    for add in (0, 77, 110):
        wide = IMAGE.astype(int)
        assert np.array_equal(done(ops.solarize_add, add), np.where(wide < 128, np.minimum(wide + add, 255), wide))
    for bits in range(9):
        assert np.array_equal(done(ops.posterize, bits), IMAGE // 2 ** (8 - bits) * 2 ** (8 - bits))


# ---- which operation a policy applies, and how strongly


class Script:
    """Takes the place of a Generator: its answers are given in order."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def _next(self, *_, **__):
        return self.answers.pop(0)

    random = integers = normal = choice = _next


def one(name, **options):
    return build_transforms([{name: options}]).ops[0]


def test_rand_augment_applies_its_operations_in_turn():
    names = list(auto_augment._OPERATIONS)
    drawn = np.array([names.index("brightness"), names.index("solarize")])
    script = Script(0.0, drawn, 1)  # brightness may go either way: 1 is down
    found = one("RandAugment", num_layers=2, magnitude=5)(IMAGE, script)
    darker = _blend(np.zeros_like(IMAGE), 1 - 0.9 * 5 / 10)
    assert np.array_equal(found, np.where(darker < 128, darker, 255 - darker))
    assert script.answers == []


def test_rand_augment_leaves_an_image_by_its_probability():
    op = one("RandAugment", prob=0.3)
    assert op(IMAGE, Script(0.3)) is IMAGE
    assert op(IMAGE, Script(0.29, np.array([], int))).tobytes() == IMAGE.tobytes()


def test_timm_applies_each_operation_with_probability_a_half():
    names = [name for name, *_ in timm_augment.OPERATIONS]
    drawn = np.array([names.index("Invert"), names.index("Solarize")])
    op = one("TimmAutoAugment", config_str="rand-m7-mstd0.5-inc1")
    assert np.array_equal(op(IMAGE, Script(0.0, drawn, 0.5, 7.2, 0.51)), 255 - IMAGE)
    inverted = 255 - IMAGE
    threshold = 256 - int(6.5 / 10 * 256)  # the level is drawn around 7
    expected = np.where(inverted < threshold, inverted, 255 - inverted)
    assert np.array_equal(op(IMAGE, Script(0.0, drawn, 0.4, 7.2, 0.4, 6.5)), expected)
    assert op(IMAGE, Script(0.0, drawn, 0.6, 0.6)) is IMAGE


@pytest.mark.parametrize("name", [name for name, *_ in timm_augment.OPERATIONS])
def test_level_zero_is_the_weakest(name):
    """With `inc1`: what grows with the level changes nothing at 0 and most at 10."""
    if name in ("AutoContrast", "Equalize", "Invert"):
        pytest.skip("has no level")
    _, to_argument, operate, _ = next(entry for entry in timm_augment.OPERATIONS if entry[0] == name)
    side = np.arange(40) * 2 + 40 * (np.arange(40) > 20)  # rises all along, with one edge
    ramp = np.add.outer(side, side)[..., None] + np.array([0, 5, 17])
    ramp, changes = ramp.clip(0, 255).astype(np.uint8), []
    for level in (0.0, 4.0, 10.0):
        argument = to_argument(level, True, Script(0.0))
        found = np.asarray(operate(ops.to_pillow(ramp), argument, "nearest", FILL)).astype(int)
        changes.append(np.abs(found - ramp).mean())
    assert changes == sorted(changes)
    assert changes[0] == 0 or name == "Posterize"  # four bits are left at level 0
    assert changes[2] > changes[1]
