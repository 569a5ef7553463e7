"""Random transforms and batch transforms: the numbers they use, their limits, and that they can be repeated."""

import cv2
import numpy as np
import pytest

from ppcls_lite.data.batch import Batch, Mixed
from ppcls_lite.data.batch_ops import build_batch_op
from ppcls_lite.data.transforms import auto_augment, build_transforms, pillow, timm_augment
from ppcls_lite.utils.errors import UserError

RANDOM = [
    {"RandCropImage": {"size": 32}},
    {"RandCropImage": {"size": 32, "use_log_aspect": True, "interpolation": "random", "backend": "pil"}},
    {"RandFlipImage": None},
    {"AutoAugment": None},
    {"RandAugment": {"magnitude": 7}},
    {"TimmAutoAugment": {"config_str": "rand-m7-mstd0.5-inc1", "img_size": 224}},
    {"TimmAutoAugment": {"config_str": "rand-m9-n3-w0", "interpolation": "random"}},
    {"RandomErasing": {"mode": "pixel", "EPSILON": 0.9, "sh": "1.0/3.0"}},
]


class Script:
    """Takes the place of a Generator where a test needs certain draws: its answers are given in order."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def _next(self, *_, **__):
        return self.answers.pop(0)

    random = uniform = integers = normal = beta = permutation = _next


@pytest.fixture
def rgb():
    small = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    return cv2.resize(small, (90, 71), interpolation=cv2.INTER_CUBIC)


def one(name, **options):
    return build_transforms([{name: options or None}]).ops[0]


@pytest.mark.parametrize("op", RANDOM)
def test_same_generator_same_image_and_input_untouched(op, rgb):
    transform = build_transforms([op])
    before = rgb.copy()
    results = [transform(rgb, np.random.default_rng([3, seed])) for seed in range(12)]
    again = [transform(rgb, np.random.default_rng([3, seed])) for seed in range(12)]
    assert all(np.array_equal(a, b) for a, b in zip(results, again))
    assert len({result.tobytes() for result in results}) > 1
    assert {result.dtype for result in results} == {np.dtype(np.uint8)}
    assert np.array_equal(rgb, before)
    with pytest.raises(ValueError, match="Generator"):
        transform(rgb)


@pytest.mark.parametrize("log_aspect", [False, True])
@pytest.mark.parametrize(("height", "width"), [(300, 400), (37, 501), (3, 2), (1, 1)])
def test_crop_stays_inside_and_keeps_area_and_ratio(height, width, log_aspect):
    op = one("RandCropImage", size=8, use_log_aspect=log_aspect)
    rng = np.random.default_rng(0)
    for _ in range(300):
        left, top, w, h = op.box(height, width, rng)
        assert 0 <= left <= width - w
        assert 0 <= top <= height - h
        assert min(w, h) >= 1
        if (height, width) == (300, 400):
            assert 0.07 < w * h / (width * height) <= 1
            assert 0.72 < w / h < 1.36


def test_crop_numbers():
    # ratio 1.21 gives aspect 1.1; half of 100 x 100 pixels; then the corner
    box = one("RandCropImage", size=8).box(100, 100, Script(1.21, 0.5, 5, 7))
    side = np.sqrt(5000)
    assert box == (5, 7, int(side * 1.1), int(side / 1.1))


def test_crop_then_resize_is_width_by_height(rgb):
    op = one("RandCropImage", size=[20, 10])
    left, top, w, h = op.box(71, 90, np.random.default_rng(4))
    expected = cv2.resize(rgb[top : top + h, left : left + w], (20, 10))
    assert np.array_equal(op(rgb, np.random.default_rng(4)), expected)


@pytest.mark.parametrize(("code", "axes"), [(1, (1,)), (0, (0,)), (-1, (0, 1))])
def test_flip(rgb, code, axes):
    op = one("RandFlipImage", flip_code=code)
    assert op(rgb, Script(0)) is rgb
    assert np.array_equal(op(rgb, Script(1)), np.flip(rgb, axes))


def test_erasing_numbers():
    image = np.ones((100, 80, 3), np.float32)
    op = one("RandomErasing", EPSILON=0.25, sl=0.02, sh="1.0/3.0", r1=0.3, mean=[5, 6, 7])
    assert op(image, Script(0.26)) is image
    erased = op(image, Script(0.2, 0.1, 2.0, 11, 13))  # a tenth of the area, twice as high as wide
    assert np.array_equal(erased[11:51, 13:33], np.broadcast_to(np.float32([5, 6, 7]), (40, 20, 3)))
    assert erased.sum() == image.sum() + 40 * 20 * (18 - 3)
    assert image.min() == image.max() == 1


def test_erasing_gives_up_when_nothing_fits():
    image = np.ones((4, 4, 3), np.float32)
    assert one("RandomErasing", EPSILON=1, sl=1, sh=1, attempt=3)(image, np.random.default_rng(0)) is image


def test_erasing_modes_and_log_aspect():
    image = np.zeros((64, 64, 3), np.float32)
    for mode, colours in (("rand", 2), ("pixel", 20)):
        op = one("RandomErasing", EPSILON=1, mode=mode, use_log_aspect=True)
        erased = op(image, np.random.default_rng(1))
        found = len(np.unique(erased.reshape(-1, 3), axis=0))
        assert found == colours if mode == "rand" else found > colours
    assert op.ratio == pytest.approx((np.log(0.3), np.log(1 / 0.3)))


def test_policy_magnitudes():
    assert [auto_augment.policy_magnitude("posterize", step) for step in range(10)] == [8, 8, 7, 7, 6, 6, 5, 5, 4, 4]
    assert auto_augment.policy_magnitude("rotate", 9) == 30
    assert auto_augment.policy_magnitude("solarize", 5) == pytest.approx(256 * 4 / 9)
    assert auto_augment.policy_magnitude("color", 0) == 0
    assert len(auto_augment.IMAGENET_POLICY) == 25
    assert auto_augment.rand_magnitude("posterize", 5) == 2
    assert auto_augment.rand_magnitude("translateX", 10) == 150 / 331


def test_auto_augment_applies_its_row(rgb):
    ops = pytest.importorskip("PIL.ImageOps")
    image = pytest.importorskip("PIL.Image")
    # row 7 is posterize (0.8, step 5: 6 bits), then equalize (1.0)
    result = one("AutoAugment")(rgb, Script(7, 0.7, 0.99))
    assert np.array_equal(result, np.asarray(ops.equalize(ops.posterize(image.fromarray(rgb), 6))))


def test_posterize_is_pillows_and_knows_no_bits(rgb):
    ops = pytest.importorskip("PIL.ImageOps")
    image = pytest.importorskip("PIL.Image").fromarray(rgb)
    for bits in range(1, 9):
        assert pillow.posterize(image, bits).tobytes() == ops.posterize(image, bits).tobytes()
    assert not np.asarray(pillow.posterize(image, 0)).any()


def test_every_operation_runs_at_every_level(rgb):
    rng = np.random.default_rng(0)
    image = pytest.importorskip("PIL.Image").fromarray(rgb)
    for name, to_argument, operate, _ in timm_augment.OPERATIONS:
        for level in (0.0, 3.3, 10.0):
            for inc in (False, True):
                result = operate(image, to_argument(level, inc, rng), "bicubic", (1, 2, 3))
                assert result.size == image.size, name
    for name in auto_augment._OPERATIONS:
        for level in (0, 5, 10):
            magnitude = auto_augment.rand_magnitude(name, level)
            assert auto_augment._apply(name, image, magnitude, (1, 2, 3), rng).size == image.size


@pytest.mark.parametrize(
    ("name", "inc", "expected"),
    [
        ("Posterize", False, 2),
        ("Posterize", True, 2),
        ("Solarize", False, 179),
        ("Solarize", True, 77),
        ("SolarizeAdd", True, 77),
        ("Color", False, 1.36),
        ("Color", True, 1.63),
        ("Rotate", True, 21.0),
        ("ShearX", True, 0.21),
        ("TranslateXRel", True, 0.315),
    ],
)
def test_timm_levels_at_seven(name, inc, expected):
    to_argument = next(entry[1] for entry in timm_augment.OPERATIONS if entry[0] == name)
    assert to_argument(7.0, inc, Script(0.1)) == pytest.approx(expected)


def test_timm_reads_its_text():
    op = one("TimmAutoAugment", config_str="rand-m7-mstd0.5-inc1")
    assert (op.magnitude, op.layers, op.deviation, op.increasing, op.weights) == (7, 2, 0.5, True, None)
    assert op.fill == (124, 116, 104)
    op = one("TimmAutoAugment", config_str="rand-n3-w0-inc0")
    assert (op.magnitude, op.layers, op.increasing) == (10, 3, False)
    assert op.weights.sum() == pytest.approx(1)
    for text in ("rand-n0", "rand-w1", "rand-w0-n14", "rand-m7.5", "rand-", 7):
        with pytest.raises(UserError, match="config_str"):
            one("TimmAutoAugment", config_str=text)


IMAGES = np.arange(4 * 3 * 8 * 6, dtype=np.float32).reshape(4, 3, 8, 6)
LABELS = np.array([0, 1, 2, 3])


def test_mixup_numbers():
    order = np.array([2, 3, 1, 0])
    mix = build_batch_op([{"MixupOperator": {"alpha": 0.2}}])
    images, (first, second, share) = mix(Batch(IMAGES, LABELS), Script(order, 0.25))
    assert np.array_equal(images, 0.25 * IMAGES + 0.75 * IMAGES[order])
    assert images.dtype == np.float32
    assert np.array_equal(first, LABELS)
    assert np.array_equal(second, order)
    assert share.tolist() == [0.25]


def test_cutmix_numbers():
    order = np.array([1, 0, 3, 2])
    mix = build_batch_op([{"CutmixOperator": None}])
    # sides are half of 8 and 6; the centre row 1 loses a row at the border: rows 0-2, columns 2-3
    images, mixed = mix(Batch(IMAGES, LABELS), Script(order, 0.75, 1, 3))
    expected = IMAGES.copy()
    expected[:, :, 0:3, 2:4] = IMAGES[order, :, 0:3, 2:4]
    assert np.array_equal(images, expected)
    assert np.array_equal(mixed.others, order)
    assert mixed.share[0] == np.float32(1 - 6 / 48)


def test_sampler_draws_by_probability():
    given = {"MixupOperator": {"alpha": 0.8, "prob": 0.5}, "CutmixOperator": {"alpha": 1.0, "prob": 0.3}}
    sampler = build_batch_op([{"OpSampler": given}], class_num=4)
    rng = np.random.default_rng(0)
    kinds = {"mixup": 0, "cutmix": 0, "none": 0}
    for _ in range(600):
        images, target = sampler(Batch(IMAGES, LABELS), rng)
        if isinstance(target, Mixed):
            pixels = set(IMAGES.ravel().tolist())
            cut = set(images.ravel().tolist()) <= pixels and target.share not in (0, 1)
            kinds["cutmix" if cut else "mixup"] += 1
        else:
            assert target is LABELS
            kinds["none"] += 1
    assert kinds["none"] == pytest.approx(120, abs=40)
    assert kinds["mixup"] > kinds["cutmix"] > 60
    assert given["MixupOperator"] == {"alpha": 0.8, "prob": 0.5}


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([{"MixupOperator": {"alpha": 0}}], r"^B\[0\] MixupOperator\.alpha: expected a number above 0, found 0"),
        ([{"MixUpOperator": None}], r"^B\[0\]: unknown batch transform .*'MixupOperator'\?"),
        ([{"CutmixOperator": {"beta": 1}}], r"^B\[0\] CutmixOperator\.beta: no such option"),
        ([{"MixupOperator": None}, {"CutmixOperator": None}], r"^B: expected a list of one operation"),
        ([{"OpSampler": {"MixupOperator": {"alpha": 1}}}], r"OpSampler\.MixupOperator: .*with prob"),
        ([{"OpSampler": {"MixupOperator": {"alpha": -1, "prob": 1}}}], r"OpSampler\.MixupOperator\.alpha: "),
        ([{"OpSampler": {"MixupOperator": {"prob": 0.7}, "CutmixOperator": {"prob": 0.7}}}], r"found 1\.4"),
        ([{"OpSampler": None}], r"OpSampler\.MixupOperator: at least one"),
    ],
)
def test_faults_of_batch_ops(ops, message):
    with pytest.raises(UserError, match=message) as caught:
        build_batch_op(ops, "B")
    assert "\n" not in str(caught.value)


def test_label_above_class_num_is_reported():
    with pytest.raises(UserError, match="label 3 is not below class_num 3"):
        build_batch_op([{"MixupOperator": None}], class_num=3)(Batch(IMAGES, LABELS), np.random.default_rng(0))
