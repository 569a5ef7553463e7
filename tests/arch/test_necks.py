"""Necks, and how a config says that a parameter begins and learns."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls_lite.arch import HEADS, NECKS
from ppcls_lite.arch.parameters import param_attr
from ppcls_lite.utils.errors import UserError


def entries(layer):
    return {name: list(tensor.shape) for name, tensor in layer.state_dict().items()}


def test_a_linear_layer_has_paddleclas_names():
    layer = NECKS.build("FC", {"embedding_size": 6, "class_num": 4})
    assert entries(layer) == {"fc.weight": [6, 4], "fc.bias": [4]}
    assert (layer.fc.bias.numpy() == 0).all()
    assert layer(paddle.ones([2, 6])).shape == [2, 4]
    assert type(HEADS.build("FC", {"embedding_size": 6, "class_num": 4})) is type(layer)
    assert entries(NECKS.build("FC", {"embedding_size": 6, "class_num": 4, "bias_attr": False})) == {
        "fc.weight": [6, 4]
    }


def test_a_batch_norm_of_features():
    layer = NECKS.build("BNNeck", {"num_features": 3})
    shapes = {f"feat_bn.{name}": [3] for name in ("weight", "bias", "_mean", "_variance")}
    assert entries(layer) == shapes
    x = np.random.default_rng(0).normal(2, 3, (50, 3)).astype("float32")
    layer.train()
    expected = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
    assert np.abs(layer(paddle.to_tensor(x)).numpy() - expected).max() < 1e-5
    assert np.allclose(layer.feat_bn._mean.numpy(), 0.1 * x.mean(axis=0), atol=1e-6)  # momentum 0.9


def test_a_bias_that_hardly_learns_or_is_none():
    bias = {"initializer": {"name": "Constant", "value": 0.0}, "learning_rate": 1e-20}
    layer = NECKS.build("BNNeck", {"num_features": 3, "bias_attr": bias})
    assert layer.feat_bn.bias.optimize_attr["learning_rate"] == 1e-20
    bias = NECKS.build("BNNeck", {"num_features": 3, "bias_attr": False}).feat_bn.bias
    assert bias is None or bias.stop_gradient  # Paddle 3, Paddle 2


def begun(section, shape=(400, 300)):
    paddle.seed(1)
    layer = nn.Linear(*shape, weight_attr=param_attr("weight_attr", {"initializer": section}, None))
    return layer.weight.numpy()


@pytest.mark.parametrize(
    ("section", "deviation"),
    [
        ({"name": "Normal", "std": 0.001}, 0.001),
        ({"name": "XavierNormal"}, np.sqrt(2 / 700)),
        ({"name": "XavierUniform", "fan_in": 50, "fan_out": 50}, np.sqrt(2 / 100)),
        ({"name": "KaimingNormal"}, np.sqrt(2 / 400)),
        ({"name": "KaimingUniform", "fan_in": 12288}, np.sqrt(2 / 12288)),
        (
            {"name": "KaimingUniform", "negative_slope": 5**0.5, "nonlinearity": "leaky_relu", "fan_in": 96},
            np.sqrt(2 / 6 / 96),
        ),
    ],
)
def test_initialisers_have_the_deviation_of_their_papers(section, deviation):
    assert abs(begun(section).std() / deviation - 1) < 0.02


def test_a_constant():
    assert (begun({"name": "Constant", "value": 0.25}, (3, 2)) == 0.25).all()


@pytest.mark.parametrize(
    ("attr", "message"),
    [
        ({"initialiser": {}}, r"weight_attr: no option 'initialiser' \(did you mean 'initializer'\?\); known: init"),
        (
            {"initializer": {"name": "KaimingUnifrm"}},
            r"initializer.name: expected .* \(did you mean 'KaimingUniform'\?\)",
        ),
        (
            {"initializer": {"name": "Assign", "value": 1}},
            "initializer.name: expected one of Constant, .* found 'Assign'",
        ),
        ({"initializer": "Constant"}, "initializer.name: expected one of .*, found 'Constant'"),
        ({"initializer": {"value": 1}}, "initializer.name: expected one of Constant, .* found None"),
        ({"initializer": {"name": "Normal", "sdt": 1}}, r"initializer: no option 'sdt' \(did you mean 'std'\?\)"),
        ({"initializer": {"name": "Normal", "std": "big"}}, "initializer.std: expected a number"),
        ({"initializer": {"name": "KaimingNormal", "fan_in": 0}}, "initializer.fan_in: expected a number above 0"),
        ({"initializer": {"name": "KaimingNormal", "nonlinearity": "rleu"}}, "nonlinearity: .*did you mean 'relu'"),
        ({"learning_rate": -1}, "weight_attr.learning_rate: expected a number of at least 0, found -1"),
        ({"regularizer": {"name": "L2"}}, r"regularizer.name: expected one of L1Decay, L2Decay, found 'L2'"),
        (False, "weight_attr: expected a mapping such as .* found False"),
        ("Constant", "weight_attr: expected a mapping such as .* found 'Constant'"),
    ],
)
def test_wrong_attributes(attr, message):
    with pytest.raises(UserError, match=message):
        NECKS.build("FC", {"embedding_size": 2, "class_num": 2, "weight_attr": attr}, "Arch.Neck")


def test_a_regulariser_of_its_own():
    attr = param_attr("weight_attr", {"regularizer": {"name": "L2Decay", "coeff": 0.5}}, None)
    assert attr.regularizer._coeff == 0.5
