"""Pruning: which filters go, that the network computes as if they had been 0, and that it is really smaller."""

import copy

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import build_model
from ppcls_lite.arch.from_config import load_network, network_to_train
from ppcls_lite.slim.fpgm import chains_of, prune, to_keep
from ppcls_lite.train import loop
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from tests.train.test_resume import assert_same_checkpoint


@pytest.fixture
def pruned(config):
    config["Slim"] = {"prune": {"name": "fpgm", "pruned_ratio": 0.3}}
    config["Global"].update(epochs=2, save_interval=1)
    config["Optimizer"]["lr"]["learning_rate"] = 0.001
    return config


def test_the_filters_nearest_to_the_geometric_median_go():
    weight = np.random.default_rng(0).normal(size=(10, 3, 3, 3))
    sums = [sum(np.linalg.norm(one - other) for other in weight) for one in weight]
    assert to_keep(weight, 0.3).tolist() == sorted(np.argsort(sums)[3:].tolist())
    assert len(to_keep(weight, 0.99)) == 1


@pytest.mark.parametrize("name", ["ResNet18", "ResNet50_vd", "MobileNetV3_small_x1_0"])
def test_a_pruned_network_computes_what_is_left(name):
    """As the plain one whose removed filters are 0, behind BatchNorm too; gates see the channels that are left."""
    network, rng = build_model(name, class_num=3), np.random.default_rng(0)
    network.eval()
    removed = {}
    for weight, layers in chains_of(network):
        kept = to_keep(layers[0].conv.weight.numpy(), 0.3)
        removed[weight] = np.setdiff1d(np.arange(layers[0].conv.weight.shape[0]), kept)
        last = layers[-1].conv.weight.numpy()
        last[:, removed[weight]] = 0
        if name.startswith("MobileNet"):
            for layer in layers[1:-1]:
                if hasattr(layer, "per_channel"):
                    entry = layer.conv1.weight.numpy()
                    entry[:, removed[weight]] = 0
                    layer.conv1.weight.set_value(entry)
        layers[-1].conv.weight.set_value(last)
    images = paddle.to_tensor(rng.normal(size=(2, 3, 32, 32)).astype(np.float32))
    expected, before = network(images).numpy(), sum(int(one.size) for one in network.parameters())
    choose = {weight: layers[0].conv.weight.numpy() for weight, layers in chains_of(network)}
    assert set(choose) == set(removed)
    prune(network, 0.3)
    assert sum(int(one.size) for one in network.parameters()) < 0.9 * before
    if name.startswith("MobileNet"):  # one layer a chain: the same filters are chosen
        np.testing.assert_allclose(network(images).numpy(), expected, atol=1e-4)
    assert network(images).shape == [2, 3]


def test_a_training_its_resumption_and_its_export(pruned, tmp_path):
    loop.train(pruned)
    resumed = copy.deepcopy(pruned)
    resumed["Global"].update(checkpoints=str(tmp_path / "out/epoch_1"), output_dir=str(tmp_path / "resumed"))
    loop.train(resumed)
    assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")
    pruned["Global"]["pretrained_model"] = str(tmp_path / "out/latest")
    network = load_network(pruned)
    arrays = load_arrays(tmp_path / "out/latest")
    assert all((tensor.numpy() == arrays[name]).all() for name, tensor in network.state_dict().items())
    plain = build_model(pruned["Arch"]["name"], class_num=3)
    assert sum(array.size for array in arrays.values()) < sum(int(one.size) for one in plain.state_dict().values())


def test_weights_of_the_plain_network_choose_the_filters(pruned, weights_file):
    pruned["Global"]["pretrained_model"] = str(weights_file)
    network, arrays = network_to_train(pruned), load_arrays(weights_file)
    for name, layers in chains_of(network):
        assert (layers[0].conv.weight.numpy() == arrays[name][to_keep(arrays[name], 0.3)][:, : 10**6]).all()


def test_weights_of_the_plain_network_are_not_taken_for_pruned_ones(pruned, weights_file):
    pruned["Global"]["pretrained_model"] = str(weights_file)
    with pytest.raises(UserError, match="expected weights of a pruned network, found those of a plain one"):
        load_network(pruned)


def test_a_network_without_such_layers_is_refused(pruned):
    pruned["Arch"]["name"] = "PPHGNetV2_B0"
    with pytest.raises(UserError, match="has no layers that can be pruned"):
        network_to_train(pruned)
