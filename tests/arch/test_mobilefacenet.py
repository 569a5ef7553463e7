"""MobileFaceNet against facts of InsightFace's network for Paddle: names, shapes and counts of its weights, how they
begin, and its output with the weights of `ppcls_lite/benchmark/filled.py`.
"""

import json
import math

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import ARCH, BACKBONES
from ppcls_lite.arch.summary import count_parameters
from ppcls_lite.benchmark import filled
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import FIXTURES

FACTS = json.loads((FIXTURES / "arch/mobilefacenet.json").read_text())


@pytest.fixture(scope="module")
def network():
    return BACKBONES.build("MobileFaceNet_128")


def entries(model):
    return [f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in model.state_dict().items()]


def error_of(model):
    model.eval()
    with paddle.no_grad():
        found = model(paddle.to_tensor(filled.image(112))).numpy()[0]
    expected = np.array(FACTS["features_of_filled_weights"])
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_names_shapes_and_counts_are_insightfaces(network):
    assert entries(network) == FACTS["state_dict"]
    assert count_parameters(network) == (FACTS["params_all"], FACTS["params_trainable"])
    assert "conv1.conv.weight 64x3x3x3" in entries(network)
    assert "linear7.conv.weight 512x1x7x7" in entries(network)
    assert entries(BACKBONES.build("MobileFaceNet", {"feature_dim": 128})) == entries(network)


def test_features_are_insightfaces():
    assert error_of(filled.fill(BACKBONES.build("MobileFaceNet"))) < 1e-5


@pytest.mark.parametrize("fault", ["a shortcut too few", "an activation at the end", "another slope"])
def test_wrong_details_change_the_features(fault):
    """None of these changes a name or a shape."""
    model = filled.fill(BACKBONES.build("MobileFaceNet"))
    if fault == "a shortcut too few":
        model.blocks[1].shortcut = False
    elif fault == "an activation at the end":
        model.linear1.prelu = paddle.nn.ReLU()
    else:
        model.conv2.prelu = paddle.nn.ReLU()
    assert error_of(model) > 1e-3


def test_it_begins_as_insightfaces(network):
    """A normal distribution of deviation sqrt(2 / n), n the numbers that one of the output is made of."""
    state = network.state_dict()
    for name, fan_in in (("conv2.conv.weight", 128), ("linear7.conv.weight", 49), ("blocks.5.conv.3.weight", 9)):
        assert abs(float(state[name].std()) / math.sqrt(2 / fan_in) - 1) < 0.1, name
    assert (state["conv1.prelu._weight"].numpy() == 0.25).all()


def test_smaller_images_have_a_smaller_last_kernel(network):
    small = BACKBONES.build("MobileFaceNet", {"feature_dim": 32, "input_size": 64})
    different = [pair for pair in zip(entries(small), entries(network)) if pair[0] != pair[1]]
    assert different[0] == ("linear7.conv.weight 512x1x4x4", "linear7.conv.weight 512x1x7x7")
    assert all(name.startswith("linear1.") for name, _ in different[1:])
    assert small.eval()(paddle.zeros([2, 3, 64, 64])).shape == [2, small.feature_size] == [2, 32]


def test_images_of_another_size_are_refused(network):
    message = (
        r"MobileFaceNet: expected images of 112 x 112 pixels, .*input_size says, found height and width \[64, 64\]"
    )
    with pytest.raises(UserError, match=message):
        network(paddle.zeros([1, 3, 64, 64]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 100}, "input_size: expected a multiple of 16, found 100"),
        ({"feature_dim": 0}, "feature_dim: expected a whole number of at least 1, found 0"),
        ({"num_features": 12}, r"no option 'num_features'"),
        ({"class_num": 12}, r"no option 'class_num'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UserError, match=message):
        BACKBONES.build("MobileFaceNet", options)


def test_it_is_no_classifier():
    assert not set(BACKBONES.names()) & set(ARCH.names())
