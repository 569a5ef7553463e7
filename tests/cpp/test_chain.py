"""test_inference_cpp.sh: every official config is planned, wrong ones are one line, and the whole chain runs."""

import os
import subprocess
import tarfile

import pytest

from tests.cpp.conftest import openvino_folder
from tests.helpers.scripts import FIXTURES, LIMIT, ROOT, Outcome, assert_one_line

SCRIPT = ROOT / "test_tipc/test_inference_cpp.sh"
OFFICIAL = FIXTURES / "tipc/official/official_configs.tar.xz"
CONFIGS = sorted(ROOT.glob("test_tipc/configs/*/inference_cpp.txt"))
CLAS = (ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/inference_cpp.txt").read_text()
PLAIN = """# model load config
model_name small_net
use_gpu  0
cpu_math_library_num_threads  10

cls_model_path  ./models/small/inference.pdmodel
"""


def run_chain(*words, **environment):
    done = subprocess.run(
        ["bash", str(SCRIPT), *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def plan(text, folder, *words):
    config = folder / "inference_cpp.txt"
    config.write_text(text)
    return run_chain(config, "cpp_infer", "--dry_run", *words)


def test_every_official_config_is_planned(tmp_path):
    with tarfile.open(OFFICIAL) as archive:
        names = [name for name in archive.getnames() if "infer_cpp" in name or name.endswith("/inference_cpp.txt")]
        names = [name for name in names if "serving" not in name]
        for name in names:
            archive.extract(name, tmp_path)
    assert len(names) >= 36
    for name in names:
        run = run_chain(tmp_path / name, "cpp_infer", "--dry_run")
        assert run.status == 0, (name, run.err)
        assert "infer cpu" in run.out or "infer: skipped (the program of deploy/cpp" in run.out, (name, run.out)


def test_every_network_has_a_config():
    chains = ROOT.glob("test_tipc/configs/*/train_infer_python.txt")
    folders = {
        path.parent.name
        for path in chains
        if "predict_rec.py" not in (text := path.read_text()) and "tools/insightface" not in text
    }  # the program has no recognition
    assert {path.parent.name for path in CONFIGS} == folders
    for path in CONFIGS:
        assert f"model_name:{path.parent.name}\n" in path.read_text()


def test_the_plan_has_every_combination(tmp_path):
    run = plan(CLAS, tmp_path)
    steps = [line.partition(":")[0] for line in run.out.splitlines() if line.startswith(("infer ", "agree"))]
    cpu = [f"infer cpu usemkldnn_False_threads_{t}_precision_fp32_batchsize_{b}" for t in (1, 2) for b in (1, 4)]
    gpu = [f"infer gpu usetrt_False_precision_fp32_batchsize_{b}" for b in (1, 4)]
    assert steps == [*gpu, *cpu, "infer latency", "agree"]
    agree = run.out.splitlines()[-1]
    for name in (*gpu, *cpu):
        assert f"{name[6:].replace(' ', '_')}=" in agree


def test_a_file_without_a_title(tmp_path):
    run = plan(PLAIN, tmp_path)
    assert run.status == 0, run.err
    assert "infer cpu usemkldnn_False_threads_10_precision_fp32_batchsize_1: " in run.out
    assert "Global.inference_model_dir=./models/small " in run.out


FOLDER = "cls_inference_model_dir:./deploy/models/MobileNetV3_small_x1_0_infer/"
WRONG = {
    "batch_size:0": ("batch_size:1|4", "'batch_size': expected a whole number of at least 1, found '0'"),
    "use_gpu:Fasle": ("use_gpu:True|False", "'use_gpu': expected True or False, found 'Fasle'"),
    "precision:fp8": ("precision:fp32", "'precision': expected fp32, fp16 or int8, found 'fp8'"),
    "cpp_infer_type:seg": ("cpp_infer_type:cls", "cpp_infer_type: expected cls, det or shitu, found 'seg'"),
    "cls_inference_model_dir:": (FOLDER, "'cls_inference_model_dir' has no value"),
    "batchsize:1": ("batch_size:1|4", "the line 'batch_size' is missing"),
    "model_name:a/b": ("model_name:MobileNetV3_small_x1_0", "model_name becomes a folder's name"),
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_configs(tmp_path, line):
    right, expected = WRONG[line]
    assert right in CLAS
    assert_one_line(plan(CLAS.replace(right, line), tmp_path), "inference_cpp.txt:", expected)


@pytest.mark.parametrize("text", ["model_name\n", "# nothing\n", PLAIN.replace("use_gpu  0", "use_gpu 2")])
def test_wrong_files_without_a_title(tmp_path, text):
    assert_one_line(plan(text, tmp_path), "inference_cpp.txt:")


def test_wrong_words():
    assert_one_line(run_chain("none.txt"), "none.txt: no such config file")
    assert_one_line(run_chain(CONFIGS[0], "whole_infer"), "unknown mode 'whole_infer'; expected cpp_infer")


def test_the_whole_chain(program, exported, tiny_data, tmp_path):
    text = CLAS.replace("./deploy/models/MobileNetV3_small_x1_0_infer/", f"{exported.model}/")
    text = text.replace("./test_images", str(tiny_data / "val_0.png")).replace("cpu_threads:1|2", "cpu_threads:1")
    config = tmp_path / "inference_cpp.txt"
    config.write_text(text.replace("use_gpu:True|False", "use_gpu:False").replace("batch_size:1|4", "batch_size:3"))
    run = run_chain(
        config,
        "cpp_infer",
        "--stage",
        1,
        TIPC_OUTPUT=str(tmp_path / "out"),
        TIPC_CPP_BUILD=str(program.parent),
        ASAN_OPTIONS="detect_leaks=0",
        TBB_ENABLE_SANITIZERS="1",
        OpenVINO_DIR=openvino_folder(),
    )
    folder = tmp_path / "out/MobileNetV3_small_x1_0/cpp_infer"
    assert run.status == 0, run.out[-3000:] + run.err
    assert "largest difference" in (folder / "agree.log").read_text()
    assert "21 inputs bitwise equal" in (folder / "agree.log").read_text()  # those beside the one image
    assert (folder / "results_cpp.log").read_text().count("Run successfully") >= 4
