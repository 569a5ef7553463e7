"""Scripts that are observed deeply, and the diagnosis of what was recorded of them."""

import json

from tests.helpers.scripts import ROOT


class Diagnosed:
    """What diagnose.py printed and saved."""

    def __init__(self, status, out, folder):
        self.status, self.out, self.folder = status, out, folder
        saved = folder / "diagnose.json"
        self.saved = json.loads(saved.read_text()) if saved.is_file() else None

    @property
    def first(self):
        """(name of the first stage that differs, its cause)"""
        return self.saved["first"], self.saved["cause"]

    def stage(self, name):
        """What diagnose.json says of a stage."""
        return next(stage for stage in self.saved["stages"] if stage["name"] == name)


class Examined:
    """A folder with the recordings of a prediction and of an inference, and an exported model."""

    def __init__(self, folder, warm):
        self.folder, self.warm = folder, warm
        self.folder.mkdir()

    def run(self, step, *words, folder=ROOT):
        """Run a script's step; `predict`, `evaluate` and `infer` are observed."""
        log = self.folder / f"{step}.log"
        environment = {}
        if step != "export":
            recorded = self.folder / f"{step}_observed"
            recorded.mkdir()
            environment = {"TIPC_OBSERVE": str(recorded), "TIPC_OBSERVE_DEEP": "1"}
        assert self.warm.run(words, folder, log, **environment) == 0, log.read_text()

    def diagnose(self, *options):
        """The `Diagnosed` of what was recorded."""
        options = [*self._recorded(), "--model_dir", self.folder, "--output", self.folder / "diagnosis", *options]
        log = self.folder / "diagnose.log"
        status = self.warm.run([ROOT / "test_tipc/lib/diagnose.py", *options], ROOT, log)
        return Diagnosed(status, log.read_text(), self.folder / "diagnosis")

    def _recorded(self):
        names = {"--reference": "predict", "--evaluated": "evaluate", "--inferred": "infer"}
        for option, step in names.items():
            if (self.folder / f"{step}_observed").is_dir():
                yield from (option, self.folder / f"{step}_observed")
