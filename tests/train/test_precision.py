"""Precision: what is in effect is found and said; loss scaling, its state in a checkpoint, and the copies of O2.

No CPU computes in mixed precision under Paddle, but the operators of its GradScaler run on one. So the training tests
use a real, enabled GradScaler around a network in float32: scaling by a power of two changes no bit there.
"""

import copy
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle.amp import grad_scaler
from paddle.base.layer_helper import LayerHelper

from ppcls_lite.train import loop, precision
from ppcls_lite.train.checkpoint import load_checkpoint, save_checkpoint
from ppcls_lite.train.history import read_history
from ppcls_lite.train.optimizer import build_optimizer
from ppcls_lite.train.precision import Precision, type_in_effect
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays, load_plain
from tests.helpers.checkpoints import alone
from tests.train.test_resume import assert_same_checkpoint

AMP = {"use_amp": True, "scale_loss": 128.0, "use_dynamic_loss_scaling": True}


@pytest.fixture
def scaled(monkeypatch):
    """Mixed precision in effect, as far as the code knows, with the real GradScaler."""
    real = paddle.amp.GradScaler
    on_a_gpu = SimpleNamespace(_expected_place=SimpleNamespace(is_gpu_place=lambda: True))

    def enabled(**options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grad_scaler, "_dygraph_tracer", lambda: on_a_gpu)  # for its check of the device only
            return real(**options)

    monkeypatch.setattr(paddle.amp, "GradScaler", enabled)
    monkeypatch.setattr(precision, "type_in_effect", lambda dtype, level: "float16")


@pytest.fixture
def said(monkeypatch):
    lines = []
    for kind in ("info", "warning"):
        monkeypatch.setattr(precision.logger, kind, lines.append)
    return lines


@pytest.mark.parametrize("level", ["O1", "O2"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_paddle_computes_in_float32_on_a_cpu_whatever_is_set(dtype, level):
    paddle.set_device("cpu")
    assert type_in_effect(dtype, level) == "float32"


def test_bfloat16_has_no_kernels_on_a_cpu():
    """The reason: when this fails, a Paddle has them, and bfloat16 on CPUs is worth another look."""
    paddle.set_device("cpu")
    images, weights = (paddle.ones(shape).astype("bfloat16") for shape in ([1, 2, 4, 4], [2, 2, 3, 3]))
    with pytest.raises(RuntimeError, match="not registered"):
        paddle.nn.functional.conv2d(images, weights)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "precision: FP32"),
        ({"use_amp": False, "level": "O2"}, "precision: FP32"),
        ({"use_amp": None}, "precision: FP32"),
        ({"use_amp": True}, "precision: FP32; AMP.use_amp is set, but mixed precision needs a GPU"),
        ({"scale_loss": 128.0}, "precision: FP32; AMP.use_amp is set, but mixed precision needs a GPU"),
    ],
)
def test_what_is_in_effect_is_said(section, message, said):
    found = Precision(section, "cpu")
    found.report()
    assert len(said) == 1
    assert said[0] == message or (";" in message and said[0].startswith(message))
    assert (found.name, found.active, found.state()) == ("FP32", False, {})


def test_a_device_that_has_it_is_believed(scaled, said):
    found = Precision({**AMP, "level": "O2"}, "gpu:0")
    found.report()
    assert said == ["precision: mixed float16 O2; the loss is scaled by 128, changed as needed"]
    assert not isinstance(found.autocast(), nullcontext)


