"""Networks that return maps and boxes, several inputs and several networks."""

import numpy as np
import paddle
import pytest

from agreement.boxes import Pairs
from tests.agree import zoo
from tests.agree.test_network import assert_only, copy_of, lines, network  # noqa: F401 - a fixture

PIXELS = zoo.images(4)
ANY = ((None, 3, None, None), "float32", "x")


@pytest.fixture(scope="module")
def segmenter():
    return zoo.filled(zoo.Segmenter())


@pytest.mark.parametrize(
    ("name", "behind"),
    [
        ("argmax_int32", lambda y: paddle.argmax(y[0], axis=1, dtype="int32")),
        ("argmax_int64_kept", lambda y: paddle.argmax(y[0], axis=1, keepdim=True)),
        ("softmax_axis_1", lambda y: paddle.nn.functional.softmax(y[0], axis=1)),
    ],
)
def test_behind_a_segmenter(project, exports, segmenter, name, behind):
    def make():
        copy = zoo.Segmenter()
        copy.set_state_dict(segmenter.state_dict())
        layer = zoo.Behind(copy, behind)
        layer.eval()
        return layer

    ran = project(exports(name, make, ANY))
    for size in (16, 20):
        pixels = zoo.images(2, size=size)
        ran.layer("evaluate", segmenter, {"x": pixels})
        ran.layer("predict", segmenter, {"x": pixels[:1]})
        ran.infer(pixels[:1])
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    step = name.partition("_")[0]
    assert lines(outcome)["network"] == (
        f"bitwise equal for 4 images of evaluate and 2 images of predict "
        f"({step} is behind the network in the export): agrees"
    )


@pytest.mark.parametrize(("count", "right"), [(1, True), (40, False)])
def test_classes_of_a_map_in_a_tie(project, exports, segmenter, count, right):
    def make():
        copy = zoo.Segmenter()
        copy.set_state_dict(segmenter.state_dict())
        layer = zoo.Behind(copy, lambda y: paddle.argmax(y[0], axis=1, dtype="int32"))
        layer.eval()
        return layer

    def change(array):
        array.reshape(-1)[:count] += 1
        return array

    ran = project(exports("argmax_int32", make, ANY))
    ran.layer("evaluate", segmenter, {"x": zoo.images(2, size=40)})
    ran.infer(zoo.images(2, size=40), outputs=change)
    outcome = ran.agree()
    assert f"{count} of 3,200 elements" in lines(outcome)["engine infer"]
    assert outcome.status == (0 if right else 1)
    if not right:
        assert_only(outcome, "engine infer")


SPECS = (((None, 3, 16, 16), "float32", "image"), ((None, 2), "float32", "scale_factor"))


@pytest.fixture(scope="module")
def detector():
    return zoo.filled(zoo.Detector())


@pytest.fixture
def detected(project, exports, detector):
    def make():
        copy = zoo.Detector()
        copy.set_state_dict(detector.state_dict())
        copy.eval()
        return copy

    ran = project(exports("detector", make, *SPECS))
    for row in range(4):
        image, scale = PIXELS[row : row + 1], np.full((1, 2), 1 + row, np.float32)
        more = {"im_id": np.array([[row]], np.int64), "im_shape": np.full((1, 2), 16, np.float32)}
        inputs = {"im_id": more["im_id"], "image": image, "im_shape": more["im_shape"], "scale_factor": scale}
        ran.layer("evaluate", detector, inputs)
        ran.layer("predict", detector, inputs)
    return ran


def arrays(ran, count=4):
    named = {
        "image": PIXELS[:count],
        "scale_factor": np.repeat(np.arange(1, count + 1, dtype=np.float32)[:, None], 2, 1),
    }
    return [named[name] for name in ran.model.inputs]


def test_detector_with_six_inputs(detected):
    detected.infer(*arrays(detected))
    outcome = detected.agree()
    assert outcome.status == 0, outcome.out
    assert lines(outcome)["preprocessing"] == "bitwise equal for 4 of 4 images: agrees"
    assert "4 boxes, 0 without a partner" in lines(outcome)["engine infer"]


def random_boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 50, (count, 4))
    corners[:, 2:] += corners[:, :2]
    return np.column_stack([rng.integers(0, 3, count), np.sort(rng.uniform(0.2, 1, count))[::-1], corners]).astype(
        np.float32
    )


def test_boxes_in_another_order_and_in_a_tie():
    boxes = random_boxes(100)
    boxes[-2:, 1] = 0.1, 0.09999
    other = boxes[np.random.default_rng(1).permutation(100)]
    other[other[:, 1] == boxes[-1, 1], 2:] = 1, 2, 3, 4  # another one at the end of the list
    pairs = Pairs(1e-4)
    pairs.add(boxes, other)
    assert (pairs.unmatched, pairs.ties, pairs.largest) == (0, 2, 0.0)


