"""The ARM model on a device: an adb that copies into a folder and runs what it is told there, as a phone would."""

import json
import shutil
import sys

import pytest

from tests.helpers.scripts import ROOT
from tests.helpers.shell import copy_tree
from tests.lite.test_driver import Lite

ADB = """#!/bin/bash
case $1 in
    devices) printf 'List of devices attached\\nemulator-5554\\tdevice\\n' ;;
    push) cp -r "${@:2:$#-2}" "$DEVICE${!#}" ;;
    pull) cp "$DEVICE$2" "$3" ;;
    shell) exec bash -c "$(printf %s "$2" | sed "s#'/data/#'$DEVICE/data/#g")" ;;
esac
"""
# It computes nothing: it writes what Paddle has computed, with a fault where the test plants one
PROGRAM = """#!{python}
import sys
import numpy as np
config = dict(line.split(" ", 1) for line in open(sys.argv[1]).read().splitlines())
open(config["clas_model_file"], "rb").close()
print("threads", config["num_threads"], "batch", config["batch_size"], "images", len(open(sys.argv[2]).readlines()))
with np.load({expected!r}) as content:
    scores = content[[name for name in content.files if name[0] != "~"][0]]
scores = {fault}
scores.astype(np.float32).tofile(sys.argv[3])
sys.exit({status})
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory, exported):
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(exported.model, tree / "deploy/models/small_net_infer")
    (tree / "deploy/lite/lib.so").touch()
    (tree / "deploy/lite/check_demo.py").unlink()  # its test is test_demo.py
    return tree


@pytest.fixture
def chain(tree, tmp_path, lite_python):
    made = Lite(tree, tmp_path, lite_python)
    (tmp_path / "bin/adb").write_text(ADB)
    made.own["DEVICE"] = str(tmp_path / "device")
    return made.set("lite_arm_so_path", "lib.so")


def program(chain, fault="scores", status=0):
    path = chain.tree / "deploy/lite/clas_system"
    expected = str(chain.output() / "program/expected.npz")
    path.write_text(PROGRAM.format(python=sys.executable, expected=expected, fault=fault, status=status))
    return path


def test_the_demo_is_run_on_the_device_and_compared(chain, tmp_path):
    program(chain)
    chain.set("--num_threads_list", "1|2")
    run = chain.run("--stop_stage", "4")
    assert run.status == 0, run.out + run.err
    assert "note: adb sees the device emulator-5554" in run.out
    for threads in (1, 2):
        setting = f"adb precision_FP32 batchsize_1 threads_{threads}"
        assert run.results[f"infer arm {setting}"] == "passed"
        assert run.results[f"agree arm {setting}"] == "passed"
        assert f"threads {threads} batch 1 images 5\n" in run.out
    assert "NOT run here" not in run.out
    assert (tmp_path / "device/data/local/tmp/arm_cpu/small_net.nb").is_file()
    summary = json.loads((run.folder / "summary.json").read_text())
    figures = {step["name"]: step["figure"] for step in summary["steps"]}
    assert figures["agree arm adb precision_FP32 batchsize_1 threads_1"] == "arm 0"


@pytest.mark.parametrize(
    ("fault", "status", "expected"),
    [
        ("scores + 0.01", 0, "error: arm: largest difference 0.01"),
        ("scores[:1].repeat(len(scores), 0)", 0, "error: arm: largest difference"),
        ("scores[:-1]", 0, "expected 15 numbers, found 12"),
        ("scores", 3, "clas_system ended with exit code 3 on the device"),
    ],
    ids=["other scores", "one class for all", "an image missing", "a crash"],
)
def test_a_fault_on_the_device_is_seen(chain, fault, status, expected):
    program(chain, fault, status)
    run = chain.run()
    assert run.status == 1, run.out
    assert expected in run.out
    assert run.out.splitlines()[-1].startswith("FAILED: ")


def test_a_device_without_the_program_is_said(chain):
    (chain.tree / "deploy/lite/clas_system").unlink(missing_ok=True)
    run = chain.run()
    assert run.status == 0, run.out + run.err
    (reason,) = [reason for name, _, reason in run.steps if name == "infer arm"]
    assert "a device is attached, and deploy/lite/clas_system is missing (see deploy/lite/README.md)" in reason
    assert run.out.splitlines()[-1].endswith("the model for ARM was NOT run here")


def test_a_folder_that_is_no_library_is_an_error(chain, tmp_path):
    (tmp_path / "bin/adb").write_text("#!/bin/sh\n")
    run = chain.run(TIPC_LITE_LIB=str(ROOT / "deploy"))
    assert run.status == 1
    assert "expected a folder with cxx/include and cxx/lib/libpaddle_light_api_shared.so" in run.err
