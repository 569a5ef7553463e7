"""history.jsonl: the events of a training, after a resume, a kill and on a full disk; its reader."""

import json
import re

import pytest

from ppcls_lite.train import loop
from ppcls_lite.train.history import History, last_start, read_history
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.machine import describe_processor
from tests.helpers.scripts import assert_one_line
from train_log import read_train_log


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def test_history_says_what_the_log_says(config, tmp_path, monkeypatch):
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "5")
    loop.train(config)
    events = read_history(tmp_path / "out/history.jsonl")
    log = (tmp_path / "out/log_train.txt").read_text().splitlines()
    assert [event["event"] for event in events] == ["start", *["train", "train", "eval"] * 4, "end"]
    start = events[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", start.pop("time"))
    assert start.pop("paddle")
    assert start.pop("processor") == describe_processor()
    assert describe_processor().endswith(", MKL_DEBUG_CPU_TYPE=5")
    assert log[0].endswith(f"INFO: processor: {describe_processor()}")
    assert start == {
        "event": "start",
        "model": config["Arch"]["name"],
        "epochs": 4,
        "first_epoch": 1,
        "iterations": 4,
        "images": 14,
        "batch_size": 4,
        "world_size": 1,
        "seed": 5,
        "device": "cpu",
        "precision": "FP32",
    }
    shown = [line for line in log if "[Train]" in line]
    for event, line in zip(of_kind(events, "train"), shown):
        assert f"[Epoch {event['epoch']}/4][Iter: {event['iteration']}/4] lr: {event['lr']:.8f}, " in line
        for key in ("top1", "top5", "loss", "avg_reader_cost", "avg_batch_cost", "avg_ips"):
            assert f"{key}: {event[key]:.5f}" in line
        assert f"avg_samples: {event['avg_samples']:.5g}" in line
    evals = of_kind(events, "eval")
    assert [event["top1"] for event in evals] == [p.figures["top1"] for p in read_train_log(tmp_path / "out").evals]
    # the sentences have the same, rounded
    sentences = read_train_log((tmp_path / "out/log_train.txt").rename(tmp_path / "alone.txt"))
    assert [round(event["top1"], 5) for event in evals] == [p.figures["top1"] for p in sentences.evals]
    assert events[-1]["best"]["top1"] == max(event["top1"] for event in of_kind(events, "eval"))


def test_parts_of_a_detectors_loss_are_in_it(det_config, tmp_path):
    det_config["Global"]["epochs"] = 2
    loop.train(det_config)
    events = read_history(tmp_path / "out/history.jsonl")
    assert {"HeatmapFocalLoss", "SizeL1Loss", "OffsetL1Loss", "loss"} <= set(of_kind(events, "train")[0])
    assert {"AP", "AP50", "best"} <= set(of_kind(events, "eval")[0])


def test_a_resumed_training_appends(config, tmp_path):
    config["Global"]["epochs"] = 2
    loop.train(config)
    path = tmp_path / "out/history.jsonl"
    before = path.read_text()
    path.write_text(before + '{"event": "train", "epo')  # as a kill leaves it
    config["Global"].update(epochs=3, seed=8, checkpoints=str(tmp_path / "out/latest"))
    loop.train(config)
    assert path.read_text().startswith(before)
    starts = of_kind(read_history(path), "start")
    assert [(start["first_epoch"], start["epochs"], start["seed"]) for start in starts] == [(1, 2, 5), (3, 3, 5)]
    assert last_start(path) == starts[-1]
    del config["Global"]["checkpoints"]
    loop.train(config)  # a new training begins a new history
    assert len(of_kind(read_history(path), "start")) == 1


def test_a_full_disk_is_one_line(config, write_config, run_here, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/history.jsonl").symlink_to("/dev/full")
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert_one_line(outcome, "out/history.jsonl: cannot be written (No space left on device)")


def test_a_folder_in_its_place_is_one_line(tmp_path):
    (tmp_path / "history.jsonl").mkdir()
    with pytest.raises(UserError, match=r"history.jsonl: cannot be written \(Is a directory\)"):
        History(tmp_path / "history.jsonl")


def test_every_line_is_there_at_once_and_plain_json(tmp_path):
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        history.add("eval", epoch=1, loss=float("nan"))
        assert json.loads(path.read_text()) == {"event": "eval", "epoch": 1, "loss": None}
        history.add("end", best={"AP": float("inf"), "loss": 1.5})
    assert read_history(path)[1] == {"event": "end", "best": {"AP": None, "loss": 1.5}}
    assert len(read_history(path)) == 2


def test_a_process_above_rank_0_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with History() as history:
        history.add("start")
    assert list(tmp_path.iterdir()) == []


START = {"event": "start", "epochs": 1, "images": 3, "batch_size": 2, "world_size": 1, "seed": 0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such history of a training"),
        ("", "expected an event 'start', found none"),
        ('{"event": "end"}\n', "expected an event 'start', found none"),
        ("{]\n", ":1: expected a JSON object with an event"),
        ('{"event": "end"}\n[1]\n', ":2: expected a JSON object with an event"),
        (json.dumps({**START, "seed": "x"}) + "\n", "start.seed: expected a whole number, found 'x'"),
        (json.dumps({**START, "seed": True}) + "\n", "start.seed: expected a whole number, found True"),
    ],
)
def test_faults_of_a_history_are_named(tmp_path, content, message):
    path = tmp_path / "history.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        last_start(path)
