"""new_model.sh, and a copy of what it reads and writes."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import Run

FOLDERS = ("ppcls_lite/arch", "ppcls_lite/utils", "tools", "test_tipc/lib", "test_tipc/configs", "deploy/configs")
FILES = ("ppcls_lite/__init__.py", "docs/models.md", "docs/models/series.yaml", "test_tipc/common_func.sh")
FILES += ("test_tipc/new_model.sh", "tests/arch/test_networks.py")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """That copy; a test takes one of its own."""
    tree = tmp_path_factory.mktemp("pristine")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", "materials"))
    configs = sorted((ROOT / "ppcls_lite/configs").glob("*.yaml"))
    for path in [*(ROOT / file for file in FILES), *configs]:
        target = tree / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tree


@pytest.fixture
def tree(pristine, tmp_path):
    """A copy in a folder with a blank in its name."""
    return shutil.copytree(pristine, tmp_path / "a b")


def new_model(tool, *words, place, **environment):
    """A `Run` of the new_model.sh of the repository `tool`, with a Python without packages that is put into `place`."""
    python = place / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", str(tool / "test_tipc/new_model.sh"), *words],
        cwd="/",
        env={**os.environ, "TIPC_PYTHON": str(python), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return Run(done.returncode, done.stdout, done.stderr, None)


def content(folder):
    """{path: bytes of the file, or None of a folder} of all below a folder, but for Python's caches."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts:
            found[path.relative_to(folder).as_posix()] = path.read_bytes() if path.is_file() else None
    return found
