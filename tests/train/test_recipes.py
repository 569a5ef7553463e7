"""Optimizers against their formulas in plain NumPy, over several steps, and further learning-rate schedules."""

import numpy as np
import paddle
import pytest
from paddle.optimizer.lr import LinearWarmup, MultiStepDecay, PolynomialDecay, StepDecay

from ppcls_lite.train import optimizer as optimizers
from ppcls_lite.train.optimizer import build_optimizer, build_schedule
from ppcls_lite.utils.errors import UserError
from tests.train.test_optimizer import assert_same_rates, stepped

RATES = [0.1, 0.05, 0.2, 0.1]


class Two(paddle.nn.Layer):
    """A matrix and a vector: what is decided by dimension or by name shows in one of them."""

    def __init__(self):
        super().__init__()
        self.norm_weight = self.create_parameter([3])
        self.body_weight = self.create_parameter([3, 3])


START = {
    "norm_weight": np.array([1.0, -2.0, 0.5]),
    "body_weight": np.array([[1.0, 2.0, -1.0], [0.5, -0.25, 3.0], [-2.0, 0.125, 1.5]]),
}
TARGET = {name: value[::-1] * 0.5 for name, value in START.items()}


def _gradient(name, weight, step):
    """Of the loss sum((weight - target)**2) * (step + 1), another one at each step."""
    return 2 * (weight - TARGET[name]) * (step + 1)


def _train(section):
    """The weights after an update for each of RATES."""
    model = Two()
    for name, parameter in model.named_parameters():
        parameter.set_value(START[name].astype(np.float32))
    optimizer = build_optimizer(section, model.parameters(), model.named_parameters())
    for step, rate in enumerate(RATES):
        optimizer.set_lr(rate)
        for name, parameter in model.named_parameters():
            ((parameter - paddle.to_tensor(TARGET[name].astype(np.float32))) ** 2).sum().scale(step + 1.0).backward()
        optimizer.step()
        optimizer.clear_grad()
    return {name: parameter.numpy() for name, parameter in model.named_parameters()}


def _expect(section, update):
    """`update(weight, gradient, state, rate, step, name)` returns the new weight; `state` is a dict of its own."""
    found = _train(section)
    for name, weight in START.items():
        state = {}
        for step, rate in enumerate(RATES):
            weight = update(weight, _gradient(name, weight, step), state, rate, step + 1, name)
        assert np.allclose(found[name], weight, rtol=2e-5, atol=1e-6), name


def _decay(weight, name, coeff=0.1, spared=()):
    return 0 if name in spared else coeff * weight


def _momentum(nesterov, decay):
    def update(weight, gradient, state, rate, step, name):
        gradient = gradient + decay(weight, name)
        state["v"] = 0.9 * state.get("v", 0) + gradient
        return weight - rate * (gradient + 0.9 * state["v"] if nesterov else state["v"])

    return update


L2 = {"regularizer": {"name": "L2", "coeff": 0.1}}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(
    ("options", "decay"),
    [
        ({}, lambda weight, name: 0),
        (L2, _decay),
        ({"weight_decay": 0.1}, _decay),
        ({"regularizer": {"name": "L1", "coeff": 0.1}}, lambda weight, name: 0.1 * np.sign(weight)),
        ({**L2, "no_weight_decay_name": "norm"}, lambda weight, name: _decay(weight, name, spared=["norm_weight"])),
        ({**L2, "one_dim_param_no_weight_decay": True}, lambda w, name: _decay(w, name, spared=["norm_weight"])),
        ({**L2, "no_weight_decay_name": "weight"}, lambda weight, name: 0),
    ],
    ids=["none", "L2", "weight_decay", "L1", "by name", "by dimension", "all"],
)
def test_momentum(options, decay, nesterov):
    _expect({"name": "Momentum", "momentum": 0.9, "use_nesterov": nesterov, **options}, _momentum(nesterov, decay))


def test_sgd():
    _expect({"name": "SGD", **L2}, lambda w, gradient, state, rate, step, name: w - rate * (gradient + _decay(w, name)))


def _adam_step(weight, gradient, state, rate, step, beta1=0.8, beta2=0.95, epsilon=1e-3):
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * gradient
    state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * gradient**2
    # Paddle adds epsilon before the correction of the second moment: epsilon * sqrt(1 - beta2^t)
    root = np.sqrt(state["v"]) + epsilon * np.sqrt(1 - beta2**step)
    return weight - rate * np.sqrt(1 - beta2**step) / (1 - beta1**step) * state["m"] / root


ADAM = {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}


@pytest.mark.parametrize("spared", [(), ("norm_weight",)])
def test_adam_has_the_decay_in_its_gradient(spared):
    section = {"name": "Adam", **ADAM, **L2, "one_dim_param_no_weight_decay": bool(spared)}
    _expect(
        section,
        lambda w, gradient, state, rate, step, name: _adam_step(
            w, gradient + _decay(w, name, spared=spared), state, rate, step
        ),
    )


@pytest.mark.parametrize(
    ("options", "spared"),
    [
        ({}, ()),
        ({"no_weight_decay_name": "norm .bias"}, ("norm_weight",)),
        ({"one_dim_param_no_weight_decay": True}, ("norm_weight",)),
        ({"no_weight_decay_name": "body", "one_dim_param_no_weight_decay": True}, ("norm_weight", "body_weight")),
    ],
)
def test_adamw_shrinks_the_weights_themselves(options, spared):
    section = {"name": "AdamW", **ADAM, "weight_decay": 0.2, **options}
    _expect(
        section,
        lambda w, gradient, state, rate, step, name: _adam_step(
            w * (1 - rate * (0 if name in spared else 0.2)), gradient, state, rate, step
        ),
    )


