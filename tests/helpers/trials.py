"""What faults are planted in: the foreign projects, and networks of ours with filled weights. All their steps are
observed deeply; copies get the faults, and diagnose.py says what it finds in them."""

import json
import os
import shutil
from pathlib import Path

from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.observed import STEPS, Observed
from tests.helpers.scripts import ROOT

DETECTOR = "CenterNet"  # ours
LARGE = {"ResNet50_vd": 64}  # pixels of the images, where 32 leave nothing that a pool of its could do otherwise
_CLASSES = 6
_WEIGHTS = "-o Global.pretrained_model=OUT/train/latest -o Global.device=cpu"
_OURS = {
    "predict": f"tools/infer.py -c CONFIG {_WEIGHTS}",
    "export": f"tools/export_model.py -c CONFIG {_WEIGHTS} -o Global.save_inference_dir=OUT/inference",
    "infer": "deploy/python/predict_KIND.py -c deploy/configs/inference_KIND.yaml -o Global.infer_imgs=IMAGES "
    "-o Global.inference_model_dir=OUT/inference -o Global.use_gpu=False",
}


class Diagnosed:
    """What diagnose.py printed, and what it saved."""

    def __init__(self, status, log, saved):
        self.status, self.out = status, log.read_text()
        self.saved = json.loads(saved.read_text()) if saved.is_file() else {}

    @property
    def first(self):
        """(name of the first stage that differs, its cause)"""
        return self.saved.get("first"), self.saved.get("cause")


class Trial(Observed):
    """A foreign project, `classifier` or `detector`, or a copy of it."""

    deep = True

    @property
    def checkpoint(self):
        """The weights file that was evaluated."""
        names = {"classifier": "latest.pdparams", "detector": "tinydet_32_lite/model_final.pdparams"}
        return self.out / "train" / names[self.name]

    @property
    def model(self):
        """The folder of the exported model."""
        return next((self.out / "inference").rglob("*.pdiparams")).parent

    @property
    def structure(self):
        """The file of the exported program."""
        return next(path for path in self.model.iterdir() if path.suffix in (".pdmodel", ".json"))

    def path(self, file):
        """A file of the project, or of the exported model where it begins with MODEL/."""
        return self.model / file[6:] if file.startswith("MODEL/") else self.folder / file

    def edit(self, file, old, new):
        """Replace a text, which occurs exactly once, in one of the files."""
        path = self.path(file)
        text = path.read_text()
        assert text.count(old) == 1, f"{path}: {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))

    def infer_as(self, name, *more):
        """Run one more inference command, with more words, observed; diagnose() judges it, too."""
        words = [*self.words("infer"), *more]
        self.warm.observe(words, self.cwd, self.out / f"more_{name}.log", True)

    def diagnose(self, *options):
        """The `Diagnosed` of all that was recorded."""
        words = [ROOT / "test_tipc/lib/diagnose.py", "--model_dir", self.out / "inference", *options]
        words += ["--weights", self.checkpoint, "--predict_log", self.out / "predict.log"]
        for step, option in zip(STEPS, ("--evaluated", "--reference")):
            if (self.out / f"{step}.log_observed").is_dir():
                words += [option, self.out / f"{step}.log_observed"]
        for log in (self.out / "infer.log", *sorted(self.out.glob("more_*.log"))):
            words += ["--inferred", f"{log}_observed", "--infer_log", log]
        log, saved = self.out / "diagnose.log", self.out / "diagnosis"
        status = self.warm.run([*words, "--output", saved], self.cwd, log)
        return Diagnosed(status, log, saved / "diagnose.json")


class OurTrial(Trial):
    """A classifier of ours for small images of six classes, or the small detector, or a copy of it."""

    def __init__(self, name, folder, warm, begun=None):
        super().__init__(name, folder, warm, begun)
        self.cwd = ROOT

    @property
    def checkpoint(self):
        return self.out / "train/latest.pdparams"

    @property
    def images(self):
        """The images that predict and infer get: a copy's own, where it has some."""
        usual = ROOT / ("lite_data_det/val" if self.name == DETECTOR else "test_images")
        return self.folder / "images" if (self.folder / "images").is_dir() else usual

    def words(self, step):
        is_detector = self.name == DETECTOR
        side = LARGE.get(self.name, 32)
        config = "detection/centernet_lite" if is_detector else f"lite_data_{side}"
        arch = "Arch.Backbone.name=MobileNetV3_small_x0_35" if is_detector else f"Arch.name={self.name}"
        words = _OURS[step].replace("CONFIG", f"ppcls_lite/configs/{config}.yaml -o {arch} -o Infer.infer_imgs=IMAGES")
        words = words.replace("IMAGES", str(self.images)).replace("KIND", "det" if is_detector else "cls")
        return [*words.replace("OUT", str(self.out)).split(), *self.more.get(step, ())]

    def _begin(self):
        (self.out / "train").mkdir(parents=True)
        save_arrays(self._filled(), self.checkpoint)

    def _filled(self):
        if self.name != DETECTOR:
            return random_weights(self.name, _CLASSES)
        from ppcls_lite.utils.config import load_config
        from tests.helpers.detection import detector_weights

        path = ROOT / "ppcls_lite/configs/detection/centernet_lite.yaml"
        return detector_weights(load_config(path, ["Arch.Backbone.name=MobileNetV3_small_x0_35"]))

    def _copy(self, begun):
        """The checkpoint stays where it is: no fault changes it."""
        self.out.mkdir(parents=True)
        os.symlink(begun / "out/train", self.out / "train")
        for path in (begun / "out").iterdir():
            if path.is_dir() and path.name not in ("train", "diagnosis"):
                shutil.copytree(path, self.out / path.name)
            elif path.is_file():
                shutil.copy(path, self.out)


def make_trial(name, folder, warm, begun=None):
    """The foreign project `classifier` or `detector`, or our network of that name, with all its steps observed.

    With `begun` it is a copy of that one, in which no step has run again.
    """
    kind = Trial if name in ("classifier", "detector") else OurTrial
    trial = kind(name, Path(folder), warm, begun)
    if begun is None:
        trial.observe_from("evaluate" if kind is Trial else "predict")
    return trial
