"""The preprocessing check: rows of inputs are matched, never the order of calls, and a difference is explained."""

import numpy as np
import pytest

from tests.agree import zoo
from tests.agree.test_network import assert_only, copy_of, lines, network  # noqa: F401 - a fixture

PIXELS = zoo.images(6)
STDS = np.array([2, 3, 4], np.float32).reshape(3, 1, 1)


@pytest.fixture
def model(exports, network):  # noqa: F811
    return exports("plain", lambda: copy_of(network))


def test_other_batches_order_and_warm_up(project, model, network):  # noqa: F811
    ran = project(model)
    ran.layer("evaluate", network, {"x": PIXELS})
    for row in (4, 0, 2, 0):
        ran.layer("predict", network, {"x": PIXELS[row : row + 1]})
    rng = np.random.default_rng(3)
    ran.infer(rng.random((2, 3, 16, 16), dtype=np.float32))
    ran.infer(PIXELS[:4])
    ran.infer(PIXELS[4:])
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert lines(outcome)["preprocessing"] == "bitwise equal for 3 of 3 images: agrees"
    assert "8 images with the same top-5" in lines(outcome)["engine infer"]


def test_sums_in_another_order(steps, model, network):  # noqa: F811
    outcome = steps(model, network, inferred=PIXELS[:3] + np.float32(7e-7)).agree()
    assert outcome.status == 0, outcome.out
    assert "bitwise equal for 0 of 3 images, largest difference " in lines(outcome)["preprocessing"]


@pytest.mark.parametrize("shift", [0, 7e-7])
def test_infer_is_given_fewer_images(steps, model, network, shift):  # noqa: F811
    outcome = steps(model, network, predicted=PIXELS, inferred=PIXELS[1:3] + np.float32(shift)).agree()
    assert outcome.status == 0, outcome.out
    assert ", 1 of predict not given to infer: agrees" in lines(outcome)["preprocessing"]


def test_of_fewer_images_one_is_another(steps, model, network):  # noqa: F811
    inferred = np.concatenate([PIXELS[1:2], PIXELS[2:3, ::-1]])
    outcome = steps(model, network, predicted=PIXELS, inferred=inferred).agree()
    assert_only(outcome, "preprocessing", "2 have no equal in infer")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:, ::-1], "the channels are in reverse order (BGR for RGB)"),
        (lambda x: x[..., ::-1], "the image is mirrored"),
        (lambda x: x[:, ::-1, :, ::-1], "BGR for RGB) and the image is mirrored"),
        (lambda x: x * np.float32(0.5) + np.float32(0.25), "infer's are 0.5 x predict's + 0.25 in all channels"),
        (
            lambda x: x[:, ::-1] * np.array([2, 3, 4], "f4").reshape(3, 1, 1) - np.float32(1),
            "4 x predict's - 1 in channel 2",
        ),
        (lambda x: np.roll(x, 1, axis=3), "other pixels: another resize, crop or decoder"),
        (lambda x: x + np.float32(1e-3) * (x > 0), "other pixels"),
    ],
)
def test_other_inputs(steps, model, network, change, words):  # noqa: F811
    inferred = np.ascontiguousarray(change(PIXELS[:3]))
    ran = steps(model, network, inferred=inferred)
    assert_only(ran.agree(), "preprocessing", "3 have no equal in infer", words)
    assert ran.saved["preprocessing"]["without_partner"] == 3
    assert ran.saved["preprocessing"]["largest"] > 0


def test_one_image_of_three(steps, model, network):  # noqa: F811
    inferred = PIXELS[:3].copy()
    inferred[1] = inferred[1, ::-1]
    assert_only(steps(model, network, inferred=inferred).agree(), "preprocessing", "1 has no equal", "BGR")


def test_another_size(project, exports, network):  # noqa: F811
    any_size = ((None, 3, None, None), "float32", "image")
    ran = project(exports("any_size", lambda: copy_of(network), any_size))
    ran.layer("evaluate", network, {"x": PIXELS})
    ran.layer("predict", network, {"x": PIXELS[:1]})
    ran.infer(zoo.images(1, size=20))
    assert_only(ran.agree(), "preprocessing", "another size or type: [3, 16, 16] float32 in predict, [3, 20, 20]")


