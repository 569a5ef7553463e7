"""A stand-in for GitHub's runner: the `run` steps of a workflow, in their order, with the files and variables it gives.

Steps that use an action are left out: what they do, a checkout and an interpreter, the test has prepared.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.helpers.scripts import LIMIT

EXPRESSION = re.compile(r"\$\{\{.*?\}\}")


class Ran(NamedTuple):
    """A step that was run: its name, exit code, and all it printed."""

    name: str
    status: int
    out: str


class Runner:
    """Runs the one job of a workflow in `workspace`, a checkout. `changes` are new values of its `env`.

    Attributes:
        ran: [Ran]; failed: is the job red; summary: the text that the page of the run shows.
        temp: the runner's folder; kept: {step's name: path} of what the upload actions keep.
    """

    def __init__(self, workflow, workspace, folder, **changes):
        workflow = yaml.safe_load(Path(workflow).read_text(encoding="utf-8"))
        unknown = set(changes) - set(workflow["env"])
        assert not unknown, f"no such variables: {unknown}"
        self.workspace, self.temp = Path(workspace), Path(folder, "temp")
        self.temp.mkdir(parents=True)
        self._variables = {**{key: str(value) for key, value in workflow["env"].items()}, **changes}
        names = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        self._files = {name: Path(folder, name.lower()) for name in names}
        for path in self._files.values():
            path.touch()
        self.ran, self.kept, self.failed = [], {}, False
        (job,) = workflow["jobs"].values()
        for step in job["steps"]:
            self._step(step)

    @property
    def summary(self):
        return self._files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")

    def _step(self, step):
        always = step.get("if") == "always()"
        if self.failed and not always:
            return
        if "upload-artifact" in step.get("uses", ""):
            self.kept[step["name"]] = Path(step["with"]["path"].replace("${{ runner.temp }}", str(self.temp)))
        if "run" not in step:
            return
        assert not EXPRESSION.search(step["run"]), "an expression in a script is pasted into it before it runs"
        script = self.temp / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "-e", str(script)],
            cwd=self.workspace,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * LIMIT,
        )
        self.ran.append(Ran(step["name"], done.returncode, done.stdout))
        self.failed = self.failed or done.returncode != 0

    def _environment(self):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TIPC_", "FLAGS_", "GIT_"))}
        lines = self._files["GITHUB_ENV"].read_text(encoding="utf-8").splitlines()
        return {
            **kept,
            **self._variables,
            **{name: str(path) for name, path in self._files.items()},
            **dict(line.split("=", 1) for line in lines),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            "TIPC_PYTHON": sys.executable,  # what the step before would install takes minutes
        }
