"""Configs to be linted, in a small project whose scripts are known."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.scripts import FIXTURES, LIMIT, ROOT

LINT = ROOT / "test_tipc/lint_config.sh"
PROJECT = FIXTURES / "projects/classifier"


def lint(*words, **environment):
    command = ["bash", str(LINT), *map(str, words)]
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment, cwd="/")


def findings(*words):
    """{path: [finding]} as --json has them."""
    done = lint("--json", *words)
    assert done.stderr == "", done
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["errors"] else 0)
    return {Path(file["path"]): file["findings"] for file in told["files"]}


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """A copy of a small project: its own scripts, and nothing of this repository."""
    folder = tmp_path_factory.mktemp("lint") / "classifier"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
