"""Several processes train as one does with their images together, and whatever sets them apart is an error."""

import signal
import time

import numpy as np
import paddle
import pytest

from ppcls_lite.arch.from_config import build_network
from ppcls_lite.data.sampler import EpochBatchSampler
from ppcls_lite.train import evaluate, loop
from ppcls_lite.train.history import read_history
from ppcls_lite.train.setup import synchronise_batch_norm
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from tests.helpers.ranks import run_ranks, start_ranks
from tests.helpers.scripts import LIMIT
from train_log import read_train_log


def figures_of(folder):
    """(loss, top1) of every line of a training and of every evaluation, in their order."""
    return [(event["loss"], event["top1"]) for event in read_history(folder / "history.jsonl") if "loss" in event]


def test_two_processes_train_as_one_does_with_twice_the_batch(plain, write_config, script, tmp_path):
    """14 images: two steps of 6 and one of 2, so that the last batch of each process is short."""
    both = run_ranks(script, write_config(plain), "none")
    assert [outcome.status for outcome in both] == [0, 0], both
    plain["Global"]["output_dir"] = str(tmp_path / "alone")
    plain["DataLoader"]["Train"]["sampler"]["batch_size"] = 6
    (alone,) = run_ranks(script, write_config(plain, "alone.yaml"), "none", world=1)
    assert alone.status == 0, alone
    first, second = (dict(np.load(tmp_path / f"out/end{rank}.npz")) for rank in (0, 1))
    single = dict(np.load(tmp_path / "alone/end0.npz"))
    for name, array in single.items():
        assert np.array_equal(first[name], second[name]), name
        np.testing.assert_allclose(first[name], array, rtol=0, atol=1e-5, err_msg=name)
    assert np.abs(single["0.weight"] - load_arrays(tmp_path / "alone/best_model")["0.weight"]).max() < 1
    # a line has the loss and the accuracy of the images of both
    mine, expected = (figures_of(tmp_path / name) for name in ("out", "alone"))
    assert len(mine) == 8
    np.testing.assert_allclose(mine, expected, atol=1e-5)
    # images per step are those of one process, the certification's "per card"
    samples = [event.get("avg_samples") for event in read_history(tmp_path / "out/history.jsonl")]
    assert [number for number in samples if number] == [3, 3, 1] * 2
    # one log each, and everything else once
    left = sorted(path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith((".", "end")))
    names = ["best_model", "epoch_2", "latest"]
    files = [f"{name}{suffix}" for name in names for suffix in (".pdopt", ".pdparams", ".pdstates")]
    assert left == sorted([*files, "history.jsonl", "log_train.txt", "log_train_rank1.txt"])
    logs = [read_train_log(tmp_path / "out" / name) for name in ("log_train.txt", "log_train_rank1.txt")]
    losses = [[point.loss for point in log.train] for log in logs]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)  # the first from its history, with all digits
    assert both[1].out == ""
    # a training with fewer processes leaves no log of another one
    assert not (tmp_path / "alone/log_train_rank1.txt").exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("other weights", "the processes do not have the same weights before the first step: "),
        ("gradients of its own", "the processes do not have the same weights after epoch 1: "),
        ("a shorter list", "the processes do not train the same: iterations per epoch is 3 on process 0 and 2 on"),
    ],
)
def test_processes_that_would_go_different_ways(plain, write_config, script, tiny_data, tmp_path, fault, message):
    shorter = tmp_path / "shorter.txt"
    shorter.write_text("".join((tiny_data / "train_list.txt").read_text().splitlines(keepends=True)[:8]))
    for outcome in run_ranks(script, write_config(plain), fault, shorter):
        assert outcome.status == 1, outcome
        assert f"error: {message}" in outcome.err
        assert "Traceback" not in outcome.err


def test_every_process_judges_the_network_that_is_saved(config, write_config, script, tmp_path, capsys):
    """Batch normalisation: each process has statistics of its own images, until they are averaged."""
    config["Global"].update(epochs=1)
    config["Arch"]["use_sync_bn"] = True  # Paddle has no kernel of it for CPUs
    config["Optimizer"]["lr"].update(warmup_epoch=0)
    trained = run_ranks(script, write_config(config), "none")
    assert [outcome.status for outcome in trained] == [0, 0], trained
    assert "Arch.use_sync_bn: Paddle has it for GPUs only" in trained[0].out
    first, second = (dict(np.load(tmp_path / f"out/end{rank}.npz")) for rank in (0, 1))
    saved = load_arrays(tmp_path / "out/best_model")
    statistics = [name for name in saved if name.endswith(("_mean", "_variance"))]
    assert statistics
    assert all(np.array_equal(first[name], second[name]) and np.array_equal(first[name], saved[name]) for name in saved)
    # with the weights as they are saved, one process finds the figures of the log
    logged = next(event for event in read_history(tmp_path / "out/history.jsonl") if event["event"] == "eval")
    config["Global"]["pretrained_model"] = str(tmp_path / "out/best_model")
    capsys.readouterr()
    results = loop.evaluate(config)
    assert "use_sync_bn" not in capsys.readouterr().out  # one process has nothing to synchronise
    assert {name: logged[name] for name in results} == pytest.approx(results, abs=1e-6)
    outcomes = run_ranks(script, write_config(config), "statistics of its own")
    assert all("the processes do not have the same weights after epoch 1" in outcome.err for outcome in outcomes)


