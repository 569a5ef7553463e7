"""How many threads a training computes with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppcls_lite.train import loop
from ppcls_lite.train.setup import LOG_NAME
from ppcls_lite.utils.machine import describe_processor, keep_to_one_thread, usable_cores, use_cores
from tests.helpers.scripts import ROOT


@pytest.mark.parametrize(
    ("cores", "environ", "threads"),
    [
        (2, {}, "2"),
        (64, {}, "8"),  # a convolution of one image is too small for more
        (6, {"PADDLE_LOCAL_SIZE": "2"}, "3"),
        (2, {"PADDLE_LOCAL_SIZE": "4"}, "1"),
        (2, {"PADDLE_LOCAL_SIZE": "many"}, "1"),
    ],
)
def test_a_training_takes_its_share_of_the_cores(monkeypatch, cores, environ, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert use_cores(environ) == environ["MKL_NUM_THREADS"] == threads
    assert describe_processor(environ).endswith(f", MKL_NUM_THREADS={threads}")


@pytest.mark.parametrize("stated", ["MKL_NUM_THREADS", "OMP_NUM_THREADS"])
def test_what_the_user_has_set_counts(stated):
    environ = {stated: "1"}
    assert use_cores(environ) == "1"
    assert environ == {stated: "1"}


@pytest.mark.parametrize(
    ("environ", "after"),
    [
        ({}, {}),
        ({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "1"}),
        ({"OMP_NUM_THREADS": "2"}, {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "1"}),
        ({"MKL_NUM_THREADS": "2"}, {"MKL_NUM_THREADS": "1"}),
    ],
)
def test_predictions_are_compared_with_one_thread(environ, after):
    keep_to_one_thread(environ)
    assert environ == after


@pytest.mark.parametrize(("options", "threads"), [("", 1), ("trains=True", 2)])
def test_only_a_training_takes_the_threads_that_the_user_has_set(options, threads):
    """A network of MobileNetV3's size differs in its last bits when two threads add up."""
    code = f"""
from ppcls_lite.utils.errors import run_main
def main():
    import ctypes, pathlib, paddle
    (library,) = pathlib.Path(paddle.__file__).parent.glob("libs/libmklml_*.so")
    print(ctypes.CDLL(str(library)).MKL_Get_Max_Threads())
run_main(main, {options})
"""
    environ = {**os.environ, "MKL_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{threads}\n"), done.stderr


def test_paddle_computes_with_that_many():
    code = """
import ctypes, json, pathlib
from ppcls_lite.utils.machine import use_cores
threads = use_cores()
import paddle
(library,) = pathlib.Path(paddle.__file__).parent.glob("libs/libmklml_*.so")
paddle.matmul(paddle.ones([64, 64]), paddle.ones([64, 64]))
print(json.dumps([threads, ctypes.CDLL(str(library)).MKL_Get_Max_Threads()]))
"""
    environ = {name: value for name, value in os.environ.items() if name not in ("MKL_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    threads, used = json.loads(done.stdout)
    assert int(threads) == used == min(usable_cores(), 8)


def test_a_training_that_goes_on_elsewhere_says_so(config, monkeypatch):
    loop.train(config)
    monkeypatch.setenv("MKL_NUM_THREADS", "77")
    output = Path(config["Global"]["output_dir"])
    config["Global"]["checkpoints"] = str(output / "latest")
    config["Global"]["epochs"] += 1
    loop.train(config)
    assert "it was begun on " in (output / LOG_NAME).read_text()
