"""Learning rates against Paddle's own schedulers, optimizers against their formulas, losses against plain NumPy."""

import math

import numpy as np
import paddle
import pytest
from paddle.optimizer.lr import CosineAnnealingDecay, LinearWarmup, PiecewiseDecay

from ppcls_lite.data.batch import DetectionTarget, Mixed
from ppcls_lite.train.losses import CELoss, WeightedLosses
from ppcls_lite.train.optimizer import build_optimizer, build_schedule
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


def stepped(scheduler, steps):
    """The rates that a Paddle scheduler gives, step by step."""
    rates = []
    for _ in range(steps):
        rates.append(scheduler())
        scheduler.step()
    return rates


def assert_same_rates(ours, theirs):
    assert max(abs(ours(step) - rate) for step, rate in enumerate(theirs)) < 1e-12


# ---- schedules


SPANS = [(10, 7, 0), (10, 7, 3), (3, 1, 1), (360, 5, 5), (4, 9, 0.5)]


@pytest.mark.parametrize(("epochs", "per_epoch", "warmup"), SPANS)
def test_cosine_with_warmup(epochs, per_epoch, warmup):
    warmup_steps = round(warmup * per_epoch)
    theirs = CosineAnnealingDecay(1.3, T_max=epochs * per_epoch - warmup_steps, eta_min=0.01)
    if warmup:
        theirs = LinearWarmup(theirs, warmup_steps, start_lr=0.1, end_lr=1.3)
    section = {"name": "Cosine", "learning_rate": 1.3, "warmup_epoch": warmup, "warmup_start_lr": 0.1, "eta_min": 0.01}
    assert_same_rates(build_schedule(section, epochs, per_epoch), stepped(theirs, epochs * per_epoch))


@pytest.mark.parametrize("warmup", [0, 2])
def test_piecewise_with_warmup(warmup):
    values = [0.1, 0.01, 0.001]
    theirs = PiecewiseDecay([3 * 5, 6 * 5], values)
    if warmup:
        theirs = LinearWarmup(theirs, warmup * 5, start_lr=0.0, end_lr=0.1)
    section = {
        "name": "Piecewise",
        "learning_rate": 0.1,
        "decay_epochs": [3, 6],
        "values": values,
        "warmup_epoch": warmup,
    }
    assert_same_rates(build_schedule(section, 10, 5), stepped(theirs, 50))


def test_last_epoch_begins_later_as_paddles():
    section = {"name": "Piecewise", "decay_epochs": [3, 6], "values": [0.1, 0.01, 0.001]}  # without learning_rate
    for last in (-1, 0, 4):
        theirs = PiecewiseDecay([3 * 5, 6 * 5], section["values"], last_epoch=last)
        assert_same_rates(build_schedule({**section, "last_epoch": last}, 10, 5), stepped(theirs, 40))
    by_epoch = build_schedule({**section, "last_epoch": 0, "by_epoch": True}, 10, 5)
    assert [by_epoch(step) for step in (0, 9, 10, 24, 25)] == [0.1, 0.1, 0.01, 0.01, 0.001]
    assert_same_rates(build_schedule(section, 10, 5), stepped(PiecewiseDecay([15, 30], section["values"]), 40))
    with pytest.raises(UserError, match=r"Optimizer\.lr\.last_epoch: expected a whole number of at least -1, found -2"):
        build_schedule({**section, "last_epoch": -2}, 10, 5)


def test_the_rate_is_in_the_log_anyway(caplog, monkeypatch):
    monkeypatch.setattr(logger, "propagate", True)
    build_schedule({"learning_rate": 1, "verbose": False}, 1, 1)
    assert not caplog.text
    build_schedule({"learning_rate": 1, "verbose": True}, 1, 1)
    assert "Optimizer.lr.verbose=True is ignored" in caplog.text