@pytest.mark.parametrize("place", [0, 4])
def test_a_wrong_box_of_a_short_list(place):
    boxes = random_boxes(5)
    other = boxes.copy()
    other[place, 2:] += 3
    pairs = Pairs(1e-4)
    pairs.add(boxes, other)
    assert pairs.unmatched == 2


def test_images_without_boxes():
    pairs = Pairs(1e-4)
    pairs.add(np.zeros((0, 6), np.float32), np.zeros((0, 6), np.float32))
    assert (pairs.boxes, pairs.unmatched) == (0, 0)
    pairs.add(np.zeros((0, 6), np.float32), random_boxes(2))
    assert pairs.unmatched == 2


@pytest.mark.parametrize("change", [lambda box: box * [1, 1, 1.1, 1.1, 1.1, 1.1], lambda box: box + np.eye(6)[0]])
def test_other_boxes(detected, change):
    detected.infer(*arrays(detected), outputs=lambda a: change(a).astype(a.dtype) if a.ndim == 2 else a)
    assert_only(detected.agree(), "engine infer", "boxes without a partner")


def test_another_scale_factor(detected):
    image, scale = PIXELS, np.ones((4, 2), np.float32)
    named = {"image": image, "scale_factor": scale}
    detected.infer(*(named[name] for name in detected.model.inputs))
    assert_only(detected.agree(), "preprocessing", "the image is the same, and its scale_factor is not")


@pytest.mark.parametrize(("error", "status"), [(1.0, 0), (1.001, 1)])
def test_boxes_of_rewritten_weights(project, exports, detector, error, status):
    def make():
        layer = zoo.HalvedDetector(detector, error)
        layer.eval()
        return layer

    ran = project(exports(f"halved_{error}", make, *SPECS))
    inputs = {"image": PIXELS, "scale_factor": np.ones((4, 2), np.float32)}
    ran.layer("evaluate", detector, inputs)
    ran.infer(*(inputs[name] for name in ran.model.inputs))
    outcome = ran.agree()
    assert outcome.status == status, outcome.out
    words = "the export rewrote 4 of 4 tensors): agrees" if not status else "a fault in merging them"
    assert words in lines(outcome)["network"]


class NoBoxes(paddle.nn.Layer):
    """A detector that finds nothing: an empty list, or one row with the label -1 (PaddleDetection)."""

    def __init__(self, rows):
        super().__init__()
        self.fc, self.rows = paddle.nn.Linear(3, 6), rows

    def forward(self, x):
        boxes = self.fc(x.mean([2, 3])).sum() * paddle.zeros([self.rows, 6])
        if self.rows:
            boxes = boxes - paddle.to_tensor([1.0, 0, 0, 0, 0, 0])
        return boxes, paddle.zeros([1], "int32") + self.rows


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_is_detected(project, exports, rows):
    ran = project(exports(f"no_boxes_{rows}", lambda: zoo.filled(NoBoxes(rows)), ((None, 3, 16, 16), "float32", "x")))
    for row in range(3):
        ran.layer("evaluate", zoo.filled(NoBoxes(rows)), {"x": PIXELS[row : row + 1]})
        ran.infer(PIXELS[row : row + 1])
    outcome = ran.agree()
    assert outcome.status == 77, outcome.out
    assert lines(outcome)["network"] == "not compared (the outputs are empty for all images (no boxes))"
    assert lines(outcome)["engine infer"] == "not compared (no image has a box)"


def test_teacher_and_student(project, exports, network):  # noqa: F811
    ran = project(exports("plain", lambda: copy_of(network)))
    teacher = zoo.filled(zoo.Classifier(), seed=8)
    for _ in range(2):
        ran.layer("evaluate", teacher, {"x": PIXELS})
    ran.layer("evaluate", network, {"x": PIXELS})
    ran.infer(PIXELS)
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert ran.saved["network"]["weights"]["state"] == "equal"


def test_networks_of_other_inputs(project, exports, network):  # noqa: F811
    ran = project(exports("plain", lambda: copy_of(network)))
    ran.layer("evaluate", zoo.filled(paddle.nn.Linear(3, 2)), {"input": PIXELS[:, :, 0, 0].copy()})
    ran.infer(PIXELS)
    outcome = ran.agree()
    assert outcome.status == 77
    assert (
        "the exported model takes image float32 [-1, 3, 16, 16], and in evaluate Linear gets input float32 [4, 3]"
        in (lines(outcome)["network"])
    )