@pytest.mark.parametrize(
    ("section", "of_weights", "of_a_training"),
    [
        ({}, False, False),
        ({"use_fp16_test": True}, True, True),
        ({"level": "O2"}, False, True),
        ({"level": "O2", "use_fp16_test": True}, True, True),
        ({"use_amp": False, "use_fp16_test": True}, False, False),
    ],
)
def test_evaluation_is_in_mixed_precision_where_it_is_set(scaled, monkeypatch, section, of_weights, of_a_training):
    if section.get("use_amp") is False:
        monkeypatch.undo()
    amp = Precision({**AMP, **section}, "gpu")
    assert isinstance(amp.autocast(evaluation=True), nullcontext) is not of_weights
    model = paddle.nn.Linear(2, 2)
    amp.prepare(model, paddle.optimizer.Momentum(parameters=model.parameters()))
    assert isinstance(amp.autocast(evaluation=True), nullcontext) is not of_a_training


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"level": "O3"}, "AMP.level: expected O1 or O2, found 'O3'"),
        ({"scale_loss": 0.0}, "AMP.scale_loss: expected a number above 0"),
        ({"scale_loss": float("nan")}, "AMP.scale_loss: expected a number"),
    ],
)
def test_wrong_options(section, message):
    with pytest.raises(UserError, match=message):
        Precision({"use_amp": True, **section}, "cpu")


# ---- the scaling of the loss


def _expected_scales(finite, scale, good_steps):
    """Plain Python: doubled after `good_steps` finite updates in a row, halved after one that is not finite."""
    good, scales = 0, []
    for is_finite in finite:
        good = good + 1 if is_finite else 0
        if not is_finite:
            scale /= 2
        elif good == good_steps:
            scale, good = scale * 2, 0
        scales.append(scale)
    return scales


def test_dynamic_scaling(scaled):
    amp = Precision(AMP, "gpu")
    amp.scaler.set_incr_every_n_steps(2)
    weight = paddle.create_parameter([2], "float32")
    weight.set_value(np.float32([1.0, -1.0]))
    optimizer = build_optimizer({"name": "Momentum", "momentum": 0.0}, [weight])
    finite = [True, True, False, True, True, True, True, False]
    scales = []
    for number, is_finite in enumerate(finite):
        before = weight.numpy()
        optimizer.set_lr(0.125)
        with amp.autocast():
            loss = (weight * paddle.to_tensor([2.0, 4.0 if is_finite else np.inf])).sum()
        amp.backward(loss)
        amp.update(optimizer)
        change = 0.125 * np.float32([2, 4]) * is_finite  # nothing, where a gradient is not finite
        assert np.array_equal(weight.numpy(), before - change), number
        scales.append(amp.state()["scale"][0])
    assert scales == _expected_scales(finite, 128.0, 2)


def test_static_scaling_keeps_its_scale(scaled):
    amp = Precision({"use_amp": True, "scale_loss": 64.0}, "gpu")
    weight = paddle.create_parameter([1], "float32")
    optimizer = build_optimizer({"name": "Momentum"}, [weight])
    with amp.autocast():
        amp.backward(weight.sum() * np.inf)
    amp.update(optimizer)
    assert amp.state()["scale"] == [64.0]


def test_state_goes_through_a_checkpoint(scaled, tmp_path):
    amp = Precision(AMP, "gpu")
    amp.scaler.set_init_loss_scaling(1024.0)
    amp.scaler._incr_count = 77
    paddle.save({"scaler": amp.state()}, str(tmp_path / "latest.pdstates"))
    fresh = Precision(AMP, "gpu")
    assert fresh.state() != amp.state()
    fresh.load_state(load_plain(tmp_path / "latest.pdstates")["scaler"], "latest")
    assert fresh.state() == amp.state()
    assert (fresh.state()["scale"], fresh.state()["incr_count"]) == ([1024.0], 77)


@pytest.mark.parametrize("state", [{"scale": 1.0}, {"scale": []}, {"scale": ["x"]}, [1], "text"])
def test_a_damaged_state(scaled, state):
    with pytest.raises(UserError, match=r"latest\.pdstates: scaler: expected the state of a GradScaler"):
        Precision(AMP, "gpu").load_state(state, "latest")


def test_a_change_of_precision_is_said(scaled, said):
    state = Precision(AMP, "gpu").state()
    Precision(AMP, "gpu").load_state(None, "latest")
    Precision({}, "cpu").load_state(state, "latest")
    assert [line.partition(":")[0] for line in said] == [
        "latest was trained in FP32",
        "latest was trained in mixed precision",
    ]