def test_by_epoch_changes_between_epochs_only():
    section = {"name": "Cosine", "learning_rate": 1.0, "warmup_epoch": 2, "by_epoch": True}
    rates = [build_schedule(section, 6, 4)(step) for step in range(24)]
    expected = stepped(LinearWarmup(CosineAnnealingDecay(1.0, T_max=4), 2, start_lr=0.0, end_lr=1.0), 6)
    assert np.abs(np.array(rates) - np.repeat(expected, 4)).max() < 1e-12


@pytest.mark.parametrize("epochs", [1, 4, 5])
def test_trial_shorter_than_its_warmup(epochs):
    lr = build_schedule({"name": "Cosine", "learning_rate": 1.0, "warmup_epoch": 5}, epochs, 10)
    assert [lr(step) for step in (0, epochs * 10 - 1)] == [0.0, pytest.approx((epochs * 10 - 1) / 50)]


def test_constant_is_the_default():
    assert build_schedule({"learning_rate": 0.25}, 2, 3)(5) == 0.25


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "Cosine"}, "learning_rate: expected a number"),
        ({"name": "Cosine", "learning_rate": -1}, "learning_rate: expected a number"),
        ({"name": "Cosine", "learning_rate": math.nan}, "learning_rate: expected a number"),
        ({"name": "Cosine", "learning_rate": math.inf}, "learning_rate: expected a number"),
        ({"name": "Cosine", "learning_rate": 1, "warmup_epoch": -1}, "warmup_epoch: expected a number of at least 0"),
        ({"name": "Cosin", "learning_rate": 1}, "unknown learning-rate schedule 'Cosin' .did you mean 'Cosine'"),
        ({"name": "Cosine", "learning_rate": 1, "gamma": 2}, "Cosine: .*gamma"),
        ({"name": "Piecewise", "learning_rate": 1, "decay_epochs": [1, 2], "values": [1]}, "need 3 values, found 1"),
        ({"name": "Piecewise", "learning_rate": 1}, "Piecewise: .*decay_epochs"),
    ],
)
def test_wrong_schedule(section, message):
    with pytest.raises(UserError, match=message):
        build_schedule(section, 10, 5)


# ---- optimizers


def _descend(section, steps=3, rate=0.1):
    """A weight after some steps on the loss sum(weight**2), and the plain values that went in."""
    weight = paddle.create_parameter([3], "float32")
    start = np.array([1.0, -2.0, 0.5], np.float32)
    weight.set_value(start)
    optimizer = build_optimizer(section, [weight])
    for _ in range(steps):
        optimizer.set_lr(rate)
        (weight * weight).sum().backward()
        optimizer.step()
        optimizer.clear_grad()
    return weight.numpy(), start.astype(np.float64)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_with_l2(nesterov):
    section = {"name": "Momentum", "momentum": 0.9, "use_nesterov": nesterov, "lr": {"learning_rate": 9.0}}
    found, weight = _descend({**section, "regularizer": {"name": "L2", "coeff": 0.5}})
    velocity = 0
    for _ in range(3):
        gradient = 2 * weight + 0.5 * weight
        velocity = 0.9 * velocity + gradient
        weight = weight - 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
    assert np.allclose(found, weight, rtol=1e-5)


def test_clip_norm():
    found, weight = _descend({"name": "Momentum", "momentum": 0.0, "clip_norm": 1.0}, steps=1)
    gradient = 2 * weight
    assert np.allclose(found, weight - 0.1 * gradient / np.linalg.norm(gradient), rtol=1e-5)


