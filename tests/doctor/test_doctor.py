"""doctor.sh as it is called: on this machine, on an old Python, and where there is none."""

import ast
import json
import os
import re
import shutil
import subprocess

import pytest

from doctor.registry import CHECKS, LEVELS
from tests.helpers.scripts import LIMIT, ROOT

DOCTOR = ROOT / "test_tipc/doctor.sh"
LIB = ROOT / "test_tipc/lib"
SOURCES = [*sorted((LIB / "doctor").glob("*.py")), LIB / "examine.py", LIB / "known_versions.py", LIB / "script.py"]


def doctor(*options, script=DOCTOR, **environment):
    command = ["/bin/bash", str(script), *options]
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment, cwd="/")


def test_this_machine():
    done = doctor()
    *lines, last = done.stdout.splitlines()
    assert done.stderr == ""
    assert all(re.match(rf"({'|'.join(LEVELS)}) +\w[\w ]{{1,18}}  ?\S", line) for line in lines), done.stdout
    assert len(lines) == len(CHECKS)
    assert last.startswith(f"{len(CHECKS)} checks")
    assert done.returncode == any(line.startswith("FAULT") for line in lines)


def test_for_a_program():
    done = doctor("--json")
    told = json.loads(done.stdout)
    assert len(told["findings"]) == len(CHECKS) == told["OK"] + told["NOTE"] + told["FAULT"]
    assert set(told["findings"][0]) == {"level", "check", "found", "means", "remedy"}


@pytest.fixture
def no_python(tmp_path):
    """A copy of the scripts without .venv, and a PATH with nothing on it."""
    shutil.copytree(ROOT / "test_tipc", tmp_path / "test_tipc", ignore=shutil.ignore_patterns("output", "configs"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "test_tipc/doctor.sh", {"PATH": str(tmp_path / "bin"), "TIPC_PYTHON": "/no/python"}


def test_without_python_it_says_so(no_python):
    script, environment = no_python
    done = doctor(script=script, **environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAULT  python               none: ")
    assert "do: apt-get install python3 python3-venv" in done.stdout
    done = doctor("--json", script=script, **environment)
    assert (done.returncode, json.loads(done.stdout)["FAULT"]) == (1, 1)


def test_an_interpreter_that_is_too_old_is_passed_over(no_python):
    script, environment = no_python
    program = script.parents[1] / "bin/python3"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert "FAULT  python               none" in doctor(script=script, **environment).stdout


def test_a_fault_is_an_exit_code():
    done = doctor(TIPC_PYTHON="/no/python")
    assert done.returncode == 1
    assert "FAULT  interpreter          TIPC_PYTHON=/no/python: no such program" in done.stdout
    assert re.search(r"1 FAULT \(interpreter", done.stdout.splitlines()[-1])


@pytest.mark.parametrize("path", SOURCES, ids=[path.name for path in SOURCES])
def test_it_is_written_for_python_3_6(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_unknown_option():
    done = doctor("--all")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: unknown option '--all'; see --help\n")


def test_help():
    assert "Exit code: 0 no fault, 1 a fault." in doctor("--help").stdout
