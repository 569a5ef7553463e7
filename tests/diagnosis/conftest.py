"""What these tests share: exports in both formats, recordings of steps, and scripts that are observed deeply."""

import subprocess
import sys
from pathlib import Path

import pytest

from agreement.exported import Exported
from agreement.recording import Recording
from diagnosis.subject import Subject
from ppcls_lite.utils import paddle_version
from tests.agree import zoo
from tests.diagnosis.examined import Examined
from tests.helpers.recordings import Deployed, Recorder, run_layer
from tests.helpers.scripts import LIMIT, ROOT, with_library
from tests.helpers.warm import Warm

MAKE = ROOT / "tests/diagnosis/models.py"


def make_models(folder, form, python=sys.executable):
    """Run models.py with a Python; the folder that it filled."""
    environment = with_library(FLAGS_enable_pir_api="1" if form == "json" else "0", CUDA_VISIBLE_DEVICES="")
    done = subprocess.run([python, MAKE, folder, form], env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return Path(folder)


@pytest.fixture(scope="session", params=["pdmodel", "json"])
def models(request, tmp_path_factory):
    """The folder of the exports and checkpoints of models.py, in each format that Paddle has."""
    if request.param == "json" and paddle_version.number() < (3, 0):
        pytest.skip("Paddle 2 does not have the format json")
    return make_models(tmp_path_factory.mktemp(request.param), request.param)


def structure_of(folder):
    """The structure file of an export."""
    return next(path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".pdmodel"))


class Steps:
    """Recordings in `folder` of steps that really ran, and the `Subject` of them."""

    def __init__(self, folder, structure):
        self.folder, self.structure = folder, structure
        self.references, self.inferred = [], []

    def layer(self, step, layer, pixels, loaded=()):
        """`step` calls a network, image by image; returns the list of outputs [C]."""
        recorder = Recorder(self.folder / step)
        network = recorder.network(layer, loaded)
        self.references.append(step)
        rows = []
        for row in range(len(pixels)):
            inputs = {"x": pixels[row : row + 1]}
            outputs = run_layer(layer, inputs)
            recorder.call("layer", network, inputs, outputs)
            rows.append(outputs["0"][0])
        return rows

    def infer(self, pixels, structure=None, name="infer"):
        """An inference command runs a model on all images at once; returns the list of outputs [C]."""
        model = Deployed(structure or self.structure)
        recorder = Recorder(self.folder / name)
        inputs, outputs = model.run(pixels)
        recorder.call("predictor", recorder.predictor(model.files), inputs, outputs)
        self.inferred.append(name)
        return list(next(iter(outputs.values())))

    def subject(self, **known):
        """The `Subject` of a diagnosis."""
        references = {step: Recording(self.folder / step) for step in self.references}
        inferred = [Recording(self.folder / name) for name in self.inferred]
        known.setdefault("progress", lambda line: None)
        return Subject(Exported(self.structure), references, inferred, **known)


@pytest.fixture
def steps(tmp_path):
    """`steps(folder of an export)`: `Steps` without recordings."""
    return lambda folder: Steps(tmp_path / "observed", structure_of(folder))


@pytest.fixture
def pixels():
    """Three images."""
    return zoo.images(3)


@pytest.fixture(scope="session")
def warm():
    with Warm() as process:
        yield process


@pytest.fixture
def faulty(tmp_path, warm):
    """`faulty(name)`: the `Examined` of a network of faulty.py, exported, predicted and inferred."""

    def run(name, *steps):
        examined = Examined(tmp_path / name, warm)
        for step in steps or ("export", "predict", "infer"):
            examined.run(step, ROOT / "tests/diagnosis/faulty.py", name, step, examined.folder / "inference")
        return examined

    return run
