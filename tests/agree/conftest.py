"""A foreign project that was observed: networks, their exports (made once), and recordings of its three steps."""

import json

import pytest

from tests.helpers.recordings import Deployed, Recorder, export, run_layer

IMAGE = ((None, 3, 16, 16), "float32", "image")


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """`exports(name, make, *specs)` exports the network that `make()` returns, once for each name."""
    made = {}

    def get(name, make, *specs):
        if name not in made:
            made[name] = Deployed(export(make(), tmp_path_factory.mktemp(name) / "inference", *(specs or [IMAGE])))
        return made[name]

    return get


class Project:
    """Recordings in `folder` of steps that really ran; `model` is the exported one."""

    def __init__(self, folder, model, run_here):
        self.folder, self.model, self._run = folder, model, run_here
        self.weights = []
        self._recorders, self._networks, self.settings = {}, {}, []

    def recorder(self, step, **options):
        """The `Recorder` of a step."""
        if step not in self._recorders:
            self._recorders[step] = Recorder(self.folder / step, **options)
        return self._recorders[step]

    def layer(self, step, layer, inputs, training=False, place="cpu", loaded=(), outputs=None):
        """`step` calls a network with {name: array}; returns its outputs."""
        recorder = self.recorder(step)
        key = step, id(layer)
        if key not in self._networks:
            self._networks[key] = recorder.network(layer, loaded)
        outputs = outputs or run_layer(layer, inputs)
        recorder.call("layer", self._networks[key], inputs, outputs, training, place)
        return outputs

    def infer(self, *arrays, setting="infer", model=None, outputs=None, files=None):
        """An inference command runs the exported model; `outputs` makes others of them."""
        model = model or self.model
        recorder = self.recorder(setting)
        if setting not in self.settings:
            self.settings.append(setting)
            self._networks[setting] = recorder.predictor(model.files if files is None else files)
        inputs, found = model.run(*arrays)
        if outputs:
            found = {name: outputs(array) for name, array in found.items()}
        recorder.call("predictor", self._networks[setting], inputs, found)
        return found

    def agree(self, *options, folder=None):
        """The outcome of agree.py with all that was recorded, and what it saved in `saved`."""
        known = {"evaluate": "--evaluated", "predict": "--predicted"}
        parts = [part for step in known if step in self._recorders for part in (known[step], self.folder / step)]
        parts += ["--inferred", *(self.folder / setting for setting in self.settings)] if self.settings else []
        save = self.folder / "agree.json"
        model = folder or self.model.files[0].parent
        outcome = self._run("test_tipc/lib/agree.py", model, *parts, "--save", save, *options)
        self.saved = json.loads(save.read_text()) if save.exists() else None
        return outcome


@pytest.fixture
def project(tmp_path, run_here):
    """`project(model)`: a `Project` without recordings."""
    return lambda model: Project(tmp_path / "observed", model, run_here)


@pytest.fixture
def steps(project, exports):
    """`steps(model, layer, …)`: a project whose evaluation saw 6 images, and whose predict and infer saw 3."""
    from tests.agree import zoo

    def run(model, layer, evaluated=None, predicted=None, inferred=None):
        made = project(model)
        pixels = zoo.images(6)
        made.layer("evaluate", evaluated or layer, {"x": pixels[:4]})
        made.layer("evaluate", evaluated or layer, {"x": pixels[4:]})
        for row in range(3):
            made.layer(
                "predict", layer, {"x": pixels[row : row + 1] if predicted is None else predicted[row : row + 1]}
            )
        made.infer(pixels[:3] if inferred is None else inferred)
        return made

    return run