def test_a_killed_process_ends_the_others(plain, write_config, script, tiny_data, tmp_path):
    """In the middle of an epoch, which is long enough for that."""
    train = plain["DataLoader"]["Train"]["dataset"]
    train["cls_label_path"] = str(tmp_path / "long.txt")
    (tmp_path / "long.txt").write_text((tiny_data / "train_list.txt").read_text() * 10000)
    processes = start_ranks(script, write_config(plain), "none")
    history = tmp_path / "out/history.jsonl"
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and not (history.exists() and history.read_text().count('"event": "train"') > 3):
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGKILL)
    _, text = processes[0].communicate(timeout=LIMIT)
    processes[1].communicate()
    if processes[0].returncode == -signal.SIGABRT:  # a thread of gloo noticed first, and ends the process
        assert "gloo::IoException" in text
    else:
        assert processes[0].returncode == 1, text
        assert "error: the connection to another process is lost" in text
        assert "Traceback" not in text


# ---- shards


def shards(size, world, pad, batch_size=2, epoch=1, sampler=EpochBatchSampler):
    ranks = [sampler(size, batch_size, shuffle=True, seed=3, rank=r, world_size=world, pad=pad) for r in range(world)]
    for rank in ranks:
        rank.set_epoch(epoch)
    return [[[index for _, index in batch] for batch in rank] for rank in ranks]


def assert_shards(size, world, pad, **options):
    found = shards(size, world, pad, **options)
    seen = [index for rank in found for batch in rank for index in batch]
    assert set(seen) == set(range(size))
    extra = -size % world if pad else 0
    assert len(seen) == size + extra  # each once, but for the padding
    single = shards(size, 1, False, batch_size=2 * world if pad else 2)[0]
    if pad:  # the ranks' batches of one step are together one batch of one process
        assert len({len(rank) for rank in found}) == 1
        steps = [sorted(index for batch in step for index in batch) for step in zip(*found)]
        if not extra:
            assert steps == [sorted(batch) for batch in single]
    else:  # the batches are those of one process
        assert sorted(batch for rank in found for batch in rank) == sorted(single)


class Overlapping(EpochBatchSampler):
    """The fault: the ranks shuffle differently, and some images come twice, others never."""

    def indices(self):
        order = np.random.default_rng([self.seed, self.epoch, self.rank]).permutation(self.size)
        return order[self.rank :: self.world_size].tolist()


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize(("size", "world"), [(14, 2), (13, 2), (7, 3), (12, 4), (2, 3)])
def test_shards_do_not_overlap(size, world, pad):
    assert_shards(size, world, pad)


def test_overlapping_shards_are_seen():
    with pytest.raises(AssertionError):
        assert_shards(14, 2, True, sampler=Overlapping)


def test_an_evaluation_that_counts_padded_images(config, monkeypatch):
    """7 images on 2 processes: an evaluation that is filled up to 8 is refused, whatever the accuracy."""
    monkeypatch.setattr(evaluate, "sum_over_processes", lambda array: np.add(array, [4, 4]))  # of the other process
    loader = loop.build_loader(config["DataLoader"]["Eval"], "Eval", 0, rank=0, world_size=2)
    evaluator = evaluate.Evaluator(config, loader)
    model = build_network(config)
    with pytest.raises(UserError, match="8 images were evaluated, and its list has 7"):
        evaluator.run(model)


def test_batch_norm_is_converted_for_gpus():
    model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 1), paddle.nn.BatchNorm2D(4))
    names = list(model.state_dict())
    converted = synchronise_batch_norm(model, 2, "gpu:0")
    assert isinstance(converted[1], paddle.nn.SyncBatchNorm)
    assert list(converted.state_dict()) == names


def test_a_resumed_training_ends_with_the_same_weights(config, write_config, script, tmp_path):
    """Bit by bit, running statistics too: from epoch 2 of 4, as after an interruption."""
    trained = run_ranks(script, write_config(config), "none")
    assert [outcome.status for outcome in trained] == [0, 0], trained
    whole = dict(np.load(tmp_path / "out/end0.npz"))
    config["Global"].update(checkpoints=str(tmp_path / "out/epoch_2"), output_dir=str(tmp_path / "again"))
    resumed = run_ranks(script, write_config(config), "none")
    assert [outcome.status for outcome in resumed] == [0, 0], resumed
    for rank in (0, 1):
        again = dict(np.load(tmp_path / f"again/end{rank}.npz"))
        assert all(np.array_equal(again[name], whole[name]) for name in whole)
    assert "epochs 3 to 4" in (tmp_path / "again/log_train_rank1.txt").read_text()


WAIT = """
import sys, time
import numpy as np
from ppcls_lite.train.processes import sum_over_processes, wait_for_all
from ppcls_lite.train.setup import start_processes
from ppcls_lite.utils.errors import run_main
rank, _ = start_processes()
def main():
    if rank == 1:
        time.sleep(float(sys.argv[1]))
    wait_for_all(patience=float(sys.argv[2]))
    print("met", sum_over_processes(np.ones(1)))
run_main(main)
"""


def test_a_process_that_comes_late(tmp_path):
    """Longer than gloo's 30 seconds it may take, but not for ever."""
    (tmp_path / "wait.py").write_text(WAIT)
    assert [outcome.out.splitlines()[-1:] for outcome in run_ranks(tmp_path / "wait.py", 1, 60)] == [["met [2.]"]] * 2
    first, _ = run_ranks(tmp_path / "wait.py", 3, 0.5)
    assert first.status == 1
    assert "error: only 1 of 2 processes have come so far in 0.5 seconds" in first.err
