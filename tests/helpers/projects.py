"""Two Paddle projects of other people, small enough for tests: with data, under git, and with a fault on request.

`classifier` has the scripts and the config of PaddlePaddle/models, `detector` those of PaddleDetection. Their code lies
in tests/fixtures/projects and knows nothing of this repository; their images are made here of ours.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.helpers.scripts import FIXTURES, ROOT

PROJECTS = FIXTURES / "projects"
CLASSES = ("bird", "flower", "vehicle")
CONFIGS = {
    "classifier": "test_tipc/configs/MiniNet/train_infer_python.txt",
    "detector": "test_tipc/configs/tinydet_32_lite/train_infer_python.txt",
}


class Fault(NamedTuple):
    """A text of a project's file and what takes its place; `check` is the one that must find it: "preprocessing",
    "network" or "engine".
    """

    file: str
    old: str
    new: str
    check: str


FAULTS = {
    "classifier": {
        "BGR in infer": Fault(
            "deploy/infer.py", "img = np.array(img)\n", "img = np.array(img)[:, :, ::-1]\n", "preprocessing"
        ),
        "another mean in infer": Fault("deploy/infer.py", "[0.485, 0.456, 0.406]", "[0.5, 0.5, 0.5]", "preprocessing"),
        "another resize in infer": Fault("deploy/infer.py", "Image.BILINEAR", "Image.NEAREST", "preprocessing"),
        "another size in infer": Fault(
            "deploy/infer.py", '"--resize-size", default=36', '"--resize-size", default=32', "preprocessing"
        ),
        "weights not loaded in predict": Fault("tools/predict.py", "    model.set_state_dict(params)\n", "", "network"),
        "weights not loaded in eval": Fault("train.py", "        model.set_state_dict(state)\n", "", "network"),
        "softmax missing in the export": Fault(
            "tools/export_model.py", "nn.Sequential(model, nn.Softmax())", "nn.Sequential(model)", "network"
        ),
        "export of another epoch": Fault(
            "tools/export_model.py",
            "load(args.pretrained)",
            'load(args.pretrained.replace("latest", "epoch_5"))',
            "network",
        ),
        "dropout left on in the export": Fault("tools/export_model.py", "    model.eval()\n", "", "network"),
        "dropout left on in predict": Fault("tools/predict.py", "    model.eval()\n", "", "network"),
        # trains well, and gives every image the same result afterwards: with all engines alike
        "a dead network": Fault(
            "mininet.py", "x = self.avgpool(x)\n", "x = self.avgpool(x) * float(self.training)\n", "network"
        ),
    },
    "detector": {
        "BGR in infer": Fault(
            "deploy/python/preprocess.py", "    im = cv2.cvtColor(im, cv2.COLOR_BGR2RGB)\n", "", "preprocessing"
        ),
        "another mean in infer": Fault(
            "deploy/python/preprocess.py", "np.array(self.mean, dtype=np.float32)", "np.float32(0.5)", "preprocessing"
        ),
        "another resize in infer": Fault(
            "deploy/python/preprocess.py", "self.interp = interp", "self.interp = cv2.INTER_NEAREST", "preprocessing"
        ),
        "weights not loaded in predict": Fault("tools/infer.py", "    model.set_state_dict(params)\n", "", "network"),
        "weights not loaded in eval": Fault("tools/eval.py", "    model.set_state_dict(weights)\n", "", "network"),
        "export of another epoch": Fault(
            "tools/export_model.py",
            'load(cfg["weights"])',
            'load(cfg["weights"].replace("model_final", "4"))',
            "network",
        ),
        "boxes scaled wrongly in the export": Fault(
            "tinydet/model.py",
            "boxes = boxes / scale\n",
            "boxes = boxes / scale * (1.0 if paddle.in_dynamic_mode() else 2.0)\n",
            "network",
        ),
        "a dead network": Fault(
            "tinydet/model.py",
            'feats = self.backbone(inputs["image"])\n',
            'feats = self.backbone(inputs["image"]) * float(self.training)\n',
            "network",
        ),
    },
}


def make_project(name, folder, fault=None):
    """Make the project `name` in `folder`, which must not exist, with a name of `FAULTS[name]` planted; its path.

    Everything is committed, a fault too: the tree is clean.
    """
    folder = Path(folder)
    shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    _DATA[name](folder)
    if fault is not None:
        plant(folder, FAULTS[name][fault])
    git = ["git", "-C", str(folder), "-c", "user.name=Author", "-c", "user.email=author@example.com"]
    git += ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", f"The {name}"]):
        subprocess.run([*git, *words], check=True, env=environment)
    return folder


def plant(folder, fault):
    """Replace the fault's old text, which occurs exactly once, in the project in `folder`."""
    path = folder / fault.file
    text = path.read_text()
    assert text.count(fault.old) == 1, f"{path}: {text.count(fault.old)} times {fault.old!r}"
    path.write_text(text.replace(fault.old, fault.new))


def _classifier_data(folder):
    for part, count in (("train", 24), ("val", 8)):
        for name in CLASSES:
            target = folder / "lite_data" / part / name
            target.mkdir(parents=True)
            for path in sorted((ROOT / "lite_data" / part / name).iterdir())[:count]:
                shutil.copy(path, target)
    _copy_test_images(folder / "images")


def _detector_data(folder):
    data = folder / "dataset/lite_coco"
    (data / "annotations").mkdir(parents=True)
    for part, count in (("train", 24), ("val", 8)):
        name = f"annotations/instances_{part}.json"
        content = json.loads((ROOT / "lite_data_det" / name).read_text())
        content["images"] = content["images"][:count]
        kept = {image["id"] for image in content["images"]}
        content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] in kept]
        (data / name).write_text(json.dumps(content))
        (data / part).mkdir()
        for image in content["images"]:
            shutil.copy(ROOT / "lite_data_det" / part / image["file_name"], data / part)
    _copy_test_images(folder / "demo")


def _copy_test_images(target):
    target.mkdir()
    for path in sorted((ROOT / "test_images").glob("*.jpg")):
        shutil.copy(path, target)


_DATA = {"classifier": _classifier_data, "detector": _detector_data}
