"""Optimizers by scope: who changes what, at which rate, and which lists are refused."""

import copy

import numpy as np
import paddle
import pytest

from ppcls_lite.arch.from_config import build_network
from ppcls_lite.train import loop
from ppcls_lite.train.losses import WeightedLosses
from ppcls_lite.train.optimizer_scopes import build_optimizers, optimizer_name
from ppcls_lite.train.precision import Precision
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from tests.helpers.recognition import SCOPES, as_recognition

LR = {"name": "ConstLR", "learning_rate": 0.1}


@pytest.fixture
def config(config):
    config = as_recognition(config)
    config["Arch"]["Backbone"]["name"] = "MobileNetV1_x0_25"
    return config


def build(config, section):
    """(optimizers, {name: parameter} of the network and of the losses)."""
    model, losses = build_network(config), WeightedLosses(config["Loss"]["Train"], "Loss.Train")
    optimizers = build_optimizers(section, "RecModel", model, losses, epochs=2, updates_per_epoch=5)
    named = [*model.named_parameters(), *losses.layers.named_parameters()]  # running statistics are among them
    return optimizers, {name: parameter for name, parameter in named if not parameter.stop_gradient}


def moved(config, section):
    """Names of the parameters that an update with gradients of 1 changes."""
    optimizers, named = build(config, section)
    before = {name: parameter.numpy() for name, parameter in named.items()}
    for parameter in named.values():
        (parameter.sum()).backward()
    optimizers.set_rates(0)
    Precision({}, "cpu").update(*optimizers)
    assert all(parameter.grad is None or not parameter.grad.numpy().any() for parameter in named.values())
    return {name: np.abs(before[name] - parameter.numpy()).max() for name, parameter in named.items()}


def test_one_optimizer_changes_everything(config):
    steps = moved(config, {"name": "SGD", "lr": LR})
    assert "CenterLoss.centers" in steps
    assert all(step == pytest.approx(0.1, rel=1e-3) for step in steps.values())


def test_each_scope_has_its_optimizer_and_rate(config):
    section = [
        {"SGD": {"scope": "backbone", "lr": LR}},
        {"SGD": {"scope": "neck", "lr": {"learning_rate": 0.2}}},
        {"Momentum": {"scope": "head", "lr": {"learning_rate": 0.4}}},
        {"SGD": {"scope": "CenterLoss", "lr": {"learning_rate": 3.0}}},
    ]
    wanted = {"backbone": 0.1, "neck": 0.2, "head": 0.4, "CenterLoss": 3.0}
    for name, step in moved(config, section).items():
        assert step == pytest.approx(wanted[name.partition(".")[0]], rel=1e-3), name
    assert optimizer_name(section) == "SGD (backbone), SGD (neck), Momentum (head), SGD (CenterLoss)"


def test_a_schedule_for_each_and_the_first_is_the_one_that_is_logged(config):
    section = copy.deepcopy(SCOPES)
    section[0]["Momentum"]["lr"] = {"name": "Linear", "learning_rate": 1.0}
    optimizers, _ = build(config, section)
    assert [optimizers.set_rates(update) for update in (0, 5)] == [1.0, 0.5]
    assert [optimizer.get_lr() for optimizer in optimizers] == [0.5, 20.0]


def test_weight_decay_is_that_of_the_scope(config):
    section = copy.deepcopy(SCOPES)
    section[0] = {"AdamW": {"scope": "RecModel", "lr": LR, "weight_decay": 0.1, "no_weight_decay_name": "feat bias"}}
    (network, centres), _ = build(config, section)
    assert isinstance(network, paddle.optimizer.AdamW)
    assert type(centres) is paddle.optimizer.SGD
    assert centres.regularization is None


def test_another_optimizer_than_the_checkpoints(config, tmp_path):
    config["Global"]["epochs"] = 1
    loop.train(config)
    config["Optimizer"] = SCOPES
    config["Global"]["checkpoints"] = str(tmp_path / "out/latest")
    with pytest.raises(
        UserError, match=r"Optimizer.name is Momentum \(RecModel\), SGD \(CenterLoss\): .* with Momentum"
    ):
        loop.Trainer(config, "cpu")


def test_the_list_in_a_file_and_on_the_command_line(config, write_config):
    config["Optimizer"] = copy.deepcopy(SCOPES)
    path = write_config(config)
    loaded = load_config(path, ["Optimizer.1.SGD.lr.learning_rate=1e3", "Optimizer.0.Momentum.momentum=0.5"])
    assert loaded["Optimizer"][1]["SGD"]["lr"]["learning_rate"] == 1000
    assert optimizer_name(loaded["Optimizer"]) == "Momentum (RecModel), SGD (CenterLoss)"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ([], "Optimizer: expected a mapping, or a list of optimizers with a scope"),
        ("Adam", "Optimizer: expected a mapping, or a list of optimizers with a scope"),
        ([{"SGD": None}], r"Optimizer\[0\]: expected one such as 'Adam: "),
        ([{"SGD": {"lr": LR}}], r"Optimizer\[0\].SGD.scope: expected all, or a part such as RecModel, found None"),
        ([{"SGD": {"scope": "all"}}], "'Optimizer.SGD.lr' is missing"),
        ([{"SGD": {"scope": "RecModel", "lr": LR}}], "Optimizer: CenterLoss.centers is in no scope"),
        (
            [{"SGD": {"scope": "RecModl", "lr": LR}}],
            "unknown scope 'RecModl'.*RecModel.*known: all, RecModel, backbone",
        ),
        (
            [{"SGD": {"scope": "all", "lr": LR}}, {"SGD": {"scope": "CenterLoss", "lr": LR}}],
            "CenterLoss.centers is in scope CenterLoss and in scope all",
        ),
        ([{"SGD": {"scope": "all", "lr": LR, "momentum": 0.9}}], "SGD: no option 'momentum'"),
        ([{"Sgd": {"scope": "all", "lr": LR}}], "unknown optimizer 'Sgd'"),
        ([{"SGD": {"scope": "all", "lr": {"learning_rate": "much"}}}], "Optimizer.lr.learning_rate: expected a number"),
    ],
)
def test_what_is_refused(config, section, message):
    with pytest.raises(UserError, match=message):
        build(config, section)
