"""docs/own_dataset.md: its five commands, word for word, on a small folder of images; both languages show the same."""

import re
import subprocess

import cv2
import numpy as np
import pytest

from tests.helpers.documents import python_on_path
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import copy_tree

ENGLISH, CHINESE = ((ROOT / f"docs/own_dataset{end}.md").read_text(encoding="utf-8") for end in ("", "_ch"))
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SHOWN = re.compile(
    r"class \d+ .*: \d+ training, \d+ validation$|total: 3 classes, \d+ training, \d+ validation images$"
)


def commands_of(text):
    """The commands of the first block, each on lines of its own."""
    (first, *_) = [body for kind, body in BLOCK.findall(text) if kind == "bash"]
    return [line for line in re.split(r"(?<!\\)\n", first) if line]


def test_both_languages_show_the_same():
    assert BLOCK.findall(CHINESE) == BLOCK.findall(ENGLISH)
    assert len(commands_of(ENGLISH)) == 5


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """[(exit code, standard output, standard error)] of the five commands, in a copy of the repository."""
    folder = tmp_path_factory.mktemp("own")
    tree = copy_tree(folder)
    rng = np.random.default_rng(1)
    for number, name in enumerate(("cat", "dog", "guinea pig")):
        (tree / "my_images" / name).mkdir(parents=True)
        for image in range(24):
            pixels = rng.integers(0, 120, (60, 70, 3), np.uint8)
            pixels[..., number] += 120
            cv2.imwrite(str(tree / "my_images" / name / f"{image + 1}.jpg"), pixels)
    (tree / "my_images/dog/broken.jpg").write_bytes(b"no image")
    environment, done = python_on_path(folder), []
    for command in commands_of(ENGLISH):
        run = subprocess.run(
            ["bash", "-c", command], cwd=tree, env=environment, capture_output=True, text=True, timeout=2 * LIMIT
        )
        done.append((run.returncode, run.stdout, run.stderr))
        if run.returncode:
            break
    return tree, environment, done


def test_a_folder_becomes_a_certified_model(runs):
    tree, _, done = runs
    assert [status for status, *_ in done] == [0] * 5, done[-1]
    lists, trained, evaluated, made, certified = (out for _, out, _ in done)
    assert "problem: dog/broken.jpg: not a decodable image (8 bytes)" in lists
    assert len([line for line in lists.splitlines() if SHOWN.fullmatch(line)]) == 4
    assert lists.endswith("dataset/mine: written; train with: python tools/train.py -c dataset/mine/config.yaml\n")
    assert "[Train][Epoch 20/20]" in trained
    assert {"best_model.pdparams", "log_train.txt", "history.jsonl", "curves.png"} <= {
        path.name for path in (tree / "output/mine").iterdir()
    }
    count = len((tree / "dataset/mine/val_list.txt").read_text().splitlines())
    assert re.search(rf"\[Eval\]\[Avg\] loss: .*, top1: .*, images: {count}$", evaluated.strip())
    assert made == ""
    assert re.search(r"^passed: \d+ steps", certified.splitlines()[-1]), certified
    assert re.search(r"^agree \S* *passed", certified, re.MULTILINE)


def test_the_commands_that_are_shown_further_down(runs):
    tree, environment, _ = runs
    (command,) = [body for kind, body in BLOCK.findall(ENGLISH) if "curves.py" in body]
    run = subprocess.run(
        ["bash", "-c", command], cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert (tree / "curves.png").read_bytes().startswith(b"\x89PNG")
