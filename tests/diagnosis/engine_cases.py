"""Subjects of the stages of the engines: exported networks, and recordings of steps that really ran them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from agreement.exported import Exported
from agreement.recording import Recording
from diagnosis.engines.check import Engines
from diagnosis.engines.settings import STRICT
from diagnosis.engines.worker import Worker
from diagnosis.subject import Subject
from ppcls_lite.utils import paddle_version
from tests.agree import zoo
from tests.helpers.recordings import Recorder
from tests.helpers.scripts import LIMIT, ROOT

IMAGES = [zoo.images(4)[row : row + 1] for row in range(4)]


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """`exported(name, format)`: the structure file of one of networks.NETWORKS, in a format that this Paddle can write:
    `pdmodel` if it can, else `json`; 2.6 knows only the former, and 3.2 and later only the latter."""
    folders = {}

    def get(name, form="pdmodel"):
        if form == "json" and paddle_version.number() < (3, 0):
            pytest.skip("Paddle 2 does not have the format json")
        if form not in folders:
            folders[form] = tmp_path_factory.mktemp(form)
            environ = {**os.environ, "FLAGS_enable_pir_api": str(int(form == "json")), "GLOG_minloglevel": "3"}
            command = [sys.executable, "-W", "ignore", "-m", "tests.diagnosis.networks", str(folders[form])]
            subprocess.run(command, cwd=ROOT, env=environ, check=True, timeout=LIMIT, capture_output=True)
        return next(path for path in sorted((folders[form] / name).iterdir()) if path.suffix in (".json", ".pdmodel"))

    return get


def subject_of(structure, folder, images=IMAGES, infer=(), outputs=None, kept=True):
    """A `Subject` whose evaluation saw `images`, one call each, and inference commands with `infer`, `Settings` each.

    The outputs of an inference are those that a `Worker` computes with its settings, or `outputs(arrays)` of them.
    """
    exported = Exported(structure)
    recorder = Recorder(folder / "evaluate", kept=1000 if kept else 0)
    network = recorder.network(zoo.Classifier())
    for image in images:
        recorder.call("layer", network, {"image": image}, {"0": image})
    inferred = [_infer(exported, folder / f"infer_{number}", images, settings, outputs)
                for number, settings in enumerate(infer)]  # fmt: skip
    return Subject(exported, {"evaluate": Recording(folder / "evaluate")}, inferred, progress=lambda line: None)


def _infer(exported, folder, images, settings, outputs):
    recorder = Recorder(folder)
    with Worker(exported) as worker:
        listed = worker.listed(settings)
        found = worker.run(settings, [[image] for image in images]).outputs
    noted = {"ir_optim": settings.ir, "memory_optim": settings.memory, "onednn": settings.onednn,
             "openvino": settings.openvino, "tensorrt": False, "precision": settings.precision,
             "threads": settings.threads, "passes": [name for name in listed if name not in settings.deleted],
             "deleted": list(settings.deleted)}  # fmt: skip
    recorder.write(event="predictor", network="1-0", files=[str(exported.structure)], optimised=True, settings=noted)
    for image, arrays in zip(images, found):
        arrays = outputs(arrays) if outputs else arrays
        recorder.call("predictor", "1-0", {exported.feeds[0].name: image}, dict(zip(exported.outputs, arrays)))
    return Recording(folder)


def stages_of(subject, *names, limit=300):
    """The stages of the checks `names`, all of them where none is named."""
    with Engines(subject, limit) as engines:
        checks = [getattr(engines, f"check_{name}") for name in names] or engines.checks
        return [check() for check in checks]


def usual(structure):
    """The settings of a usual inference script; memory optimisation cannot run .json models."""
    return STRICT.but(ir=True, onednn=True, memory=structure.suffix == ".pdmodel")


def moved(arrays):
    """Outputs that no setting computes."""
    return [array + np.float32(0.1) for array in arrays]
