"""The foreign projects, with their steps run and observed as a chain does it, and with faults planted in copies."""

import shutil

from tests.helpers.projects import make_project

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
_FIRST = {
    "deploy": "infer",
    "tools/export_model.py": "export",
    "tools/predict.py": "predict",
    "tools/infer.py": "predict",
}


def first_step(file):
    """The first of STEPS that a file of a project takes part in."""
    return next((step for place, step in _FIRST.items() if file.startswith(place)), "evaluate")


class Observed:
    """A project whose steps are run and observed, deeply where a diagnosis is to follow."""

    deep = False

    def __init__(self, name, folder, warm, begun=None):
        self.name, self.folder, self.warm = name, folder, warm
        self.out = folder / "out"
        self.cwd = folder  # where the scripts run
        self.more = {}  # {step: words that its command gets besides}
        if begun is None:
            self._begin()
        else:
            self._copy(begun.folder)

    def _begin(self):
        make_project(self.name, self.folder)
        self.out.mkdir()
        assert self.run("train") == 0, (self.out / "train.log").read_text()

    def _copy(self, begun):
        shutil.copytree(begun, self.folder)

    def words(self, step):
        """The command of a step."""
        return [*COMMANDS[self.name][step].replace("OUT", str(self.out)).split(), *self.more.get(step, ())]

    def run(self, step):
        """Run a step without an observer; its exit code."""
        return self.warm.run(self.words(step), self.cwd, self.out / f"{step}.log")

    def observe_from(self, first, last="infer"):
        """Run the steps from `first` on, and drop what was recorded of them before."""
        for step in STEPS[STEPS.index(first) : STEPS.index(last) + 1]:
            shutil.rmtree(self.out / f"{step}.log_observed", ignore_errors=True)
            if step == "export":
                shutil.rmtree(self.out / "inference", ignore_errors=True)
                assert self.run(step) == 0, (self.out / "export.log").read_text()
            else:
                self.warm.observe(self.words(step), self.cwd, self.out / f"{step}.log", self.deep)
        return self
