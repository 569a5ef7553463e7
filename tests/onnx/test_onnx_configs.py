"""The configs of paddle2onnx: all official ones are read and planned, ours follow them, and wrong lines are named."""

import re
import subprocess
import tarfile

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import OFFICIAL, Run, assert_one_error

DRIVER = "test_tipc/test_paddle2onnx.sh"
OURS = sorted((ROOT / "test_tipc/configs").glob("*/paddle2onnx_infer_python.txt"))
FOREIGN = {"ms1mv2_mobileface"}  # InsightFace has no such config of it
MODELS = {path.parent.name for path in (ROOT / "test_tipc/configs").glob("*/train_infer_python.txt")} - FOREIGN


def plan(config, *options):
    """What `--dry_run` prints, and how it ended."""
    command = ["bash", str(ROOT / DRIVER), str(config), "paddle2onnx_infer", "--dry_run", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    return Run(done.returncode, done.stdout, done.stderr, None)


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """{path as in the suites: file} of the official configs of paddle2onnx."""
    folder = tmp_path_factory.mktemp("official")
    with tarfile.open(OFFICIAL / "official_configs.tar.xz") as archive:
        names = [name for name in archive.getnames() if re.search(r"paddle2onnx[^/]*\.txt$", name)]
        archive.extractall(folder, [archive.getmember(name) for name in names], filter="data")
    return {name: folder / name for name in names}


def named(official, word):
    (path,) = [path for name, path in official.items() if word in name]
    return path


def test_all_official_configs_are_planned(official):
    assert len(official) == 18
    dialects = {"paddleclas": 0, "models": 0, "paddledetection": 0}
    for name, path in official.items():
        done = plan(path)
        assert (done.status, done.err) == (0, ""), name
        dialects[re.search(r"^# dialect (\w+),", done.out, re.M)[1]] += 1
        exports = "PaddleDetection" in name
        kinds = re.findall(r"^(\w+)[ \w]*: ", done.out, re.M)
        expected = ["prepare", *(["model"] if exports else []), "convert", "infer"]
        assert kinds[: len(expected)] == expected, name
        assert kinds.count("agree") >= 2
    assert dialects == {"paddleclas": 6, "models": 6, "paddledetection": 6}


def test_the_commands_of_paddleclas(official):
    out = plan(named(official, "MobileNetV3_large_x1_0")).out
    folder = "./deploy/models/MobileNetV3_large_x1_0_infer"
    made = "test_tipc/output/MobileNetV3_large_x1_0/paddle2onnx_infer/model"
    assert (
        f"convert: (in .) python test_tipc/lib/convert_onnx.py --model_dir={folder} --model_filename=inference.pdmodel "
        f"--params_filename=inference.pdiparams --save_file={made}/inference.onnx --opset_version=10 "
        "--enable_onnx_checker=True" in out
    )
    start = f"(in deploy) python ./python/predict_cls.py -o Global.inference_model_dir=../{made}"
    for step, switch in (("infer onnxruntime", True), ("infer paddle", False)):
        options = f"-o Global.use_onnx={switch} -o Global.use_gpu=False -c configs/inference_cls.yaml"
        assert f"{step}: {start} {options}\n" in out
    assert "agree printed: " in out


def test_a_config_without_an_inference_compares_the_files(official):
    out = plan(named(official, "PPShiTu_mainbody_det")).out
    assert "infer onnxruntime: skipped (the config has no inference command" in out
    assert "agree onnxruntime: (in .) " in out


def test_the_file_that_is_written_is_the_one_that_is_read(official):
    """The official file of mobilenet_v3_small names another one for its inference."""
    out = plan(named(official, "configs/mobilenet_v3_small/")).out
    made = "test_tipc/output/mobilenet_v3_small/paddle2onnx_infer/model/model.onnx"
    assert f" --save_file={made} " in out
    assert f"deploy/onnx_python/infer.py --onnx_file={made} --img_path=" in out


def test_paddledetection_exports_first(official):
    out = plan(named(official, "picodet_s_320")).out
    folder = "./output_inference/picodet_s_320_coco"
    assert re.search(
        r"^model: .* -o weights=https://\S+ filename=picodet_s_320_coco --output_dir=./output_inference$", out, re.M
    )
    assert f"--model_dir={folder} --model_filename=model.pdmodel" in out
    assert f"--infer_cfg={folder}/infer_cfg.yml --onnx_file=test_tipc/output/" in out


def test_every_model_has_a_config_that_names_it():
    assert {path.parent.name for path in OURS} == MODELS
    for path in OURS:
        done = plan(path)
        assert (done.status, done.err) == (0, ""), path
        assert f", model {path.parent.name}, mode paddle2onnx_infer\n" in done.out
        script = re.search(r"^infer onnxruntime: \(in (\S+)\) python (\S+)", done.out, re.M)
        assert (ROOT / script[1] / script[2]).is_file(), path


LINES = [
    ("--opset_version:10", "--opset_version:ten", ":9: '--opset_version': expected a number such as 11, found 'ten'"),
    ("2onnx: paddle2onnx", "2onnx: rm -rf x", ":4: '2onnx': expected the command paddle2onnx, found 'rm -rf x'"),
    ("Global.use_onnx:True", "Global.use_onnx:Ture", ":13: 'Global.use_onnx': expected True, found 'Ture'"),
    ("model_name:MobileNetV3_large_x1_0", "model_name:a/../b", "model_name becomes a folder's name"),
    (
        "--save_file:./deploy/models/MobileNetV3_large_x1_0_infer/inference.onnx",
        "--save_file:null/",
        "expected a file's name",
    ),
    ("--model_dir:./deploy/models/MobileNetV3_large_x1_0_infer/", "--model_dir:", "'--model_dir' has no value"),
    ("inference:./python/predict_cls.py\n", "", ":15: paddle2onnx_params ends after 14 lines"),
    ("inference:./python/predict_cls.py", 'inference:"a', "has a quote that is not closed"),
    ("paddle2onnx_params", "serving_params", "the section ===paddle2onnx_params=== is missing"),
]


@pytest.mark.parametrize(("old", "new", "message"), LINES)
def test_a_wrong_line_is_named(official, tmp_path, old, new, message):
    text = named(official, "MobileNetV3_large_x1_0").read_text()
    assert old in text
    path = tmp_path / "config.txt"
    path.write_text(text.replace(old, new))
    assert_one_error(plan(path), message)


def test_other_modes_and_exports_are_refused(official, tmp_path):
    command = ["bash", str(ROOT / DRIVER), str(OURS[0]), "serving_infer", "--dry_run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    assert_one_error(Run(done.returncode, done.stdout, done.stderr, None), "unknown mode 'serving_infer'")
    path = tmp_path / "config.txt"
    path.write_text(named(official, "picodet_s_320").read_text().replace("infer_mode:norm", "infer_mode:fast"))
    assert_one_error(plan(path), "'infer_mode': expected one of: norm quant fpgm distill kl_quant null, found 'fast'")