# ---- trainings


@pytest.fixture
def small(config):
    config["Optimizer"]["lr"]["learning_rate"] = 0.001
    return config


def test_scaling_by_a_power_of_two_changes_no_bit(small, tmp_path, scaled):
    loop.train(small)
    small["AMP"] = dict(AMP)
    small["Global"]["output_dir"] = str(tmp_path / "scaled")
    loop.train(small)
    weights = [load_arrays(tmp_path / f"{name}/latest") for name in ("out", "scaled")]
    assert all(value.tobytes() == weights[1][name].tobytes() for name, value in weights[0].items())
    starts = [read_history(tmp_path / f"{name}/history.jsonl")[0] for name in ("out", "scaled")]
    assert [start["precision"] for start in starts] == ["FP32", "mixed float16 O1"]


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_resumed_run_goes_on_with_the_scale(small, tmp_path, scaled, monkeypatch, forgotten):
    small["AMP"] = dict(AMP)
    small["Global"]["save_interval"] = 1
    loop.train(small)
    resumed = copy.deepcopy(small)
    resumed["Global"].update(checkpoints=str(tmp_path / "out/epoch_2"), output_dir=str(tmp_path / "resumed"))
    if forgotten:
        monkeypatch.setattr(Precision, "load_state", lambda *anything: None)
    loop.train(resumed)
    states = load_plain(tmp_path / "out/latest.pdstates")["scaler"]
    assert (states["scale"], states["incr_count"]) == ([128.0], 16)
    if forgotten:
        with pytest.raises(AssertionError):
            assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")
    else:
        assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")


# ---- O2


def _o2_training(dtype="float16"):
    """A network with float16 weights, and its optimizer with float32 copies of them, as `decorate` makes them.

    With "float32", the two as they are before that.
    """
    paddle.seed(1)
    with paddle.utils.unique_name.guard():
        model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.Linear(4, 2))
        optimizer = build_optimizer({"name": "Momentum"}, model.parameters())
    model.to(dtype=dtype)
    if dtype == "float16":
        _first_update(model, optimizer)
    return model, optimizer


def _first_update(model, optimizer):
    """What the first update makes: the copies, or those of a checkpoint, and their moments."""
    optimizer.helper = LayerHelper("Momentum")
    with paddle.utils.unique_name.guard():
        optimizer._create_accumulators(paddle.static.default_main_program().global_block(), model.parameters())


def _bytes(optimizer):
    """{name: bytes} of everything in an optimizer's state."""
    state = optimizer.state_dict()
    return {name: value.numpy().tobytes() for name, value in [*state.pop("master_weights").items(), *state.items()]}


def test_float32_copies_and_their_moments_go_through_a_checkpoint(tmp_path):
    model, optimizer = _o2_training()
    for number, master in enumerate(optimizer._master_weights.values()):
        master.set_value(master + np.float32(2**-20))  # less than float16 can hold
        optimizer._accumulators["velocity"][master.name].set_value(np.full(master.shape, number + 0.5, np.float32))
    expected = _bytes(optimizer)
    assert len(expected) == 8
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1})
    fresh, its_optimizer = _o2_training("float32")
    load_checkpoint(tmp_path / "latest", fresh, alone(its_optimizer, fresh))
    fresh.to(dtype="float16")
    its_optimizer._multi_precision = True
    _first_update(fresh, its_optimizer)
    assert _bytes(its_optimizer) == expected
    assert all((a.numpy() == b.numpy()).all() for a, b in zip(model.parameters(), fresh.parameters()))


def test_copies_that_are_not_finite_are_refused(tmp_path):
    model, optimizer = _o2_training()
    optimizer._master_weights[model[0].weight.name].set_value(np.full([4, 3, 3, 3], np.nan, np.float32))
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1})
    fresh, its_optimizer = _o2_training("float32")
    with pytest.raises(UserError, match=r"pdopt: .* nan or infinite"):
        load_checkpoint(tmp_path / "latest", fresh, alone(its_optimizer, fresh))
