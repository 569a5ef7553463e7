"""CenterNet: the radius rule, targets, losses and decoding against plain loops, and the network on its backbones."""

import itertools

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import ARCH, build_backbone
from ppcls_lite.arch.centernet import STRIDE, CenterNet, decode
from ppcls_lite.arch.from_config import build_network
from ppcls_lite.data.batch import DetectionTarget
from ppcls_lite.data.detection.targets import Gt2CenterNetTarget, draw_gaussians, gaussian_radius
from ppcls_lite.train.evaluate import Evaluator  # noqa: F401 (it registers the losses)
from ppcls_lite.train.losses import LOSSES, WeightedLosses
from ppcls_lite.utils.errors import UserError
from tests.helpers.detection import make_config

BACKBONES = ["MobileNetV1_x1_0", "MobileNetV3_large_x1_0", "MobileNetV3_small_x1_0", "ShuffleNetV2_x1_0", "ResNet50_vd"]
SMALL = {"name": "MobileNetV3_small_x0_35"}


def overlap(a, b):
    """IoU of two boxes (x1, y1, x2, y2)."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    both = max(sides[0], 0) * max(sides[1], 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


# ---- targets


@pytest.mark.parametrize("least", [0.3, 0.7])
@pytest.mark.parametrize(("width", "height"), [(10.0, 10.0), (30.0, 4.0), (3.0, 17.0)])
def test_corners_may_be_off_by_the_radius_and_no_more(width, height, least):
    radius = float(gaussian_radius(np.array([width]), np.array([height]), least)[0])
    assert radius > 0

    def worst(by):
        """The least overlap of the box with one whose corners are off by at most `by` in each direction."""
        shifts = itertools.product((-by, 0, by), repeat=4)
        return min(overlap((0, 0, width, height), (a, b, width + c, height + d)) for a, b, c, d in shifts)

    assert worst(radius) == pytest.approx(least, abs=1e-9)
    assert worst(1.01 * radius) < least
    assert worst(0.99 * radius) > least


def test_gaussians_are_those_of_a_loop_over_cells():
    rng = np.random.default_rng(1)
    count, classes, height, width = 12, 3, 9, 14
    labels, radii = rng.integers(classes, size=count), rng.integers(0, 5, size=count).astype(float)
    columns, rows = rng.integers(width, size=count), rng.integers(height, size=count)
    heat = np.zeros((classes, height, width), np.float32)
    draw_gaussians(heat, labels, columns, rows, radii)
    expected = np.zeros_like(heat)
    for label, column, row, radius in zip(labels, columns, rows, radii):
        deviation = (2 * radius + 1) / 6
        for y, x in itertools.product(range(height), range(width)):
            if abs(x - column) <= radius and abs(y - row) <= radius:
                peak = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * deviation**2))
                expected[label, y, x] = max(expected[label, y, x], peak)
    np.testing.assert_allclose(heat, expected, atol=1e-6)
    assert (heat[labels, rows, columns] == 1).all()


def make_targets(boxes, labels, grid=(12, 16), **options):
    return Gt2CenterNetTarget(**options).make(np.array(boxes, float).reshape(-1, 4), np.array(labels, int), 4, grid)


def test_targets_of_known_boxes():
    found = make_targets([[1.0, 2.0, 4.5, 5.0], [6.0, 0.0, 14.0, 9.0]], [2, 0], max_objs=5)
    assert found.valid.tolist() == [1, 1, 0, 0, 0]  # the largest first
    assert found.cells[:2].tolist() == [4 * 16 + 10, 3 * 16 + 2]
    np.testing.assert_allclose(found.sizes[:2], [[8, 9], [3.5, 3]])
    np.testing.assert_allclose(found.offsets[:2], [[0, 0.5], [0.75, 0.5]])
    assert found.heat[0, 4, 10] == found.heat[2, 3, 2] == 1
    assert not found.heat[[1, 3]].any()
    assert found.heat.shape == (4, 12, 16)


def test_targets_keep_to_the_grid_and_to_the_number_of_objects():
    found = make_targets([[10.0, 8.0, 20.0, 15.0], [3, 3, 3, 5], [0, 0, 2, 2]], [1, 0, 0], max_objs=1)
    np.testing.assert_allclose(found.sizes, [[6, 4]])  # cut at the border
    assert found.valid.tolist() == [1]
    assert not found.heat[0].any()  # no area, and one too many
    empty = make_targets([], [])
    assert not empty.heat.any()
    assert not empty.valid.any()


def test_image_must_fit_the_grid():
    sample = {"image": np.zeros((3, 64, 62)), "chw": True, "boxes": np.zeros((0, 4)), "labels": [], "class_num": 1}
    with pytest.raises(UserError, match="62x64, not a multiple of 32"):
        Gt2CenterNetTarget()(sample)


# ---- decoding


def maps_of(targets):
    """(heat, size, offset) [1, C, h, w] that a perfect network would give."""
    height, width = targets.heat.shape[1:]
    size, offset = np.zeros((2, height * width), np.float32), np.zeros((2, height * width), np.float32)
    kept = targets.valid == 1
    size[:, targets.cells[kept]], offset[:, targets.cells[kept]] = targets.sizes[kept].T, targets.offsets[kept].T
    arrays = targets.heat[None], size.reshape(1, 2, height, width), offset.reshape(1, 2, height, width)
    return [paddle.to_tensor(array) for array in arrays]


def test_perfect_maps_give_the_boxes_back_in_the_files_pixels():
    boxes, labels = [[1.0, 2.0, 4.5, 5.0], [6.0, 0.0, 14.0, 9.0], [2.0, 8.0, 4.0, 12.0]], [2, 0, 2]
    scale_y, scale_x = 0.5, 0.8
    found = decode(*maps_of(make_targets(boxes, labels)), paddle.to_tensor([[scale_y, scale_x]]), 10).numpy()[0]
    assert found.shape == (10, 6)
    peaks = found[found[:, 1] == 1]
    assert len(peaks) == 3
    in_pixels = np.array(boxes) * STRIDE / np.array([scale_x, scale_y, scale_x, scale_y])
    for label, box in zip(labels, in_pixels):
        (match,) = [row for row in peaks if row[0] == label and np.allclose(row[2:], box, atol=1e-4)]
        assert match is not None
    assert (np.diff(found[:, 1]) <= 0).all()  # best first


def test_a_cell_beside_a_higher_one_is_not_a_peak():
    heat = np.zeros((1, 2, 6, 6), np.float32)
    heat[0, 1, 2, 2], heat[0, 1, 2, 3], heat[0, 0, 2, 3], heat[0, 1, 5, 5] = 0.9, 0.8, 0.7, 0.6
    still = paddle.zeros([1, 2, 6, 6])
    found = decode(paddle.to_tensor(heat), still, still, paddle.ones([1, 2]), 4).numpy()[0]
    assert [(row[0], round(float(row[1]), 3)) for row in found[:3]] == [(1, 0.9), (0, 0.7), (1, 0.6)]
    assert found[3, 1] == 0


def test_more_boxes_than_cells_cannot_be_had():
    still = paddle.zeros([2, 2, 2, 2])
    assert decode(paddle.rand([2, 3, 2, 2]), still, still, paddle.ones([2, 2]), 100).shape == [2, 12, 6]


# ---- losses


@pytest.fixture
def batch():
    """(outputs, target) of two images, one of them empty, as arrays."""
    rng = np.random.default_rng(2)
    targets = [make_targets([[1, 2, 4.5, 5], [6, 0, 14, 9]], [2, 0], max_objs=3), make_targets([], [], max_objs=3)]
    number, scale = np.arange(2), np.ones((2, 2), np.float32)
    target = DetectionTarget(*map(np.stack, zip(*targets)), number, scale)
    outputs = [rng.normal(size=(2, channels, 12, 16)).astype(np.float32) for channels in (4, 2, 2)]
    return outputs, target


def tensors(outputs, target):
    return [paddle.to_tensor(array) for array in outputs], DetectionTarget(*map(paddle.to_tensor, target))


def value(name, outputs, target, **options):
    outputs, target = tensors(outputs, target)
    return float(LOSSES.build(name, options)(outputs, target))


def test_focal_loss_is_that_of_a_loop(batch):
    outputs, target = batch
    total = 0.0
    for logit, heat in zip(outputs[0].ravel().astype(float), target.heat.ravel().astype(float)):
        score = 1 / (1 + np.exp(-logit))
        if heat == 1:
            total -= (1 - score) ** 2 * np.log(score)
        else:
            total -= (1 - heat) ** 4 * score**2 * np.log(1 - score)
    assert value("HeatmapFocalLoss", outputs, target) == pytest.approx(total / 2, rel=1e-4)  # two objects


@pytest.mark.parametrize(("name", "field", "output"), [("SizeL1Loss", "sizes", 1), ("OffsetL1Loss", "offsets", 2)])
def test_l1_losses_look_at_the_centres_only(batch, name, field, output):
    outputs, target = batch
    total = 0.0
    for image, place in zip(*np.nonzero(target.valid)):
        cell = target.cells[image, place]
        there = outputs[output][image].reshape(2, -1)[:, cell]
        total += np.abs(there - getattr(target, field)[image, place]).sum()
    assert value(name, outputs, target) == pytest.approx(total / 2, rel=1e-5)


def test_losses_without_an_object_and_with_certain_scores_are_finite(batch):
    outputs, target = batch
    empty = DetectionTarget(*(array[1:] for array in target))
    for name in ("SizeL1Loss", "OffsetL1Loss"):
        assert value(name, [array[1:] for array in outputs], empty) == 0
    certain = [np.where(outputs[0] > 0, 200, -200).astype(np.float32), *outputs[1:]]
    assert np.isfinite(value("HeatmapFocalLoss", certain, target))


def test_parts_of_a_sum_are_kept_by_name(batch):
    outputs, target = tensors(*batch)
    losses = WeightedLosses([{"SizeL1Loss": {"weight": 0.1}}, {"OffsetL1Loss": {"weight": 2}}], "Loss.Train")
    total = float(losses(outputs, target))
    assert total == pytest.approx(0.1 * float(losses.parts["SizeL1Loss"]) + 2 * float(losses.parts["OffsetL1Loss"]))


def test_wrong_options_of_losses_are_named():
    with pytest.raises(UserError, match=r"HeatmapFocalLoss.alpha: expected a number of at least 0, found -1"):
        LOSSES.build("HeatmapFocalLoss", {"alpha": -1})


# ---- the network


@pytest.mark.parametrize("name", [*BACKBONES, "PPHGNetV2_B0", "MixNet_S"])
def test_any_backbone_needs_a_name_and_no_code(name, tmp_path):
    config = make_config(tmp_path)
    config["Arch"]["Backbone"]["name"] = name
    network = build_network(config)
    network.eval()
    with paddle.no_grad():
        heat, size, offset = network(paddle.rand([1, 3, 64, 96]))
    assert (heat.shape, size.shape, offset.shape) == ([1, 3, 16, 24], [1, 2, 16, 24], [1, 2, 16, 24])
    kept = set(build_backbone(name).state_dict())
    assert {f"backbone.{entry}" for entry in kept} <= set(network.state_dict())  # official weights fit by name


def test_heat_begins_at_the_prior():
    paddle.seed(1)
    network = CenterNet(2, SMALL)
    network.train()
    heat = paddle.nn.functional.sigmoid(network(paddle.rand([4, 3, 64, 64]))[0])
    assert float(heat.mean()) == pytest.approx(0.1, abs=0.02)


def test_gradients_reach_every_weight():
    network = CenterNet(2, SMALL)
    network.train()
    sum(output.square().mean() for output in network(paddle.rand([2, 3, 64, 64]))).backward()
    trained = {name: weight for name, weight in network.named_parameters() if not weight.stop_gradient}
    assert [name for name, weight in trained.items() if weight.grad is None] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"Backbone": {"name": "MobileNetV3_smal_x1_0"}}, "did you mean 'MobileNetV3_small_x1_0'"),
        ({"Backbone": {}}, "Arch.Backbone: expected a mapping with a name"),
        ({"Backbone": {**SMALL, "out_indices": [4, 9, 12]}}, r"strides \[4, 8, 16, 32\], found \[8, 16, 32\]"),
        ({"Backbone": SMALL, "Neck": {"channels": 0}}, "Arch.Neck.channels: expected a whole number"),
        ({"Backbone": SMALL, "Head": {"chanels": 64}}, "Arch.Head: expected 'channels: 64'"),
    ],
)
def test_faults_of_the_config_are_named(options, message):
    with pytest.raises(UserError, match=message):
        CenterNet(2, **options)


def test_unknown_options_are_named(tmp_path):
    config = make_config(tmp_path)
    config["Arch"]["Nek"] = {"channels": 8}
    with pytest.raises(UserError, match=r"Arch: CenterNet: .*'Nek'"):
        build_network(config)


def test_a_detector_is_not_a_classifier():
    assert "CenterNet" not in ARCH
