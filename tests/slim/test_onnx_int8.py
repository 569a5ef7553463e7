"""The INT8 form of a network: what is in it, and each fault of it that has to be seen."""

import numpy as np
import pytest

from ppcls_lite.infer.compare.int8 import check_is_int8
from ppcls_lite.slim.onnx_int8 import quantise, read_contents, unequal_scales
from ppcls_lite.slim.settings import Calibration
from ppcls_lite.utils.errors import UserError


def scores(content, images):
    import onnxruntime

    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": images})[0]


def changed(onnx, content, change):
    """The model with `change(graph, {name: initialiser})` done to it."""
    model = onnx.load_from_string(content)
    change(model.graph, {one.name: one for one in model.graph.initializer})
    return model.SerializeToString()


def doubled(onnx, one):
    one.CopyFrom(onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(one), one.name))


def test_all_weights_are_int8_and_stand_for_those_of_the_network(fp32, int8):
    words = check_is_int8(int8, fp32)
    assert words.startswith("3 of 3 layers have INT8 weights, each within half a step")
    assert "QLinearConv" in words


@pytest.mark.parametrize(
    "options",
    [{}, {"per_channel": False}, {"method": "entropy"}, {"method": "percentile"}],
    ids=str,
)
def test_the_int8_model_gives_nearly_what_the_network_gives(fp32, images, options):
    found = scores(quantise(fp32, images, Calibration(**options)), images)
    expected = scores(fp32, images)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    assert np.abs(found - expected).mean() < 0.02


def test_scores_are_not_in_steps_of_a_256th(int8, images):
    steps = scores(int8, images) * 255
    assert np.abs(steps - steps.round()).max() > 0.1


@pytest.mark.parametrize(("option", "name"), [("float_first", "w1"), ("float_last", "w3")])
def test_a_layer_may_stay_in_fp32(fp32, images, option, name):
    contents = read_contents(quantise(fp32, images, Calibration(**{option: True})))
    assert (len(contents.weights), contents.layers) == (2, 3)
    assert not any(name in weight for weight in contents.weights)


def test_seven_bits_of_a_weight_do_not_use_the_eighth(onnx, int8):
    arrays = [onnx.numpy_helper.to_array(one) for one in onnx.load_from_string(int8).graph.initializer]
    weights = [array for array in arrays if array.dtype == np.int8 and array.ndim > 1]
    assert len(weights) == 3
    assert max(np.abs(array.astype(int)).max() for array in weights) == 64


def test_a_clip_keeps_the_range_that_was_trained(onnx, fp32, images):
    def clip(graph, arrays):
        for name, number in (("low", -0.25), ("high", 1.5)):
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(number, np.float32), name))
        graph.node.insert(0, onnx.helper.make_node("Clip", ["x", "low", "high"], ["clipped"]))
        graph.node[1].input[0] = "clipped"

    graph = onnx.load_from_string(quantise(changed(onnx, fp32, clip), images, Calibration())).graph
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    assert float(arrays["clipped_scale"]) == pytest.approx(1.75 / 255)
    assert int(arrays["clipped_zero_point"]) == round(0.25 / (1.75 / 255))


# ----------------------------------------------------------------------------------------------------- planted faults


def test_calibration_needs_images_and_different_ones(fp32, images):
    for wrong, words in (
        (images[:0], "expected images, found none"),
        (images[:1].repeat(9, axis=0), "expected different images, found 9"),
        (np.zeros_like(images[:4]) + np.arange(4, dtype=np.float32)[:, None, None, None], "one colour only"),
    ):
        with pytest.raises(UserError, match=words):
            quantise(fp32, wrong, Calibration())


def test_an_fp32_model_is_not_taken_for_an_int8_one(fp32):
    with pytest.raises(UserError, match="expected INT8 weights, found none: 0 of 3 layers"):
        check_is_int8(fp32, fp32)


def test_a_model_that_keeps_most_weights_in_fp32_is_seen_by_its_size(onnx, fp32, int8):
    def grow(graph, arrays):
        graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(20_000, np.float32), "kept"))

    with pytest.raises(UserError, match="it is not INT8"):
        check_is_int8(changed(onnx, int8, grow), fp32)


def test_weights_of_another_network_are_seen(build, int8):
    with pytest.raises(UserError, match="3 of its 3 INT8 weights are not within half a step"):
        check_is_int8(int8, build(seed=7))


def test_a_scale_that_is_wrong_by_two_is_seen(onnx, fp32, int8):
    def weight(graph, arrays):
        doubled(onnx, arrays["w2_scale"])

    with pytest.raises(UserError, match=r"1 of its 3 INT8 weights .* the first is w2"):
        check_is_int8(changed(onnx, int8, weight), fp32)

    def activation(graph, arrays):
        graph.initializer.append(onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(arrays["x_scale"]), "two"))
        next(node for node in graph.node if node.op_type == "DequantizeLinear" and "x_" in node.input[0]).input[1] = (
            "two"
        )

    wrong = changed(onnx, int8, activation)
    assert unequal_scales(int8) == []
    assert unequal_scales(wrong) == ["x"]
