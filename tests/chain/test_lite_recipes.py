"""The recipes of the lite trainings: what it takes to beat chance, and that the documents say the same."""

import re
from math import comb

import pytest

from ppcls_lite.data.image_lists import read_list
from ppcls_lite.utils.config import load_config
from tests.helpers.documents import Document
from tests.helpers.scripts import ROOT

DOCUMENT = ROOT / "test_tipc/docs/test_train_inference_python.md"
HEADINGS = ("### 是否好于随机", "### Better than chance")
CHAINS = sorted((ROOT / "test_tipc/configs").glob("*/train_infer_python.txt"))
LITE = re.compile(
    r"^norm_train:(?:lite_train=)?tools/train\.py -c (\S+/(?:lite_data|arcface_lite)\S*\.yaml)", re.MULTILINE
)
EPOCHS = re.compile(r"^-o Global\.epochs:lite_train(?:_lite_infer)?=(\d+)", re.MULTILINE)
EVERY = re.compile(r"^norm_train:[^|\n]* -o Global\.eval_interval=(\d+)", re.MULTILINE)
IMAGES, CLASSES, AIM = 48, 6, 17


def by_chance(right, images=IMAGES, classes=CLASSES):
    """The probability that guessing gets `right` or more of the images right."""
    return sum(comb(images, n) * (classes - 1) ** (images - n) for n in range(right, images + 1)) / classes**images


def section(heading):
    """The text below a heading of the document, up to the next one."""
    return re.split(r"^#+ ", DOCUMENT.read_text(encoding="utf-8").partition(heading + "\n")[2], flags=re.MULTILINE)[0]


def evaluations(chain):
    """How often a chain's lite training is evaluated, or None where it does not train on lite_data."""
    text = chain.read_text(encoding="utf-8")
    trained = LITE.search(text)
    if not trained:
        return None
    own = EVERY.search(text)
    every = own[1] if own else load_config(trained[1])["Global"]["eval_interval"]
    return -(-int(EPOCHS.search(text)[1]) // int(every))


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_document_has_the_numbers_of_the_binomial_test(heading):
    labels = [entry.label for entry in read_list("lite_data/val_list.txt")]
    assert (len(labels), len(set(labels))) == (IMAGES, CLASSES)
    text = section(heading)
    assert by_chance(14) > 0.01 > by_chance(15)
    assert f"p = {by_chance(15):.4f}" in text
    assert f"p = {by_chance(AIM):.4f}" in text
    assert f"{15 / IMAGES:.4f}" in text
    assert f"{AIM / IMAGES:.4f}" in text


def test_the_best_of_all_evaluations_is_allowed_for():
    """`best_model` is the best of several looks at the same images: the aim holds for each of them (Bonferroni)."""
    found = {chain.parent.name: evaluations(chain) for chain in CHAINS}
    assert len([name for name, count in found.items() if count]) >= 34
    assert {name: count for name, count in found.items() if count and count * by_chance(AIM) > 0.01} == {}
    assert 8 * by_chance(AIM) > 0.01  # so many would be too many


def test_the_commands_of_the_document_run(tmp_path):
    (block,) = re.findall(r"```bash\n(.*?)```", section(HEADINGS[1]), re.DOTALL)
    done = Document([], tmp_path).run(block.replace("Global.epochs=16", "Global.epochs=1"))
    assert done.returncode == 77, done.stderr  # one epoch is too short to judge
    assert "seed 1" in done.stdout
    assert "too short to judge: 18 iterations in 6 points" in done.stdout
