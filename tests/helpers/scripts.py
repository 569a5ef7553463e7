"""Run entry scripts under test, and check the form of their errors."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures"
LIMIT = 600  # seconds; only guards against a hang, however busy the machine is


class Outcome(NamedTuple):
    """How a script ended."""

    status: int
    out: str
    err: str


def with_library(**more):
    """The environment of a program of a test that imports the library, or tests, by itself."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **more}


def run_process(script, *options, cwd=ROOT, timeout=LIMIT, **environment):
    """Run an entry script of this repository in a separate process."""
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, options)],
        cwd=cwd,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def results_of(outcome):
    """The lines of standard output that are not records of the log."""
    return [line for line in outcome.out.splitlines() if "] ppcls_lite " not in line]


def assert_one_line(outcome, *expected, status=1):
    """The script ended with the status and exactly one line of error, which holds the `expected` texts."""
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert outcome.status == status, outcome
    assert "Traceback" not in outcome.err + outcome.out
    assert len(errors) == 1, outcome.err
    for text in expected:
        assert text in errors[0]
