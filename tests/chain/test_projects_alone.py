"""The foreign projects of the tests are sound: their scripts work by themselves, and every fault can be planted."""

import os
import re
import subprocess
import sys

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.projects import CONFIGS, FAULTS, PROJECTS, make_project, plant
from tests.helpers.scripts import LIMIT

DET = "configs/tinydet/tinydet_32_lite.yml"
DET_WEIGHTS = "weights=output/tinydet_32_lite/model_final.pdparams"

needs_pdmodel = pytest.mark.skipif(number() >= NO_PDMODEL, reason="this Paddle does not write .pdmodel")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{name: the project's folder}"""
    return {name: make_project(name, tmp_path_factory.mktemp("projects") / name) for name in FAULTS}


def run(folder, script, *options):
    """The output of a script of a project, which must end well."""
    done = subprocess.run(
        [sys.executable, script, *options],
        cwd=folder,
        env={**os.environ, "FLAGS_enable_pir_api": "0", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_falls(losses):
    part = len(losses) // 5
    assert sum(losses[-part:]) < 0.8 * sum(losses[:part]), losses


@needs_pdmodel
def test_the_classifier_by_hand(made):
    folder = made["classifier"]
    log = run(folder, "train.py", "--epochs=10")
    losses = [
        float(loss) for loss in re.findall(r"^\[Epoch \d+, iter: \d+\].* loss: (\S+), avg_reader_cost", log, re.M)
    ]
    assert len(losses) == 60  # every third iteration has a line
    assert_falls(losses)
    weights = "--pretrained=./output/latest.pdparams"
    accuracy = re.search(r"^Test:  Acc@1 (\S+) ", run(folder, "train.py", "--test-only", weights), re.M)
    assert log.splitlines()[-1].startswith(accuracy[0])
    assert float(accuracy[1]) > 1 / 3
    predicted = results(run(folder, "tools/predict.py", weights, "--img-path=./images"))
    run(folder, "tools/export_model.py", weights, "--save-inference-dir=./inference")
    inferred = results(run(folder, "deploy/infer.py", "--model-dir=./inference", "--img-path=./images"))
    assert len(predicted) == 5
    assert predicted == inferred
    assert status(folder) == ""


def results(output):
    """{image: (class, probability)} that predict and infer print."""
    lines = re.findall(r"^image_name: (.*), class_id: (\d+), prob: (\S+)$", output, re.M)
    return {image: (int(label), pytest.approx(float(prob), abs=1e-4)) for image, label, prob in lines}


@needs_pdmodel
def test_the_detector_by_hand(made):
    folder = made["detector"]
    log = run(folder, "tools/train.py", "-c", DET, "-o", "epoch=20")
    losses = [float(loss) for loss in re.findall(r"Epoch: \[\d+\] \[\d+/6\] .* loss: (\S+) eta", log)]
    assert len(losses) == 60  # every second iteration has a line
    assert_falls(losses)
    recall = re.search(
        r"^Recall \(IoU > 0.3\): (\S+)", run(folder, "tools/eval.py", "-c", DET, "-o", DET_WEIGHTS), re.M
    )
    assert float(recall[1]) > 0
    predicted = run(folder, "tools/infer.py", "-c", DET, "-o", DET_WEIGHTS, "--image_dir=demo", "--draw_threshold=0")
    run(folder, "tools/export_model.py", "-c", DET, "-o", DET_WEIGHTS)
    inferred = run(
        folder,
        "deploy/python/infer.py",
        "--model_dir=output_inference/tinydet_32_lite",
        "--image_dir=demo",
        "--batch_size=2",
        "--threshold=1e-9",
    )
    boxes = re.findall(r"^  (\w+) (\S+) (\S+) (\S+) (\S+) (\S+)$", predicted, re.M)
    found = re.findall(r"^class_id:\d+, (\w+), confidence:(\S+), box:\[(\S+), (\S+), (\S+), (\S+)\]$", inferred, re.M)
    assert len(boxes) == 5 * 20
    assert [name for name, *_ in boxes] == [name for name, *_ in found]
    for first, second in zip(boxes, found):
        assert list(map(float, first[1:])) == pytest.approx(list(map(float, second[1:])), abs=0.02)
    assert status(folder) == ""


def status(folder):
    """What git sees that is not committed."""
    return subprocess.check_output(["git", "-C", str(folder), "status", "--porcelain"], text=True)


@pytest.mark.parametrize("name", FAULTS)
def test_a_project_is_whole_and_knows_nothing_of_us(made, name):
    assert (made[name] / CONFIGS[name]).is_file()
    assert status(made[name]) == ""
    for path in (PROJECTS / name).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert not re.search(r"ppcls_lite|TIPC_|observe", path.read_text()), path


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name in FAULTS for fault in FAULTS[name]])
def test_a_fault_can_be_planted(tmp_path, name, fault):
    planted = FAULTS[name][fault]
    (tmp_path / planted.file).parent.mkdir(parents=True, exist_ok=True)
    original = (PROJECTS / name / planted.file).read_text()
    (tmp_path / planted.file).write_text(original)
    plant(tmp_path, planted)
    text = (tmp_path / planted.file).read_text()
    assert text != original
    compile(text, planted.file, "exec")
    assert planted.check in ("preprocessing", "network", "engine")