def test_another_size_than_the_export_states(project, model, network):  # noqa: F811
    ran = project(model)
    ran.layer("evaluate", network, {"x": PIXELS})
    ran.layer("predict", network, {"x": PIXELS[:1]})
    ran.infer(zoo.images(1, size=20))
    assert_only(ran.agree(), "preprocessing", "another size or type: [3, 16, 16] float32 in predict, [3, 20, 20]")


def test_images_whose_arrays_were_not_kept(project, model, network):  # noqa: F811
    ran = project(model)
    ran.recorder("evaluate", kept=1), ran.recorder("predict", kept=2), ran.recorder("infer", kept=2)
    ran.layer("evaluate", network, {"x": PIXELS})
    for row in range(6):
        ran.layer("predict", network, {"x": PIXELS[row : row + 1]})
    for row in (5, 4, 3, 2, 1, 0):
        ran.infer(PIXELS[row : row + 1])
    outcome = ran.agree()
    assert lines(outcome)["preprocessing"] == "bitwise equal for 6 of 6 images: agrees"


def test_near_images_whose_partners_were_not_kept(project, model, network):  # noqa: F811
    ran = project(model)
    ran.recorder("evaluate"), ran.recorder("predict", kept=3), ran.recorder("infer", kept=2)
    ran.layer("evaluate", network, {"x": PIXELS})
    for row in range(6):
        ran.layer("predict", network, {"x": PIXELS[row : row + 1]})
        ran.infer(PIXELS[row : row + 1] + np.float32(5e-7))
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert (
        "for 2 (at most 1e-05 of the scale allowed), the arrays of 4 were not kept" in lines(outcome)["preprocessing"]
    )


def test_a_batch_that_is_filled_up(project, model, network):  # noqa: F811
    """Rows without an image are in no list, whether infer is warmed up or not."""
    ran = project(model)
    ran.layer("evaluate", network, {"x": PIXELS})
    filled = np.concatenate([PIXELS[:3], np.broadcast_to(STDS, (1, 3, 16, 16))])
    ran.layer("predict", network, {"x": filled})
    ran.infer(zoo.images(1, seed=8))  # to warm up
    ran.infer(PIXELS[:3])
    outcome = ran.agree()
    assert outcome.status == 0, outcome.out
    assert ", 1 of predict not given to infer: agrees" in lines(outcome)["preprocessing"]


@pytest.mark.parametrize("in_order", [True, False])
def test_one_image_is_another_and_the_arrays_of_others_were_not_kept(project, model, network, in_order):  # noqa: F811
    """Rounding hides which images are the same: where both steps take one list, its place shows it."""
    ran = project(model)
    ran.recorder("evaluate"), ran.recorder("predict", kept=4), ran.recorder("infer", kept=5)
    ran.layer("evaluate", network, {"x": PIXELS})
    ran.infer(np.ones((1, 3, 16, 16), np.float32))  # to warm up
    for row in range(6):
        ran.layer("predict", network, {"x": PIXELS[row : row + 1]})
        image = PIXELS[row if in_order else (2, 4, 0, 5, 1, 3)[row]][None] + np.float32(5e-7)
        ran.infer(image[:, ::-1].copy() if row == 2 and in_order else image)
    outcome = ran.agree()
    if in_order:
        assert_only(outcome, "preprocessing", "1 has no equal in infer", "BGR")
    else:
        assert outcome.status == 0, outcome.out


def test_several_inference_commands(steps, model, network):  # noqa: F811
    ran = steps(model, network)
    ran.infer(np.ascontiguousarray(PIXELS[:3, ::-1]), setting="cpu_usemkldnn_True_threads_1")
    outcome = ran.agree()
    assert_only(outcome, "preprocessing", "no equal in infer (engine cpu usemkldnn_True_threads_1)")
    assert [entry["name"] for entry in ran.saved["engine"]] == ["engine infer", "engine cpu usemkldnn_True_threads_1"]
