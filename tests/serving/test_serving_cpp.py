"""test_serving_infer_cpp.sh: its plan for official configs, and its steps against a server that speaks the protocol.

The program of the real server cannot be fetched here; tests/helpers/cpp_server.py answers in its place, with Paddle.
"""

import shutil
import subprocess
import sys
import tarfile

import pytest

from tests.helpers.scripts import ROOT, assert_one_line
from tests.helpers.shell import OFFICIAL, Chain, assert_one_error, copy_tree

MODE = "serving_infer_cpp"
DRIVER = ROOT / "test_tipc/test_serving_infer_cpp.sh"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """What SERVING_BIN names."""
    path = tmp_path_factory.mktemp("program") / "serving"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/helpers/cpp_server.py" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def tree(tmp_path_factory, exported):
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(exported.model, tree / "deploy/models/small_net_infer")
    return tree


class Cpp(Chain):
    """A config of C++ Serving, and the driver that runs it."""

    def __init__(self, tree, folder):
        self.tree, self.folder = tree, folder
        self.text = (ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_cpp.txt").read_text()
        self.text = self.text.replace("MobileNetV3_small_x1_0", "small_net")
        self.path = folder / "serving_infer_cpp.txt"

    def output(self, mode=None):
        return super().output(MODE)

    def command(self, *options, mode=None, config=None):
        self.path.write_text(self.text)
        return ["bash", str(self.tree / "test_tipc/test_serving_infer_cpp.sh"), str(config or self.path), *options]

    def run(self, *options, **more):
        return super().run(*options, mode=MODE, **more)


@pytest.fixture
def chain(tree, tmp_path):
    return Cpp(tree, tmp_path)


def test_a_model_is_converted_served_asked_and_compared(chain, program):
    run = chain.run(SERVING_BIN=str(program))
    assert run.status == 0, run.out + run.err
    assert run.results == {
        "prepare": "passed",
        "convert": "passed",
        "server gpu": "skipped",
        "server cpu": "passed",
        "client cpu batchsize 1": "passed",
        "client cpu batchsize 4": "passed",
        "stop cpu": "passed",
        "agree cpu": "passed",
    }
    assert run.out.splitlines()[-1].startswith("passed: 7 steps, and all answers agree with the predictions")
    assert "batchsize_1: largest difference 0 (at most 1e-05 allowed)" in run.out


@pytest.mark.parametrize(
    ("plant", "step", "words"),
    [
        ("shift", "agree cpu", "its predictions are not those of the service"),
        ("swap", "agree cpu", "its predictions are not those of the service"),
        ("constant", "agree cpu", "its predictions are not those of the service"),
        ("refuse", "client cpu batchsize 1", "the server answers with error 5100: InferService inference failed!"),
        ("die", "server cpu", "ended before it was ready"),
    ],
)
def test_planted_faults(chain, program, plant, step, words):
    run = chain.run(SERVING_BIN=str(program), PLANT=plant)
    assert run.status == 1
    assert run.results[step] == "failed"
    assert words in run.out
    assert run.out.splitlines()[-1].startswith("FAILED: ")


def test_without_the_program_the_chain_is_skipped(chain):
    # no address of the outside world: a mirror that refuses at once
    run = chain.run(SERVING_BIN="", TIPC_MIRROR="http://127.0.0.1:9")
    assert run.status == 77
    assert run.results == {"prepare": "passed", "server": "skipped"}
    assert run.out.splitlines()[-1].startswith("skipped: there is no program of Paddle Serving's C++ server here")
    assert "test_log" not in run.out


def test_the_new_format_cannot_be_served(tree, tmp_path, exported_json, program):
    chain = Cpp(tree, tmp_path)
    chain.text = chain.text.replace("small_net", "json_net")
    shutil.copytree(exported_json, tree / "deploy/models/json_net_infer", dirs_exist_ok=True)
    run = chain.run(SERVING_BIN=str(program))
    assert run.status == 1
    assert "a C++ server cannot read inference.json" in run.out
    assert run.out.splitlines()[-1] == "FAILED: 1 of 2 steps failed: convert"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("--use_gpu:0|null", "--use_gpu:x", "expected null or the number of a GPU, found 'x'"),
        ("serving_dir", "serving_dri", "expected 'serving_dir:…', found 'serving_dri:…'"),
        ("small_net_client", "small_net_serving", "need folders of different names"),
        ("pipline:test_cpp_serving_client.py", "pipline:null", "'pipline' has no value"),
        ("model_name:small_net", "model_name:../x", "model_name becomes a folder's name"),
    ],
)
def test_wrong_lines_are_one_error(chain, old, new, message):
    assert old in chain.text
    chain.text = chain.text.replace(old, new)
    assert_one_error(chain.run(), message)


def test_wrong_words_are_one_error(chain, tmp_path):
    assert_one_error(chain.run("cpp_infer"), "unknown mode 'cpp_infer'; expected serving_infer_cpp")
    assert_one_error(chain.run(SERVING_BIN=str(tmp_path)), "no such program")


def test_official_configs_are_planned(tmp_path):
    with tarfile.open(OFFICIAL / "official_configs.tar.xz") as archive:
        members = [
            member for member in archive.getmembers() if "serving_cpp" in member.name or "infer_cpp" in member.name
        ]
        archive.extractall(tmp_path, [member for member in members if "serving" in member.name], filter="data")
    paths = sorted(path for path in tmp_path.rglob("*.txt") if "PPShiTu" not in path.name)
    assert len(paths) > 30
    for path in paths:
        done = subprocess.run(
            ["bash", str(DRIVER), str(path), "serving_infer", "--dry_run"], capture_output=True, text=True
        )
        assert done.returncode == 0, (path, done.stderr)
        plan = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
        kinds = {line.split(" ")[0].rstrip(":") for line in plan}
        assert {"prepare", "convert", "server", "client", "agree"} <= kinds, path
        assert any("serve --model " in line for line in plan), path


def test_a_system_of_two_models_is_refused(tmp_path):
    path = tmp_path / "shitu.txt"
    path.write_text("===serving_params===\nmodel_name:PPShiTu\npython:python3.7\ncls_inference_model_url:a\n")
    done = subprocess.run(["bash", str(DRIVER), str(path), "--dry_run"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{path}:4: a system of two models" in done.stderr


def test_the_client_says_what_is_wrong(run_here, exported, tmp_path):
    client = "deploy/paddleserving/test_cpp_serving_client.py"
    assert_one_line(run_here(client, "--client", tmp_path, "--model", exported.model), "serving_client_conf.prototxt")
    script = ROOT / "deploy/paddleserving/run_cpp_serving.sh"
    done = subprocess.run(["bash", str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "expected a folder for a server" in done.stderr
