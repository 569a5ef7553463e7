"""What the tests of the base chain share: a copy of the scripts, and a chain whose steps are small programs."""

import shutil
import subprocess

import pytest

from tests.helpers.models import SCRIPT, Copy
from tests.helpers.scripts import ROOT
from tests.helpers.shell import Chain, copy_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return copy_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def chain(tree, tmp_path):
    return Chain(tree, tmp_path)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """What a copy consists of, made once: in a git repository of its own, as people have it."""
    root = tmp_path_factory.mktemp("scripts")
    shutil.copytree(ROOT / "test_tipc", root / "test_tipc", ignore=shutil.ignore_patterns("output", "configs", "docs"))
    for folder in ("tools", "ppcls_lite", "deploy/configs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "configs"))
    for folder in ("dataset/ILSVRC2012", "lite_data", "test_images", "deploy/python"):
        (root / folder).mkdir(parents=True)
        (root / folder / "kept").write_text("")
    shutil.copy(ROOT / "requirements.txt", root)
    (root / "fake.py").write_text(SCRIPT)
    (root / ".gitignore").write_text("/test_tipc/output/\n/test_log/\n__pycache__/\n")
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "copy"], check=True)
    return root


@pytest.fixture
def copy(scripts, tmp_path):
    return Copy(shutil.copytree(scripts, tmp_path / "copy of it", symlinks=True))
