"""test_paddle2onnx.sh with real models: an official config as it is, another project, and planted faults."""

import json
import shutil

import pytest

from tests.helpers.shell import Chain, copy_tree

MODE = "paddle2onnx_infer"
CONFIG = """===paddle2onnx_params===
model_name:small_net
python:python3.7
2onnx: paddle2onnx
--model_dir:./deploy/models/small_net_infer/
--model_filename:inference.pdmodel
--params_filename:inference.pdiparams
--save_file:./deploy/models/small_net_infer/inference.onnx
--opset_version:10
--enable_onnx_checker:True
inference_model_url:null
inference:./python/predict_cls.py
Global.use_onnx:True
Global.inference_model_dir:./models/small_net_infer
Global.use_gpu:False
-c:configs/inference_cls.yaml
Global.infer_imgs:../test_images
"""
PASSED = {
    "prepare": "passed",
    "convert": "passed",
    "infer onnxruntime": "passed",
    "infer paddle": "passed",
    "agree onnxruntime": "passed",
    "agree openvino": "passed",
    "agree printed": "passed",
}


@pytest.fixture(scope="module")
def tree(onnx, tmp_path_factory, exported):
    """A checkout with the exported model where the config expects it."""
    pytest.importorskip("openvino")
    tree = copy_tree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(exported.model, tree / "deploy/models/small_net_infer")
    return tree


class Onnx(Chain):
    """A config of paddle2onnx, and the driver that runs it."""

    def __init__(self, tree, folder):
        self.tree, self.folder, self.text, self.path = tree, folder, CONFIG, folder / "paddle2onnx.txt"

    def output(self, mode=None):
        return super().output(MODE)

    def command(self, *options, mode=None, config=None):
        self.path.write_text(self.text)
        return ["bash", str(self.tree / "test_tipc/test_paddle2onnx.sh"), str(self.path), MODE, *options]

    def run(self, *options, **more):
        return super().run(*options, mode=MODE, **more)


@pytest.fixture
def chain(tree, tmp_path):
    return Onnx(tree, tmp_path)


def test_the_chain_certifies_a_model(chain):
    run = chain.run()
    assert run.status == 0, run.out + run.err
    assert run.results == PASSED
    assert "and all predictions agree" in run.out
    assert "5 recorded images" in run.out  # those that Paddle got
    assert "printed: the same predictions of 5 images: agrees" in run.out
    lines = (run.folder / "results_paddle2onnx.log").read_text().splitlines()
    assert len(lines) == 6
    assert all(line.startswith("\x1b[33m Run successfully with command - small_net - python ") for line in lines)
    summary = json.loads((run.folder / "summary.json").read_text())
    figures = {step["name"]: step["figure"] for step in summary["steps"]}
    assert figures["agree onnxruntime"].startswith("onnxruntime_batchsize_1 ")
    # a part again: the files of the earlier stages are used
    again = chain.run("--stage", "4")
    assert again.results == PASSED
    assert not (chain.tree / "deploy/models/small_net_infer/inference.onnx").exists()
    path = run.folder / "model/inference.onnx"
    path.write_bytes(path.read_bytes()[:-1000])
    broken = chain.run("--stage", "4")
    assert broken.status == 1
    assert broken.results["agree onnxruntime"] == "failed"
    assert "not a whole and valid ONNX file" in broken.out


OTHER_CLASSES = """
class Other:
    def __init__(self, out):
        self.out = out

    def write(self, text):
        return self.out.write(re.sub(r"(class id.s.: .)([0-2])", lambda found: found[1] + str(2 - int(found[2])), text))

    def flush(self):
        self.out.flush()


if "Global.use_onnx=True" in sys.argv:
    sys.stdout = Other(sys.stdout)
"""


def test_an_inference_that_prints_other_classes_is_seen(chain):
    script = (chain.tree / "deploy/python/predict_cls.py").read_text()
    assert "\nimport sys\n" in script
    planted = script.replace("\nimport sys\n", f"\nimport re\nimport sys\n{OTHER_CLASSES}", 1)
    (chain.tree / "deploy/python/planted.py").write_text(planted)
    chain.set("inference", "./python/planted.py")
    run = chain.run()
    assert run.status == 1
    assert run.results["agree onnxruntime"] == "passed"
    assert run.results["agree printed"] == "failed"


def test_a_project_without_the_script_is_compared_by_its_files(chain):
    chain.set("inference", "./python/none.py")
    run = chain.run()
    assert run.status == 0, run.out + run.err
    assert run.results["infer onnxruntime"] == "skipped"
    assert "there is no ./python/none.py in this project" in run.out
    assert run.results["agree onnxruntime"] == run.results["agree openvino"] == "passed"
    assert "8 random images" in run.out


def test_what_cannot_be_converted_is_failed_with_the_reason(chain):
    folder = chain.tree / "deploy/models/damaged_infer"
    shutil.copytree(chain.tree / "deploy/models/small_net_infer", folder, dirs_exist_ok=True)
    (folder / "inference.pdmodel").write_bytes(b"no program")
    chain.text = chain.text.replace("models/small_net_infer", "models/damaged_infer")
    run = chain.run()
    assert run.status == 1
    assert run.results["convert"] == "failed"
    assert run.results["infer"] == run.results["agree"] == "not run"
