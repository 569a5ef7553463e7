"""The moving average of the weights: its arithmetic, what is evaluated and saved, and resuming."""

import copy
import errno
import subprocess
import sys
from contextlib import suppress

import numpy as np
import paddle
import pytest

from ppcls_lite.train import checkpoint, loop
from ppcls_lite.train.checkpoint import load_checkpoint, save_checkpoint
from ppcls_lite.train.ema import Ema, build_ema
from ppcls_lite.train.history import read_history
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from tests.helpers.checkpoints import alone
from tests.helpers.scripts import LIMIT, ROOT, with_library
from tests.train.test_resume import assert_same_checkpoint


def _network():
    with paddle.utils.unique_name.guard():
        return paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4), paddle.nn.Linear(4, 2))


def _state(model):
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def _randomise(model, rng):
    for tensor in model.state_dict().values():
        tensor.set_value(rng.normal(size=tensor.shape).astype(np.float32))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 1.0])
def test_averages_are_those_of_the_formula(decay):
    rng, model = np.random.default_rng(0), _network()
    ema = Ema(model, decay)
    expected = {name: value.astype(np.float64) for name, value in _state(model).items()}
    for _ in range(5):
        _randomise(model, rng)
        ema.update()
        for name, value in _state(model).items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    assert len(ema.averages) == 8  # BatchNorm's statistics too
    for name, value in expected.items():
        assert np.allclose(ema.averages[name].numpy(), value, rtol=1e-5, atol=1e-6), name


def test_the_average_does_not_follow_the_network_by_itself():
    model = _network()
    ema = Ema(model)
    assert ema.decay == 0.9999
    before = {name: value.numpy() for name, value in ema.averages.items()}
    _randomise(model, np.random.default_rng(1))
    assert all((ema.averages[name].numpy() == value).all() for name, value in before.items())


def test_in_use_and_back_again():
    model = _network()
    ema = Ema(model, 0.9)
    _randomise(model, np.random.default_rng(2))
    own = _state(model)
    with suppress(KeyError), ema.in_use():
        inside = _state(model)
        raise KeyError
    assert all((inside[name] == ema.averages[name].numpy()).all() for name in own)
    assert any((inside[name] != own[name]).any() for name in own)
    assert all(value.tobytes() == own[name].tobytes() for name, value in _state(model).items())
    assert not model[0].weight.stop_gradient


def test_whole_numbers_are_copied():
    model = _network()
    model.register_buffer("seen", paddle.to_tensor([3]))
    ema = build_ema({"decay": 0.5}, model)
    model.seen.set_value(np.array([8]))
    ema.update()
    assert ema.averages["seen"].numpy().tolist() == [8]


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan"), "x", True])
def test_wrong_decay(decay):
    with pytest.raises(UserError, match=r"EMA\.decay: expected a number"):
        Ema(_network(), decay)


def test_without_a_section_there_is_none():
    assert build_ema(None, _network()) is None
    assert build_ema({}, _network()).decay == 0.9999


PROCESS = """
import numpy as np, paddle
from ppcls_lite.train.ema import Ema
from tests.train.test_ema import _network
paddle.distributed.init_parallel_env()
rank = paddle.distributed.get_rank()
paddle.seed(3)
model = _network()
ema = Ema(model, 0.5)
model[1]._mean.set_value(np.full([4], rank + 1.0, np.float32))
ema.update()
before = ema.averages["0.weight"].numpy()
ema.share()
assert (ema.averages["0.weight"].numpy() == before).all()
print("statistics of", rank, ema.averages["1._mean"].numpy().tolist(), ema.averages["1._variance"].numpy().tolist())
"""


