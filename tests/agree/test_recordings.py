"""Recordings and models that are cut, damaged or foreign give one clear line."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.agree import zoo
from tests.agree.test_network import copy_of, lines, network  # noqa: F401 - a fixture
from tests.helpers.scripts import ROOT


@pytest.fixture
def ran(steps, exports, network):  # noqa: F811
    return steps(exports("plain", lambda: copy_of(network)), network)


def assert_error(outcome, *words):
    assert outcome.status == 1
    assert len(outcome.err.splitlines()) == 1, outcome.err
    for word in words:
        assert word in outcome.err


def test_killed_process(ran):
    """Whole lines are used; a part of a line behind them is not."""
    path = ran.folder / "evaluate" / "1.jsonl"
    with path.open("a") as stream:
        stream.write('{"event": "call", "number": 2, "kin')
    assert ran.agree().status == 0


@pytest.mark.parametrize(
    "text",
    ["hello\n", "[1]\n", '{"a": 1}\n', '{"event": "call"}\n', "\xff\n", '{"event": "process"}\n{"event": "call"}\n'],
)
def test_foreign_lines(ran, text):
    (ran.folder / "evaluate" / "1.jsonl").write_bytes(text.encode("latin-1"))
    assert_error(ran.agree(), "evaluate/1.jsonl", "recording")


def test_missing_arrays(ran):
    (ran.folder / "evaluate" / "1_0.npz").unlink()
    assert_error(ran.agree(), "evaluate/1_0.npz: missing")


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"\x80pickle"),
                                    lambda path: path.write_bytes(path.read_bytes()[:200])])  # fmt: skip
def test_damaged_arrays(ran, damage):
    damage(ran.folder / "evaluate" / "1_0.npz")
    assert_error(ran.agree(), "evaluate/1_0.npz: not the arrays of a recorded call, or damaged")


def test_arrays_of_another_call(ran):
    shutil.copy(ran.folder / "predict" / "1_0.npz", ran.folder / "evaluate" / "1_0.npz")
    assert_error(ran.agree(), "is float32 [1, ", "and the recording says float32 [4, ")


def test_a_file_outside_the_folder(ran):
    path = ran.folder / "evaluate" / "1.jsonl"
    path.write_text(path.read_text().replace('"1_0.npz"', '"../predict/1_0.npz"'))
    assert_error(ran.agree(), "1.jsonl:3", "is not in the recording's folder")


def test_dropped_arrays_and_a_lost_observer(ran):
    recorder = ran.recorder("evaluate")
    recorder.write(event="dropped", file="1_0.npz")
    (recorder.folder / "1_0.npz").unlink()
    recorder.write(event="lost", why="No space left on device")
    outcome = ran.agree()
    assert outcome.status == 0
    assert "2 images of evaluate" in lines(outcome)["network"]


def test_an_observer_that_was_lost_at_once(project, ran, tmp_path):
    path = ran.folder / "evaluate" / "1.jsonl"
    first = path.read_text().splitlines()[0]
    path.write_text(first + "\n" + json.dumps({"event": "lost", "why": "No space left on device"}) + "\n")
    shutil.rmtree(ran.folder / "predict")
    del ran._recorders["predict"]
    outcome = ran.agree()
    assert outcome.status == 77
    assert "nothing was observed of evaluate: No space left on device" in outcome.out.splitlines()[-1]


def test_missing_folder(ran):
    shutil.rmtree(ran.folder / "predict")
    assert_error(ran.agree(), "predict: no folder of a recording")


def test_models(steps, exports, network, tmp_path):  # noqa: F811
    model = exports("plain", lambda: copy_of(network))
    ran = steps(model, network)
    assert_error(ran.agree(folder=tmp_path / "none"), "none: no folder of an exported model")
    (tmp_path / "empty").mkdir()
    assert_error(ran.agree(folder=tmp_path / "empty"), "empty: no exported model")
    (tmp_path / "old").mkdir()
    (tmp_path / "old/__model__").touch()
    assert ran.agree(folder=tmp_path / "old").status == 77
    both = tmp_path / "both"
    for name in ("one", "two"):
        shutil.copytree(model.files[0].parent, both / name)
    assert_error(ran.agree(folder=both), "both: 2 exported models (one/inference")
    used = [both / "two" / file.name for file in model.files]
    ran.infer(zoo.images(6)[:3], setting="second", files=used)
    assert ran.agree(folder=both).status == 0
    # a pipeline is no fault
    ran.infer(zoo.images(1), setting="third", files=[both / "one" / file.name for file in model.files])
    outcome = ran.agree(folder=both)
    assert outcome.status == 77
    why = "infer loaded 2 exported models (one/inference"
    assert all(f": not compared ({why}" in line for line in outcome.out.splitlines()[:-1])


def test_the_folder_stands_alone(ran, tmp_path):
    """A copy of test_tipc/lib, elsewhere, in a process of its own: the lines, and nothing else on standard output."""
    shutil.copytree(ROOT / "test_tipc" / "lib", tmp_path / "lib")
    parts = ["--evaluated", ran.folder / "evaluate", "--inferred", ran.folder / "infer"]
    command = [sys.executable, tmp_path / "lib" / "agree.py", ran.model.files[0].parent, *parts]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    checks = ["preprocessing: not compared", "network: bitwise equal", "engine infer: largest difference"]
    for line, check in zip(done.stdout.splitlines(), checks):
        assert line.startswith(check)
    assert len(done.stdout.splitlines()) == 3


def test_cut_weights(ran, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(ran.model.files[0].parent, folder)
    params = folder / ran.model.files[1].name
    params.write_bytes(params.read_bytes()[:-5])
    assert_error(ran.agree(folder=folder), "not the weights of an exported model, or damaged, at byte")
