"""Foreign projects, observed: sound ones agree, and each planted fault is found by the check that it is for."""

import json
import re
import shutil

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.projects import FAULTS, make_project, plant
from tests.helpers.scripts import ROOT
from tests.helpers.warm import Warm

pytestmark = pytest.mark.skipif(number() >= NO_PDMODEL, reason="scripts such as these need .pdmodel")

STEPS = ("evaluate", "predict", "export", "infer")
CONFIG = "-c configs/tinydet/tinydet_32_lite.yml"
# the commands as a chain would make them; OUT is the folder of the run
COMMANDS = {
    "classifier": {
        "train": "train.py --output-dir=OUT/train --epochs=10 --batch-size=4",
        "evaluate": "train.py --test-only --pretrained=OUT/train/latest.pdparams",
        "predict": "tools/predict.py --pretrained=OUT/train/latest.pdparams --img-path=./images",
        "export": "tools/export_model.py --pretrained=OUT/train/latest.pdparams --save-inference-dir=OUT/inference",
        "infer": "deploy/infer.py --use-gpu=False --batch-size=1 --model-dir=OUT/inference --img-path=./images",
    },
    "detector": {
        "train": f"tools/train.py {CONFIG} -o use_gpu=False epoch=20 save_dir=OUT/train TrainReader.batch_size=4",
        "evaluate": f"tools/eval.py {CONFIG} -o weights=OUT/train/tinydet_32_lite/model_final.pdparams use_gpu=False",
        "predict": f"tools/infer.py {CONFIG} --image_dir=./demo -o use_gpu=False "
        "weights=OUT/train/tinydet_32_lite/model_final.pdparams",
        "export": f"tools/export_model.py {CONFIG} --output_dir=OUT/inference -o "
        "weights=OUT/train/tinydet_32_lite/model_final.pdparams use_gpu=False",
        "infer": "deploy/python/infer.py --device=cpu --batch_size=2 --model_dir=OUT/inference/tinydet_32_lite "
        "--image_dir=./demo",
    },
}
# the first step that a changed file takes part in; those before are as they were
FIRST = {"deploy": "infer", "tools/export_model.py": "export"}
FIRST.update({"tools/predict.py": "predict", "tools/infer.py": "predict"})


class Observed:
    """A project whose steps are run and observed."""

    def __init__(self, name, folder, warm, begun=None):
        self.name, self.folder, self.warm = name, folder, warm
        self.out = folder / "out"
        if begun is None:
            make_project(name, folder)
            self.out.mkdir()
            assert self.run("train") == 0, (self.out / "train.log").read_text()
        else:
            shutil.copytree(begun.folder, folder)

    def words(self, step):
        return COMMANDS[self.name][step].replace("OUT", str(self.out)).split()

    def run(self, step):
        return self.warm.run(self.words(step), self.folder, self.out / f"{step}.log")

    def observe_from(self, first, last="infer"):
        """Run the steps from `first` on, and drop what was recorded of them before."""
        for step in STEPS[STEPS.index(first) : STEPS.index(last) + 1]:
            shutil.rmtree(self.out / f"{step}.log_observed", ignore_errors=True)
            if step == "export":
                shutil.rmtree(self.out / "inference", ignore_errors=True)
                assert self.run(step) == 0, (self.out / "export.log").read_text()
            else:
                self.warm.observe(self.words(step), self.folder, self.out / f"{step}.log")
        return self

    def agree(self):
        """(exit code, {check: its line}, the last line)"""
        out, script = self.out, ROOT / "test_tipc/lib/agree.py"
        words = [script, out / "inference", "--save", out / "agree.json"]
        for step, option in zip(STEPS, ("--evaluated", "--predicted", "", "--inferred")):
            words += [option, out / f"{step}.log_observed"] if option else []
        words += ["--predict_log", out / "predict.log", "--infer_log", out / "infer.log"]
        status = self.warm.run(words, self.folder, out / "agree.log")
        lines = (out / "agree.log").read_text().splitlines()
        found = {re.match(r"\w+", line)[0]: line for line in lines if re.match("(preprocessing|network|engine)", line)}
        assert json.loads((out / "agree.json").read_text()).keys() == {"preprocessing", "network", "engine"}
        return status, found, lines[-1]


@pytest.fixture(scope="module")
def warm():
    with Warm() as process:
        yield process


@pytest.fixture(scope="module")
def sound(tmp_path_factory, warm):
    """{name: the project without a fault, all its steps observed}"""
    folders = {name: tmp_path_factory.mktemp(name) / "project" for name in COMMANDS}
    return {name: Observed(name, folder, warm).observe_from("evaluate") for name, folder in folders.items()}


def test_a_sound_classifier(sound):
    status, lines, _ = sound["classifier"].agree()
    assert status == 0, lines
    assert "4.77e-07 for 5 (at most 1e-05 of the scale" in lines["preprocessing"]  # normalised in another order
    assert lines["network"].startswith("network: bitwise equal for ")
    assert "softmax is behind the network in the export" in lines["network"]
    assert all(line.endswith(": agrees") for line in lines.values())


def test_a_sound_detector(sound):
    status, lines, _ = sound["detector"].agree()
    assert status == 0, lines
    assert lines["preprocessing"].startswith("preprocessing: bitwise equal for 5 of 5 images")
    assert lines["network"].startswith("network: bitwise equal for ")
    assert all(line.endswith(": agrees") for line in lines.values())


FAULTY = [(name, fault) for name, faults in FAULTS.items() for fault in faults]


@pytest.mark.parametrize(("name", "fault"), FAULTY, ids=lambda text: text.replace(" ", "-"))
def test_a_planted_fault_is_found_by_its_check(sound, tmp_path, warm, name, fault):
    project = Observed(name, tmp_path / "project", warm, begun=sound[name])
    planted = FAULTS[name][fault]
    plant(project.folder, planted)
    first = next((step for place, step in FIRST.items() if planted.file.startswith(place)), "evaluate")
    status, lines, last = project.observe_from(first).agree()
    assert status == 1, lines
    disagreeing = [check for check, line in lines.items() if "DISAGREES" in line]
    assert disagreeing[:1] == [planted.check], lines
    assert last.startswith(f"error: the {planted.check}")
    assert "disagrees: " in last