def test_processes_share_the_statistics(tmp_path):
    (tmp_path / "share.py").write_text(PROCESS)
    command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend", "gloo"]
    done = subprocess.run(
        [*command, "--log_dir", str(tmp_path / "launch"), str(tmp_path / "share.py")],
        cwd=ROOT,
        env=with_library(),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    logs = "".join(path.read_text() for path in sorted((tmp_path / "launch").glob("workerlog.*")))
    assert done.returncode == 0, done.stdout + logs
    for rank in (0, 1):  # 0.5 * 0 + 0.5 * (rank + 1), and then the mean of 0.5 and 1
        assert f"statistics of {rank} {[0.75] * 4} {[1.0] * 4}" in logs


# ---- trainings


@pytest.fixture
def averaged(config):
    config["EMA"] = {"decay": 0.8}
    config["Optimizer"]["lr"]["learning_rate"] = 0.001
    return config


def test_the_average_is_evaluated_and_saved(averaged, tmp_path):
    loop.train(averaged)
    averages, own = load_arrays(tmp_path / "out/latest"), load_arrays(tmp_path / "out/latest", ".pdema")
    assert list(averages) == list(own)
    assert any((averages[name] != own[name]).any() for name in own)
    said = [event for event in read_history(tmp_path / "out/history.jsonl") if event["event"] == "eval"]
    averaged["Global"]["pretrained_model"] = str(tmp_path / "out/latest")
    results = loop.evaluate(averaged)
    assert results["loss"] == said[-1]["loss"]
    assert results["top1"] == said[-1]["top1"]
    averaged["Global"]["pretrained_model"] = str(tmp_path / "own")
    paddle.save({name: paddle.to_tensor(value) for name, value in own.items()}, str(tmp_path / "own.pdparams"))
    assert loop.evaluate(averaged)["loss"] != results["loss"]
    log = (tmp_path / "out/log_train.txt").read_text()
    assert log.count("[Eval without EMA][Epoch") == 4


def test_own_weights_are_those_of_a_training_without_an_average(averaged, tmp_path):
    loop.train(averaged)
    own = load_arrays(tmp_path / "out/latest", ".pdema")
    plain = {**averaged, "Global": {**averaged["Global"], "output_dir": str(tmp_path / "plain")}}
    del plain["EMA"]
    loop.train(plain)
    found = load_arrays(tmp_path / "plain/latest")
    assert all(found[name].tobytes() == own[name].tobytes() for name in own)


@pytest.mark.parametrize("forgotten", [False, True])
def test_resumed_run_ends_with_the_same_bits(averaged, tmp_path, monkeypatch, forgotten):
    """Together with all else that a recipe may have: accumulation, AdamW, names without decay, clipping."""
    averaged["Global"].update(update_freq=3)
    averaged["Optimizer"] = {
        "name": "AdamW",
        "weight_decay": 0.05,
        "no_weight_decay_name": "bn .bias",
        "one_dim_param_no_weight_decay": True,
        "clip_norm": 1.0,
        "lr": {"name": "Linear", "learning_rate": 0.001, "end_lr": 1e-5},
    }
    loop.train(averaged)
    resumed = copy.deepcopy(averaged)
    resumed["Global"].update(checkpoints=str(tmp_path / "out/epoch_2"), output_dir=str(tmp_path / "resumed"))
    if forgotten:
        monkeypatch.setattr(Ema, "load", lambda *anything: None)
    loop.train(resumed)
    if forgotten:
        with pytest.raises(AssertionError, match="pdparams"):
            assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")
        return
    assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")
    one, two = (load_arrays(tmp_path / name / "latest", ".pdema") for name in ("out", "resumed"))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)


def _training():
    model = _network()
    return model, alone(paddle.optimizer.SGD(parameters=model.parameters()), model)


@pytest.mark.parametrize("links", range(5))
def test_a_disk_that_is_full_after_a_checkpoint_has_become_current_loses_none(tmp_path, monkeypatch, links):
    """The links to the four files are made one by one, after the folder is current."""
    model, optimizer = _training()
    point, made = checkpoint._point, []

    def until_full(link, target):
        if len(made) > links:
            raise OSError(errno.ENOSPC, "No space left on device")
        point(link, target)
        made.append(link.name)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_point", until_full)
        with suppress(UserError):
            save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1}, Ema(model))
    assert made[:3] == ["latest", "latest.pdema", "latest.pdparams"][: links + 1]
    assert all((tmp_path / name).exists() for name in made[1:])
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 2}, Ema(model))
    assert load_checkpoint(tmp_path / "latest", model, optimizer, Ema(model))["epoch"] == 2


def test_a_checkpoint_of_the_other_kind_is_refused(tmp_path):
    model, optimizer = _training()
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 1}, Ema(model))
    assert (tmp_path / "latest.pdema").is_file()
    with pytest.raises(UserError, match=r"EMA: .*latest was begun with EMA, and this config has none"):
        load_checkpoint(tmp_path / "latest", model, optimizer)
    load_checkpoint(tmp_path / "latest", model, optimizer, Ema(model))
    save_checkpoint(tmp_path, "latest", model, optimizer, {"epoch": 2})
    assert not (tmp_path / "latest.pdema").is_symlink()
    with pytest.raises(UserError, match=r"EMA: .*latest was begun without EMA: there is no .*latest.pdema"):
        load_checkpoint(tmp_path / "latest", model, optimizer, Ema(model))
    load_checkpoint(tmp_path / "latest", model, optimizer)
