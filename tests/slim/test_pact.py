"""Training for INT8: the quanters against a plain NumPy reference, a resumed training, and weights that do not fit."""

import copy

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls_lite.arch.from_config import load_network, network_to_train
from ppcls_lite.slim.pact import ChannelLayer, PactLayer
from ppcls_lite.train import loop
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from tests.train.test_resume import assert_same_checkpoint


@pytest.fixture
def pact(config):
    config["Slim"] = {"quant": {"name": "pact"}}
    config["Global"].update(epochs=2, save_interval=1)
    config["Optimizer"]["lr"]["learning_rate"] = 0.001
    return config


def rounded(x, alpha, beta):
    """What 256 values between -beta and alpha leave of x."""
    step = (alpha + beta) / 255
    zero = np.round(beta / step)
    return (np.clip(np.round(np.clip(x, -beta, alpha) / step) + zero, 0, 255) - zero) * step


def quanter(alpha, beta):
    layer = PactLayer(None)
    layer.alpha.set_value(np.array([alpha], np.float32))
    layer.beta.set_value(np.array([beta], np.float32))
    return layer


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (1.5, 0.375), (0.7, 2.0)])
def test_activations_are_clipped_and_rounded(alpha, beta):
    x = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    layer = quanter(alpha, beta)
    for mode in (layer.train, layer.eval):
        mode()
        np.testing.assert_allclose(layer(paddle.to_tensor(x)).numpy(), rounded(x, alpha, beta), atol=1e-5)


def test_gradients_pass_the_rounding_and_what_is_cut_goes_to_the_ends():
    x, layer = paddle.to_tensor([-2.0, -0.1, 0.3, 0.9, 1.7, 3.0]), quanter(1.5, 0.375)
    x.stop_gradient = False
    upstream = paddle.to_tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    layer.train()
    (layer(x) * upstream).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 2, 4, 8, 0, 0])
    assert layer.alpha.grad.item() == 48  # equation 3 of the paper: 1 where x is above alpha
    assert layer.beta.grad.item() == -1


def test_the_range_begins_with_the_first_batch_and_not_with_the_second():
    layer = PactLayer(None)
    layer.train()
    layer(paddle.to_tensor([-0.5, 2.0]))
    layer(paddle.to_tensor([-9.0, 9.0]))
    assert (layer.alpha.item(), layer.beta.item()) == (2.0, 0.5)
    layer = PactLayer(None)
    layer.train()
    layer(paddle.to_tensor([0.0, 2.0]))  # behind a ReLU
    assert (layer.alpha.item(), layer.beta.item()) == (2.0, 0.0)


@pytest.mark.parametrize(("layer", "axis"), [(nn.Conv2D(3, 4, 3), 0), (nn.Linear(6, 5), 1)])
def test_weights_are_rounded_to_64_steps_of_each_channel(layer, axis):
    weight = layer.weight.numpy()
    others = tuple(side for side in range(weight.ndim) if side != axis)
    step = np.abs(weight).max(axis=others, keepdims=True) / 64
    found = ChannelLayer(layer)
    found.eval()
    np.testing.assert_allclose(found(layer.weight).numpy(), np.round(weight / step) * step, atol=1e-7)


def test_a_folded_batch_norm_leaves_the_integers_of_the_weights():
    rng = np.random.default_rng(2)
    weight, factor = rng.normal(size=(8, 4, 3, 3)), rng.normal(size=(8, 1, 1, 1))

    def integers(values):
        return np.round(values / (np.abs(values).max(axis=(1, 2, 3), keepdims=True) / 64))

    assert (integers(weight * factor) == integers(weight) * np.sign(factor)).all()


def test_a_resumed_training_ends_with_the_same_bits(pact, tmp_path):
    loop.train(pact)
    resumed = copy.deepcopy(pact)
    resumed["Global"].update(checkpoints=str(tmp_path / "out/epoch_1"), output_dir=str(tmp_path / "resumed"))
    loop.train(resumed)
    assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")
    arrays = load_arrays(tmp_path / "out/latest")
    first = load_arrays(tmp_path / "out/epoch_1")
    alphas = [name for name in arrays if name.endswith("activation_quanter.alpha")]
    assert all(arrays[name] > 0 for name in alphas)
    assert alphas
    assert any(arrays[name] != first[name] for name in alphas)  # they are learnt


def test_a_training_begins_with_the_weights_of_the_plain_network(pact, weights_file):
    pact["Global"]["pretrained_model"] = str(weights_file)
    network, arrays = network_to_train(pact), load_arrays(weights_file)
    state = network.state_dict()
    assert all((state[name].numpy() == array).all() for name, array in arrays.items())
    assert {name.rpartition(".")[2] for name in set(state) - set(arrays)} == {"alpha", "beta"}


def test_weights_of_the_plain_network_are_not_taken_for_trained_ones(pact, weights_file):
    pact["Global"]["pretrained_model"] = str(weights_file)
    with pytest.raises(
        UserError, match=r"expected weights of a training with Slim\.quant, found those of a plain network"
    ):
        load_network(pact)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"quant": {"name": "pakt"}}, r"Slim.quant.name: expected pact, found 'pakt' \(did you mean 'pact'\?\)"),
        ({"prune": {"name": "l1"}}, "Slim.prune.name: expected fpgm, found 'l1'"),
        ({"prune": {"name": "fpgm", "pruned_ratio": 1.5}}, "expected a number between 0 and 1, found 1.5"),
    ],
)
def test_unknown_names_and_ratios_are_refused(config, section, words):
    config["Slim"] = section
    with pytest.raises(UserError, match=words):
        network_to_train(config)


def test_a_static_graph_is_refused(pact):
    pact["Global"]["to_static"] = True
    with pytest.raises(UserError, match=r"Global\.to_static=True with Slim\.quant"):
        network_to_train(pact)