def test_adam():
    found, weight = _descend({"name": "Adam", "beta1": 0.8, "beta2": 0.9}, steps=1)
    assert np.allclose(found, weight - 0.1 * np.sign(weight), rtol=1e-5)  # the first step is the sign


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "Momentun"}, "unknown optimizer 'Momentun' .did you mean 'Momentum'"),
        ({}, "unknown optimizer 'None'"),
        ({"name": "Momentum", "beta1": 0.9}, "Momentum: .*beta1"),
        ({"name": "Momentum", "regularizer": {"name": "L3", "coeff": 1}}, "expected name L1 or L2"),
        ({"name": "Momentum", "regularizer": {"name": "L2"}}, "expected name L1 or L2 and a coeff"),
    ],
)
def test_wrong_optimizer(section, message):
    with pytest.raises(UserError, match=message):
        build_optimizer(section, [paddle.create_parameter([1], "float32")])


# ---- losses


def _log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _cross_entropy(logits, target, epsilon):
    """Plain NumPy: `target` [N, C] distributions."""
    smooth = (1 - epsilon) * target + epsilon / target.shape[1]
    return -(smooth * _log_softmax(logits)).sum(axis=1).mean()


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)) * 3, rng.integers(0, 4, 6), rng.integers(0, 4, 6)


@pytest.mark.parametrize("epsilon", [None, 0, 0.1, 1.0])
def test_cross_entropy(batch, epsilon):
    logits, labels, _ = batch
    expected = _cross_entropy(logits, np.eye(4)[labels], epsilon or 0)
    tensor, loss = paddle.to_tensor(logits), CELoss(epsilon)
    assert float(loss(tensor, paddle.to_tensor(labels))) == pytest.approx(expected, abs=1e-6)
    soft = paddle.to_tensor(np.eye(4)[labels])
    assert float(loss(tensor, soft)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("epsilon", [None, 0.1])
def test_mixed_labels_are_the_loss_of_mixed_targets(batch, epsilon):
    logits, first, second = batch
    expected = _cross_entropy(logits, 0.3 * np.eye(4)[first] + 0.7 * np.eye(4)[second], epsilon or 0)
    losses = WeightedLosses([{"CELoss": {"weight": 2.0, "epsilon": epsilon}}], "Loss.Train")
    target = Mixed(*map(paddle.to_tensor, (first, second, np.array([0.3]))))
    assert float(losses(paddle.to_tensor(logits), target)) == pytest.approx(2 * expected, abs=1e-6)


def test_weighted_sum(batch):
    logits, labels = paddle.to_tensor(batch[0]), paddle.to_tensor(batch[1])
    both = WeightedLosses([{"CELoss": {"weight": 0.5}}, {"CELoss": {"weight": 2, "epsilon": 0.2}}], "Loss.Train")
    expected = 0.5 * float(CELoss()(logits, labels)) + 2 * float(CELoss(0.2)(logits, labels))
    assert float(both(logits, labels)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (None, "Loss.Train: expected a list of losses"),
        ([], "Loss.Train: expected a list of losses"),
        (["CELoss"], r"Loss.Train\[0\]: expected one loss"),
        ([{"CELos": {}}], r"Loss.Train\[0\]: unknown loss 'CELos' .did you mean 'CELoss'"),
        ([{"CELoss": {"epsilon": 2}}], "CELoss.epsilon: expected a number from 0 to 1, found 2"),
        ([{"CELoss": {"epsilon": "a lot"}}], "CELoss.epsilon: expected a number"),
        ([{"CELoss": {"weight": "two"}}], r"Loss.Train\[0\].CELoss.weight: expected a number"),
        ([{"CELoss": {"wieght": 1}}], "CELoss: .*wieght"),
        ([{"CELoss": 3}], r"Loss.Train\[0\]: .*mapping of options, found 3"),
    ],
)
def test_wrong_losses(items, message):
    with pytest.raises(UserError, match=message):
        WeightedLosses(items, "Loss.Train")


def test_the_target_of_a_detector_is_not_for_a_classifiers_loss(batch):
    target = DetectionTarget(*[paddle.zeros([2, 2])] * len(DetectionTarget._fields))
    with pytest.raises(UserError, match="CELoss: needs one label per image, found the boxes of a detection set"):
        CELoss()(paddle.to_tensor(batch[0]), target)
