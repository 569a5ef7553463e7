"""tools/tables/train_centernets.sh and train_arcface.sh, with a program in the place of Python that records calls."""

import os
import shutil
import signal
import stat
import subprocess

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import is_running, wait_for

RECIPE = ("ppcls_lite/configs/detection/centernet_stamps.yaml", "dataset/det_stamps/manifest.json")
PROGRAM = """#!/usr/bin/env python3
import os, pathlib, sys, time
words = sys.argv[1:]
if words[0] != "tools/train.py":
    sys.exit(0)
options = dict(word.partition("=")[::2] for word in words if "=" in word)
folder = pathlib.Path(options["Global.output_dir"])
with open("calls.txt", "a") as stream:
    epochs = ", epochs " + options["Global.epochs"] if "Global.epochs" in options else ""
    stream.write(options["Arch.Backbone.name"] + " " + options.get("Global.checkpoints", "new") + epochs + chr(10))
if pathlib.Path("fail").exists() and pathlib.Path("fail").read_text() in options["Arch.Backbone.name"]:
    (folder / "latest.pdparams").touch()
    sys.exit(1)
if pathlib.Path("sleep").exists():
    pathlib.Path(options["Arch.Backbone.name"] + ".pid").write_text(str(os.getpid()))
    time.sleep(300)
"""


@pytest.fixture
def tree(tmp_path):
    """A folder with the script in it and a program in the place of Python that writes down its calls."""
    scripts = [f"tools/tables/{name}.sh" for name in ("train_centernets", "train_arcface", "trainings")]
    for file in [*scripts, "test_tipc/common_func.sh"]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copytree(ROOT / "test_tipc/lib", tmp_path / "test_tipc/lib")
    program = tmp_path / "python"
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    for file in RECIPE:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("first\n")
    return tmp_path


def start(tree, *words, script="train_centernets.sh"):
    return subprocess.Popen(
        ["bash", tree / "tools/tables" / script, *words],
        env={**os.environ, "TIPC_PYTHON": str(tree / "python")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_script(tree, *words, **options):
    process = start(tree, *words, **options)
    out, err = process.communicate(timeout=LIMIT)
    done = subprocess.CompletedProcess(words, process.returncode, out, err)
    calls = tree / "calls.txt"
    found = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return done.returncode, found, done.stderr


def test_every_backbone_is_trained_once_in_its_order(tree):
    status, calls, _ = run_script(tree)
    assert status == 0
    names = [call.partition(" ")[0] for call in calls]
    assert names == [
        "MobileNetV3_small_x1_0",
        "ShuffleNetV2_x1_0",
        "MobileNetV3_large_x1_0",
        "MobileNetV1_x1_0",
        "ResNet50_vd",
    ]
    chains = ROOT.glob("test_tipc/configs/CenterNet_*/train_infer_python.txt")
    assert {f"CenterNet_{name}" for name in names} == {path.parent.name for path in chains}
    assert all(call.endswith(" new") for call in calls)
    assert run_script(tree)[:2] == (0, [])  # all trained before


def test_the_recognisers_are_trained_by_the_same_means(tree):
    for file in ("ppcls_lite/configs/recognition/arcface_stamps.yaml", "dataset/rec_stamps/manifest.json"):
        (tree / file).parent.mkdir(parents=True)
        (tree / file).write_text("first\n")
    status, calls, _ = run_script(tree, script="train_arcface.sh")
    assert status == 0
    names = [call.partition(" ")[0] for call in calls]
    assert names[:2] == ["MobileFaceNet", "MobileNetV3_small_x1_0"]
    assert len(set(names)) == 7
    assert all((tree / f"output/rec/ArcFace_{name}/trained").exists() for name in names)
    assert run_script(tree, script="train_arcface.sh")[:2] == (0, [])  # all trained before


def test_other_epochs_are_another_training(tree):
    assert run_script(tree, "--epochs", "7", "MixNet_S")[:2] == (0, ["MixNet_S new, epochs 7"])
    assert run_script(tree, "--epochs", "7", "MixNet_S")[:2] == (0, [])
    status, calls, errors = run_script(tree, "MixNet_S")
    assert (status, calls) == (1, [])
    assert "or other epochs; remove it to start again" in errors


def test_a_failed_training_goes_on_from_its_checkpoint(tree):
    (tree / "fail").write_text("Shuffle")
    status, calls, errors = run_script(tree, "--jobs", "2", "ShuffleNetV2_x1_0", "MixNet_S")
    assert status == 1
    assert sorted(calls) == ["MixNet_S new", "ShuffleNetV2_x1_0 new"]
    assert "error: ShuffleNetV2_x1_0: the training failed" in errors
    (tree / "fail").unlink()
    status, calls, _ = run_script(tree, "ShuffleNetV2_x1_0", "MixNet_S")
    assert (status, calls) == (0, ["ShuffleNetV2_x1_0 output/det/CenterNet_ShuffleNetV2_x1_0/latest"])


@pytest.mark.parametrize("file", RECIPE)
def test_a_training_of_another_recipe_neither_goes_on_nor_counts(tree, file):
    assert run_script(tree, "MixNet_S")[0] == 0
    (tree / file).write_text("second\n")
    status, calls, errors = run_script(tree, "MixNet_S")
    assert (status, calls) == (1, [])
    assert "CenterNet_MixNet_S: begun with another config, other images or other epochs; remove it to start" in errors


@pytest.mark.parametrize(
    ("words", "message"), [(["--jobs", "0"], "--jobs: expected a number from 1 up"), (["--job"], "unknown option")]
)
def test_wrong_options_are_one_line(tree, words, message):
    status, calls, errors = run_script(tree, *words)
    assert (status, calls) == (1, [])
    assert errors.startswith(f"error: {message}")


def running(tree, name):
    """The number of that backbone's training, once it has begun."""
    path = tree / f"{name}.pid"
    assert wait_for(lambda: path.exists() and path.read_text())
    return int(path.read_text())


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_end_of_the_script_ends_all_its_trainings(tree, sent, status):
    (tree / "sleep").touch()
    process = start(tree, "--jobs", "2", "MixNet_S", "MixNet_M")
    trainings = [running(tree, name) for name in ("MixNet_S", "MixNet_M")]
    os.kill(process.pid, sent)
    process.communicate(timeout=LIMIT)
    assert process.returncode == status
    assert wait_for(lambda: not any(map(is_running, trainings)))
    assert wait_for(lambda: not os.path.lexists(tree / "output/det.lock"))


def test_a_second_call_waits_for_the_first(tree):
    (tree / "sleep").touch()
    first = start(tree, "MixNet_S")
    training = running(tree, "MixNet_S")
    second = start(tree, "MixNet_S")
    assert second.stdout.readline() == f"waiting: another call of this script is training (process {first.pid})\n"
    (tree / "sleep").unlink()
    os.kill(training, signal.SIGKILL)
    assert "the training failed with exit code 137" in first.communicate(timeout=LIMIT)[1]
    assert "MixNet_S: trained " in second.communicate(timeout=LIMIT)[0]
    assert (first.returncode, second.returncode) == (1, 0)
    assert (tree / "output/det/CenterNet_MixNet_S/trained").exists()
