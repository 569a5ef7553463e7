"""The package: what is in it, that building it leaves the checkout alone, and that it works away from the checkout."""

import configparser
import email
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.helpers.scripts import LIMIT, ROOT

pytest.importorskip("hatchling", reason="hatchling is missing: pip install -r tests/requirements.txt")

BUILD = """
import sys
from hatchling import build
print(build.build_wheel(sys.argv[1]), build.build_sdist(sys.argv[1]))
"""
LIBRARY = ROOT / "ppcls_lite"


def build(folder, source=ROOT):
    """(wheel, sdist) of the checkout `source`, built into `folder`."""
    command = [sys.executable, "-c", BUILD, str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return [folder / name for name in done.stdout.split()]


def listing():
    """The files of the library, and what builds usually leave in a checkout."""
    left = {path for pattern in ("build", "dist", "*.egg-info") for path in ROOT.glob(pattern)}
    return left | {path for path in LIBRARY.rglob("*") if "__pycache__" not in path.parts}


def content(wheel):
    """{name: bytes} of the wheel's part of the library."""
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist() if not name.startswith("ppcls_lite-")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(wheel, sdist), and what the build has added to the checkout."""
    before = listing()
    files = build(tmp_path_factory.mktemp("built"))
    return (*files, listing() - before)


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The folder in which the wheel is unpacked, as pip does it."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(built[0]) as file:
        file.extractall(folder)
    return folder


def test_building_writes_nothing_into_the_checkout(built):
    assert built[2] == set()


def test_wheel_has_the_library_and_nothing_else(built):
    found = content(built[0])
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in LIBRARY.rglob("*")
        if path.is_file() and not {"__pycache__", "benchmark"} & set(path.parts)
    }
    assert set(found) == expected
    assert {
        "ppcls_lite/utils/imagenet1k_label_list.txt",
        "ppcls_lite/configs/ImageNet/ResNet/ResNet50.yaml",
    } <= expected


def test_source_archive_makes_the_same_wheel(built, tmp_path):
    with tarfile.open(built[1]) as file:
        names = file.getnames()
        file.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert not [name for name in names if "/tests/" in name or "/dataset/" in name or "/test_log/" in name]
    assert content(build(tmp_path, source)[0]) == content(built[0])


def test_what_the_wheel_says_of_itself(built):
    with zipfile.ZipFile(built[0]) as file:
        (folder,) = {name.partition("/")[0] for name in file.namelist()} - {"ppcls_lite"}
        facts = email.message_from_bytes(file.read(f"{folder}/METADATA"))
        scripts = configparser.ConfigParser()
        scripts.read_string(file.read(f"{folder}/entry_points.txt").decode())
    required = facts.get_all("Requires-Dist")
    assert (facts["Name"], facts["Requires-Python"]) == ("ppcls_lite", ">=3.9")
    assert not [line for line in required if "paddle" in line and "extra ==" not in line]
    assert {"cpu", "gallery", "gpu", "train"} == set(facts.get_all("Provides-Extra"))
    assert dict(scripts["console_scripts"]) == {"ppcls_lite": "ppcls_lite.__main__:main"}


def run_installed(installed, cwd, *words):
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, env=environ, capture_output=True, text=True, timeout=LIMIT
    )


def test_installed_command_predicts_away_from_the_checkout(installed, exported, tmp_path):
    images = ROOT / "test_images"
    words = ["-m", "ppcls_lite", f"--inference_model_dir={exported.model}", f"--infer_imgs={images}"]
    there, here = (run_installed(folder, tmp_path, *words) for folder in (installed, ROOT))
    assert there.returncode == 0, there.stderr
    assert there.stdout.splitlines()[-1] == "Predict complete!"
    assert there.stdout == here.stdout


FIND = """
import ppcls_lite, sys
from ppcls_lite.infer.named_config import IMAGENET_LABELS, imagenet_config
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.utils.config import load_config
assert ppcls_lite.__file__.startswith(sys.argv[1]), ppcls_lite.__file__
config = imagenet_config("ResNet50")
assert config == load_config("ppcls/configs/ImageNet/ResNet/ResNet50.yaml")
names = build_postprocess(config["Infer"]["PostProcess"]).names
assert names[8] == "hen" and len(names) == 1000, len(names)
assert IMAGENET_LABELS.is_file()
"""


def test_installed_library_finds_its_configs_and_names(installed, tmp_path):
    done = run_installed(installed, tmp_path, "-c", FIND, installed)
    assert done.returncode == 0, done.stderr
