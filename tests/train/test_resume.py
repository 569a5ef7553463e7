"""Resuming: a resumed run ends with the same bits, whatever ended the first one."""

import copy
import os
import signal
import subprocess
import sys
import time

import paddle
import pytest

from ppcls_lite.train import loop, task
from ppcls_lite.utils.safe_load import load_plain
from tests.helpers.checkpoints import assert_same_checkpoint
from tests.helpers.scripts import ROOT, run_process


class Stopped(BaseException):
    """Ends a training in the middle of an epoch, as a kill does."""


def stop_in_epoch(monkeypatch, epoch):
    done = loop.Progress.step_done

    def step_done(self, at, step, *more):
        if (at, step) == (epoch, 1):
            raise Stopped
        done(self, at, step, *more)

    monkeypatch.setattr(loop.Progress, "step_done", step_done)


MIXED = [{"OpSampler": {"MixupOperator": {"alpha": 0.8, "prob": 0.5}, "CutmixOperator": {"alpha": 1.0, "prob": 0.3}}}]


@pytest.mark.parametrize(
    ("workers", "batch_ops", "seed"),
    [(0, None, 5), (2, None, 5), (0, MIXED, 5), (2, MIXED, None)],
    ids=["no worker", "two workers", "mixed", "mixed, two workers, drawn seed"],
)
def test_resumed_run_ends_with_the_same_bits(config, tmp_path, monkeypatch, workers, batch_ops, seed):
    # the loader starts no workers on a small machine: let it believe in a larger one
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    config["DataLoader"]["Train"]["loader"]["num_workers"] = workers
    config["Global"]["seed"] = seed
    # so small a network and batch end in a loss of nan with 0.001 and one seed in thousands
    config["Optimizer"]["lr"]["learning_rate"] = 0.0001
    if batch_ops:
        config["DataLoader"]["Train"]["dataset"]["batch_transform_ops"] = batch_ops
    stopped = copy.deepcopy(config)
    stopped["Global"]["output_dir"] = str(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        stop_in_epoch(patch, 3)
        with pytest.raises(Stopped):
            loop.train(stopped)
    if seed is None:  # the uninterrupted run gets the seed that the stopped one drew
        config["Global"]["seed"] = load_plain(tmp_path / "stopped/latest.pdstates")["seed"]
    stopped["Global"]["checkpoints"] = str(tmp_path / "stopped/latest")
    loop.train(stopped)
    loop.train(config)
    assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "stopped/latest")
    assert_same_checkpoint(tmp_path / "out/best_model", tmp_path / "stopped/best_model")


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_kill_between_the_checkpoints_of_an_epoch_leaves_none_out(config, tmp_path, monkeypatch, written):
    """`latest` tells where the training goes on: written first, it would have the other two forgotten."""
    config["Global"].update(save_interval=1)
    config["Optimizer"]["lr"]["learning_rate"] = 0.0001
    best_at_2 = {2: {"loss": 1.0, "top1": 1.0}}
    monkeypatch.setattr(loop.Trainer, "_evaluate", lambda self, epoch: best_at_2.get(epoch, {"loss": 2.0, "top1": 0.5}))
    stopped = copy.deepcopy(config)
    stopped["Global"]["output_dir"] = str(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        done, save = [], loop.save_checkpoint

        def save_checkpoint(output_dir, name, *more):
            if more[2]["epoch"] == 2:
                if len(done) == written:
                    raise Stopped
                done.append(name)
            save(output_dir, name, *more)

        patch.setattr(loop, "save_checkpoint", save_checkpoint)
        with pytest.raises(Stopped):
            loop.train(stopped)
    stopped["Global"]["checkpoints"] = str(tmp_path / "stopped/latest")
    loop.train(stopped)
    loop.train(config)
    for name in ("latest", "best_model", "epoch_2"):
        assert_same_checkpoint(tmp_path / f"out/{name}", tmp_path / f"stopped/{name}")


@pytest.mark.parametrize("forgotten", ["seeds", "moments"])
def test_a_forgetful_resume_would_be_seen(config, tmp_path, monkeypatch, forgotten):
    loop.train(config)
    config["Global"]["checkpoints"] = str(tmp_path / "out/epoch_2")
    config["Global"]["output_dir"] = str(tmp_path / "resumed")
    if forgotten == "seeds":
        monkeypatch.setattr(loop, "seed_epoch", lambda *anything: None)
    else:
        monkeypatch.setattr(paddle.optimizer.Momentum, "set_state_dict", lambda self, state: None)
    loop.train(config)
    with pytest.raises(AssertionError, match="pdparams"):
        assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")


def test_killed_process_resumes(config, write_config, tmp_path):
    """The real thing: `kill -9` of tools/train.py between two lines of its log, then -o Global.checkpoints."""
    config["Global"]["epochs"] = 6
    path = write_config(config)
    killed = tmp_path / "killed"
    command = [sys.executable, str(ROOT / "tools/train.py"), "-c", str(path), "-o", f"Global.output_dir={killed}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for line in process.stdout:
            if "[Train][Epoch 4/6][Iter: 2/4]" in line:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    before = (killed / "log_train.txt").read_text()
    outcome = run_process("tools/train.py", *command[2:], "-o", f"Global.checkpoints={killed}/latest")
    assert outcome.status == 0, outcome.err
    after = (killed / "log_train.txt").read_text()
    assert after.startswith(before)
    assert "resumed from" in after[len(before) :]
    loop.train(config)
    assert_same_checkpoint(tmp_path / "out/latest", killed / "latest")
    # nothing is left to train, which is not a fault and changes nothing
    config["Global"]["checkpoints"] = str(killed / "latest")
    stamp = (killed / "latest.pdparams").stat().st_mtime_ns
    time.sleep(0.01)
    loop.train(config)
    assert (killed / "latest.pdparams").stat().st_mtime_ns == stamp


def test_seed_of_the_checkpoint_goes_on(config, tmp_path):
    config["Global"].update(epochs=1)
    loop.train(config)
    config["Global"].update(epochs=2, seed=99, checkpoints=str(tmp_path / "out/latest"))
    loop.train(config)
    assert "Global.seed is ignored" in (tmp_path / "out/log_train.txt").read_text()
    assert load_plain(tmp_path / "out/latest.pdstates")["seed"] == 5


def test_loaders_are_built_once_with_the_seed_of_the_checkpoint(config, tmp_path, monkeypatch):
    config["Global"].update(epochs=1)
    loop.train(config)
    built, build = [], loop.build_loader
    for module in (loop, task):
        monkeypatch.setattr(module, "build_loader", lambda *given: built.append(given[1:3]) or build(*given))
    for seed in (99, None):
        built.clear()
        config["Global"].update(epochs=2, seed=seed, checkpoints=str(tmp_path / "out/latest"))
        trainer = loop.Trainer(config, "cpu")
        assert built == [("Train", 5), ("Eval", 5)]
        assert (trainer.seed, trainer.done) == (5, 1)
