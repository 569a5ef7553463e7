"""Ground for the tests of Paddle Lite: its interpreter, and a small network that was converted once."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.scripts import LIMIT, ROOT, Outcome

LIB = ROOT / "test_tipc/lib"


class Converted(NamedTuple):
    """A folder as the chain leaves it: the copy of the program, and the two .nb files."""

    folder: Path
    model: Path  # the exported model

    @property
    def program(self):
        return self.folder / "program"

    @property
    def arm(self):
        return self.folder / "net.nb"

    @property
    def x86(self):
        return self.folder / "net_x86.nb"


def run_python(python, script, *words):
    """Run a script of test_tipc/lib with that interpreter."""
    command = [str(python), str(LIB / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def lite_python():
    """An interpreter that has Paddle Lite; the tests that need it are skipped where there is none."""
    python = os.environ.get("TIPC_LITE_PYTHON") or ROOT / ".venv-lite/bin/python"
    try:
        found = subprocess.run([python, "-c", "import numpy, paddlelite.lite"], capture_output=True, timeout=LIMIT)
    except OSError:
        found = None
    if found is None or found.returncode:
        pytest.skip("no Python with Paddle Lite: bash test_tipc/prepare.sh CONFIG lite_arm_cpu_cpp makes .venv-lite")
    return str(python)


@pytest.fixture
def run_lite(lite_python):
    """`run_lite(script, *words)` runs a script of test_tipc/lib with that interpreter."""
    return lambda script, *words: run_python(lite_python, script, *words)


def convert(lite_python, python, model, folder, images=ROOT / "test_images"):
    """The `Converted` of an exported model."""
    made = Converted(folder, model)
    done = run_python(python, "lite_program.py", model, "--images", images, "--output", made.program)
    assert done.status == 0, done.err
    for target, path in (("arm", made.arm), ("x86", made.x86)):
        done = run_python(lite_python, "lite_opt.py", made.program, "--target", target, "--output", path)
        assert done.status == 0, done.out + done.err
    return made


@pytest.fixture(scope="session")
def converted(lite_python, exported, tmp_path_factory):
    import sys

    return convert(lite_python, sys.executable, exported.model, tmp_path_factory.mktemp("lite"))