def test_adamw_decays_by_a_hundredth_by_default():
    _expect(
        {"name": "AdamW", **ADAM},
        lambda w, gradient, state, rate, step, name: _adam_step(w * (1 - rate * 0.01), gradient, state, rate, step),
    )


@pytest.mark.parametrize("spared", [(), ("norm_weight",)])
def test_rmsprop(spared):
    def update(weight, gradient, state, rate, step, name):
        gradient = gradient + _decay(weight, name, spared=spared)
        state["square"] = 0.9 * state.get("square", 0) + 0.1 * gradient**2
        state["m"] = 0.5 * state.get("m", 0) + rate * gradient / np.sqrt(state["square"] + 1e-3)
        return weight - state["m"]

    section = {"name": "RMSProp", "rho": 0.9, "momentum": 0.5, "epsilon": 1e-3, **L2}
    _expect({**section, "no_weight_decay_name": "norm" if spared else None}, update)


def test_clip_norm_limits_each_parameter_by_itself():
    def update(weight, gradient, state, rate, step, name):
        return weight - rate * gradient * min(1, 2.0 / np.linalg.norm(gradient))

    _expect({"name": "Momentum", "momentum": 0.0, "clip_norm": 2.0}, update)


def test_a_wrong_reference_would_be_seen():
    with pytest.raises(AssertionError, match="norm_weight"):
        _expect(
            {"name": "AdamW", **ADAM, "one_dim_param_no_weight_decay": True},
            lambda *given: _adam_step(*given[:5]) * 0.99,
        )


def test_a_name_that_nothing_has_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(optimizers.logger, "warning", said.append)
    model = Two()
    build_optimizer(
        {"name": "Momentum", "no_weight_decay_name": "norm nrom"}, model.parameters(), model.named_parameters()
    )
    assert said == ["Optimizer.no_weight_decay_name: 'nrom' is in no parameter's name"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "AdamW", **L2}, r"Optimizer\.regularizer: AdamW shrinks the weights itself: use weight_decay"),
        ({"name": "AdamW", "weight_decay": -1.0}, r"Optimizer\.weight_decay: expected a number of at least 0"),
        ({"name": "Momentum", "clip_norm": 0.0}, r"Optimizer\.clip_norm: expected a number above 0"),
        ({"name": "RMSProp", "use_nesterov": True}, "RMSProp: .*use_nesterov"),
        ({"name": "AdamWDL"}, "unknown optimizer 'AdamWDL' .did you mean 'AdamW'"),
    ],
)
def test_wrong_optimizer(section, message):
    with pytest.raises(UserError, match=message):
        build_optimizer(section, [paddle.create_parameter([1], "float32")])


# ---- schedules


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("power", [1.0, 2.5])
def test_linear(warmup, power):
    theirs = PolynomialDecay(0.4, decay_steps=(6 - warmup) * 5, end_lr=0.01, power=power)
    theirs = LinearWarmup(theirs, warmup * 5, 0.0, 0.4) if warmup else theirs
    section = {"name": "Linear", "learning_rate": 0.4, "end_lr": 0.01, "power": power, "warmup_epoch": warmup}
    assert_same_rates(build_schedule(section, 6, 5), stepped(theirs, 30))


@pytest.mark.parametrize("warmup", [0, 1])
def test_step(warmup):
    theirs = StepDecay(0.4, step_size=int(1.5 * 5), gamma=0.3)
    theirs = LinearWarmup(theirs, warmup * 5, 0.0, 0.4) if warmup else theirs
    section = {"name": "Step", "learning_rate": 0.4, "step_size": 1.5, "gamma": 0.3, "warmup_epoch": warmup}
    assert_same_rates(build_schedule(section, 6, 5), stepped(theirs, 30))


def test_multi_step():
    theirs = LinearWarmup(MultiStepDecay(0.4, [2 * 5, 4 * 5], gamma=0.2), 5, 0.1, 0.4)
    section = {"name": "MultiStepDecay", "learning_rate": 0.4, "milestones": [2, 4], "gamma": 0.2, "warmup_epoch": 1}
    assert_same_rates(build_schedule({**section, "warmup_start_lr": 0.1}, 6, 5), stepped(theirs, 30))


def test_rates_in_plain_numbers():
    """Warm-up of two steps, then half a cosine of four; by hand."""
    lr = build_schedule({"name": "Cosine", "learning_rate": 0.8, "warmup_epoch": 1}, 3, 2)
    angles = np.arange(4) * np.pi / 4
    assert [lr(step) for step in range(6)] == pytest.approx([0.0, 0.4, *(0.4 * (1 + np.cos(angles)))])
    lr = build_schedule({"name": "Step", "learning_rate": 0.8, "step_size": 1, "gamma": 0.5}, 3, 2)
    assert [lr(step) for step in range(6)] == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])
    lr = build_schedule({"name": "ConstLR", "learning_rate": 0.8, "warmup_epoch": 1, "warmup_start_lr": 0.2}, 2, 3)
    assert [lr(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "Step", "step_size": 0.0, "gamma": 0.1}, r"Optimizer\.lr\.step_size: expected a number above 0"),
        ({"name": "Step", "step_size": 0.01, "gamma": 0.1}, r"Optimizer\.lr\.step_size: expected at least one step"),
        ({"name": "MultiStepDecay", "milestones": [4, 2]}, r"Optimizer\.lr\.milestones: expected epochs in rising"),
        ({"name": "Step", "gamma": 0.1}, "Step: .*step_size"),
        ({"name": "ReduceOnPlateau"}, "unknown learning-rate schedule 'ReduceOnPlateau'"),
    ],
)
def test_wrong_schedule(section, message):
    with pytest.raises(UserError, match=message):
        build_schedule({"learning_rate": 0.1, **section}, 10, 5)
