"""`Global.use_visualdl`: the package's own reader finds the figures of the training; without the package, one line."""

import builtins
import sys

import pytest

from ppcls_lite.train import scalars
from ppcls_lite.train.history import read_history
from tests.helpers.scripts import assert_one_line


def points(folder):
    """{tag: [(step, value)]} of what VisualDL reads in the folder."""
    from visualdl import LogReader

    (file,) = folder.iterdir()
    reader = LogReader(file_path=str(file))
    tags = reader.get_tags()["scalar"]
    return {tag: [(point.id, point.value) for point in reader.get_data("scalar", tag)] for tag in tags}


@pytest.fixture
def trained(config, write_config, run_here, tmp_path):
    """`trained(*options)` trains two epochs of four iterations, each of them logged; returns how it ended."""
    pytest.importorskip("visualdl", reason="the package visualdl is not installed")
    config["Global"].update(epochs=2, print_batch_step=1, use_visualdl=True, save_interval=1)
    path = write_config(config)
    return lambda *options: run_here("tools/train.py", "-c", path, *options)


def test_visualdl_gets_every_figure_of_the_history(trained, tmp_path):
    outcome = trained()
    assert outcome.status == 0, outcome
    found = points(tmp_path / "out" / scalars.FOLDER)
    events = read_history(tmp_path / "out/history.jsonl")
    train, evaluated = ([event for event in events if event["event"] == kind] for kind in ("train", "eval"))
    assert len(train) == 8
    for tag, key in (("lr", "lr"), ("train_loss", "loss"), ("train_top1", "top1")):
        assert found[tag] == [(step, pytest.approx(event[key], rel=1e-6)) for step, event in enumerate(train, start=1)]
    for tag, key in (("eval_loss", "loss"), ("eval_top1", "top1")):
        assert found[tag] == [(event["epoch"], pytest.approx(event[key], rel=1e-6)) for event in evaluated]
    assert not {"train_epoch", "train_iteration", "eval_epoch"} & found.keys()


def test_a_resumed_training_goes_on_and_a_new_one_begins_again(trained, tmp_path):
    folder, latest = tmp_path / "out" / scalars.FOLDER, tmp_path / "out/latest"
    for options, steps in (
        (["-o", "Global.epochs=1"], range(1, 5)),
        (["-o", f"Global.checkpoints={latest}"], range(1, 9)),
        (["-o", "Global.epochs=1"], range(1, 5)),
    ):
        assert trained(*options).status == 0
        assert [step for step, _ in points(folder)["train_loss"]] == list(steps)


@pytest.fixture
def without_visualdl(monkeypatch):
    real = builtins.__import__

    def importing(name, *more):
        if name.partition(".")[0] == "visualdl":
            raise ModuleNotFoundError("No module named 'visualdl'")
        return real(name, *more)

    for name in [name for name in sys.modules if name.partition(".")[0] == "visualdl"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", importing)


def test_without_the_package_nothing_is_trained(config, write_config, run_here, without_visualdl, tmp_path):
    config["Global"]["use_visualdl"] = True
    outcome = run_here("tools/train.py", "-c", write_config(config))
    expected = (
        "Global.use_visualdl=True: cannot import visualdl (No module named 'visualdl'): pip install visualdl, or set"
    )
    assert_one_line(outcome, expected)
    assert "[Train]" not in outcome.out
    assert not (tmp_path / "out/history.jsonl").exists()


def test_without_the_key_the_package_is_not_needed(config, write_config, run_here, without_visualdl, tmp_path):
    config["Global"].update(epochs=1, use_visualdl=False)
    assert run_here("tools/train.py", "-c", write_config(config)).status == 0
    assert not (tmp_path / "out" / scalars.FOLDER).exists()


def test_a_folder_that_cannot_be_written_is_one_line(trained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / scalars.FOLDER).touch()
    assert_one_line(trained(), f"{tmp_path}/out/vdl: cannot be written")
