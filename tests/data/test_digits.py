"""The digits data set of tools/data/make_digits.py: whole, split once for all, rebuilt when it is damaged."""

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.data_sets import contents, layout_problems, read_list, run_tool
from tests.helpers.scripts import ROOT
from tools.data import make_digits as digits


@pytest.fixture(scope="module")
def digits_set(tmp_path_factory):
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("digits") / "digits"
    digits.main(["--output", str(folder)])
    return folder


@pytest.fixture
def digits_copy(digits_set, tmp_path):
    return Path(shutil.copytree(digits_set, tmp_path / "digits"))


def test_digits_are_whole_and_the_split_is_fixed(digits_set):
    assert layout_problems(digits_set, shape=(32, 32)) == []
    lists = {split: read_list(digits_set, split) for split in ("train", "val")}
    assert (len(lists["train"]), len(lists["val"])) == (1437, 360)
    numbers = {split: {Path(path).stem for path, _ in rows} for split, rows in lists.items()}
    assert not numbers["train"] & numbers["val"]
    assert numbers["train"] | numbers["val"] == {f"{i:04d}" for i in range(1797)}
    assert all(35 <= sum(label == c for _, label in lists["val"]) <= 37 for c in range(10))
    checksum = hashlib.sha256((digits_set / "val_list.txt").read_bytes()).hexdigest()
    assert checksum == "2e74882072e89554217dfd9f8eac1116d639cfdf965a239882cbe72e66cec267"


def test_digits_keep_every_value_of_the_scan(digits_set):
    from sklearn.datasets import load_digits

    scans = load_digits()
    for path, label in read_list(digits_set, "val"):
        index = int(Path(path).stem)
        image = cv2.imread(str(digits_set / path), cv2.IMREAD_UNCHANGED)
        assert label == scans.target[index]
        np.testing.assert_array_equal(np.rint(image[::4, ::4] * (16 / 255)), scans.images[index])


def test_another_seed_gives_another_split():
    labels = np.arange(100) % 3
    train, val = digits.split_indices(labels, val_images=20)
    assert sorted(train + val) == list(range(100))
    assert [sum(labels[i] == c for i in val) for c in range(3)] == [7, 7, 6]  # of 34, 33, 33
    assert digits.split_indices(labels, val_images=20) == (train, val)
    assert digits.split_indices(labels, val_images=20, seed=1) != (train, val)


WITHOUT_SKLEARN = (
    "import sys, runpy; sys.modules['sklearn'] = None; sys.modules['sklearn.datasets'] = None; "
    f"sys.argv[0] = r'{ROOT}/tools/data/make_digits.py'; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def test_a_complete_set_is_left_alone_without_sklearn(digits_copy, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in digits_copy.rglob("*")}
    done = run_tool("make_digits", "--output", digits_copy, cwd=tmp_path, code=WITHOUT_SKLEARN)
    assert (done.returncode, done.stderr) == (0, "")
    assert "left alone" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in digits_copy.rglob("*")} == before
    (digits_copy / "label_list.txt").unlink()
    done = run_tool("make_digits", "--output", digits_copy, cwd=tmp_path, code=WITHOUT_SKLEARN)
    assert done.returncode == 1
    assert "pip install scikit-learn" in done.stderr
    assert done.stderr.count("\n") == 1


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "path"),
    [
        (Path.unlink, "val/two/{val}"),
        (truncate, "val/two/{val}"),
        (truncate, "train_list.txt"),
        (Path.unlink, "SOURCES.md"),
        (Path.unlink, "manifest.json"),
        (truncate, "manifest.json"),
        (shutil.rmtree, "train/nine"),
    ],
)
def test_a_damaged_set_is_rebuilt(digits_set, digits_copy, damage, path):
    some_val = sorted(p.name for p in (digits_copy / "val/two").iterdir())[0]
    assert digits.is_complete(digits_copy)
    damage(digits_copy / path.format(val=some_val))
    assert not digits.is_complete(digits_copy)
    digits.main(["--output", str(digits_copy)])
    assert contents(digits_copy) == contents(digits_set)
