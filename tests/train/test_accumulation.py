"""Gradient accumulation: which batches make one update, and that it is the update of one large batch."""

import copy

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import from_config
from ppcls_lite.train import accumulation, loop
from ppcls_lite.train.accumulation import Accumulation
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays


class Loader:
    """As many batches of as many images as a test needs."""

    def __init__(self, images, batch_size, drop_last=False):
        self.images, self.batch_size, self.batch_sampler = images, batch_size, self
        self.count = images // batch_size if drop_last else -(-images // batch_size)

    def indices(self):
        return list(range(self.images))

    def __len__(self):
        return self.count


@pytest.mark.parametrize(
    ("iterations", "freq", "due"),
    [(6, 1, [0, 1, 2, 3, 4, 5]), (6, 2, [1, 3, 5]), (7, 3, [2, 5, 6]), (2, 5, [1]), (1, 1, [0])],
)
def test_updates_of_an_epoch(iterations, freq, due):
    updates = Accumulation(freq, Loader(iterations, 1))
    assert [step for step in range(iterations) if updates.is_due(step)] == due
    assert updates.per_epoch == len(due)
    numbers = [updates.number(step) for step in range(iterations)]
    assert numbers == [sum(last < step for last in due) for step in range(iterations)]


@pytest.mark.parametrize("drop_last", [False, True])
def test_shares_are_those_of_the_images(drop_last):
    updates = Accumulation(3, Loader(27, 4, drop_last))
    shares = [updates.share(step) for step in range(6 if drop_last else 7)]
    assert shares == pytest.approx([1 / 3] * 6 + ([] if drop_last else [1.0]))
    updates = Accumulation(2, Loader(14, 4, drop_last))
    last = [1.0] if drop_last else [4 / 6, 2 / 6]
    assert [updates.share(step) for step in range(len(last) + 2)] == pytest.approx([0.5, 0.5, *last])


@pytest.mark.parametrize("freq", [0, -1, True, 1.5, "2"])
def test_wrong_frequencies(freq):
    with pytest.raises(UserError, match=r"Global\.update_freq: expected a whole number of at least 1"):
        Accumulation(freq, Loader(4, 1))


def test_more_than_an_epoch_has(monkeypatch):
    said = []
    monkeypatch.setattr(accumulation.logger, "warning", said.append)
    assert Accumulation(9, Loader(4, 1)).freq == 4
    assert said == ["Global.update_freq is 9, and an epoch has 4 iterations: one update for all"]


class WithoutNorm(paddle.nn.Layer):
    """A small network without BatchNorm, whose output for an image depends on that image alone."""

    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 8, 3, stride=2)
        self.fc = paddle.nn.Linear(8, 3)

    def forward(self, images):
        return self.fc(paddle.nn.functional.relu(self.conv(images)).mean(axis=[2, 3]))


@pytest.fixture
def trained(config, tmp_path, monkeypatch):
    """`trained(batch_size, update_freq)`: the weights after two epochs of 15 images, and the rate of each update."""
    config["Optimizer"]["lr"]["learning_rate"] = 0.1
    config["Global"]["epochs"] = 2
    monkeypatch.setattr(from_config, "build_model", lambda **options: WithoutNorm())

    def train(batch_size, update_freq):
        own, rates = copy.deepcopy(config), []
        own["Global"].update(update_freq=update_freq, output_dir=str(tmp_path / f"{batch_size}x{update_freq}"))
        own["DataLoader"]["Train"]["sampler"]["batch_size"] = batch_size
        update = loop.Precision.update
        with monkeypatch.context() as patch, paddle.utils.unique_name.guard():
            patch.setattr(
                loop.Precision,
                "update",
                lambda self, optimizer: rates.append(optimizer.get_lr()) or update(self, optimizer),
            )
            loop.train(own)
        return load_arrays(own["Global"]["output_dir"] + "/latest"), rates

    return train


def _difference(one, two):
    return max(np.abs(one[name] - two[name]).max() for name in one)


def test_two_batches_are_one_of_twice_the_size(trained):
    large, rates = trained(4, 1)
    small, same_rates = trained(2, 2)
    assert _difference(large, small) < 1e-6
    assert rates == same_rates
    assert len(rates) == 8
    assert len(set(rates)) > 4


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_wrong_shares_would_be_seen(trained, monkeypatch, share):
    """0.5 is right for all updates but the last, whose second batch has one image."""
    large, _ = trained(4, 1)
    monkeypatch.setattr(Accumulation, "share", lambda self, step: share)
    small, _ = trained(2, 2)
    assert _difference(large, small) > 1e-5
