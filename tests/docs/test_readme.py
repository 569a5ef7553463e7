"""The commands of README.md and docs/step_by_step.md print the outputs that they show."""

import json
import re

import pytest

from tests.helpers.documents import Document, comparable, examples_of, short_ids
from tests.helpers.scripts import ROOT
from tools.tables.family_pages import pages
from tools.tables.series import read_series

# each README with its document of the single steps
README, CHINESE = (
    "".join((ROOT / path).read_text(encoding="utf-8") for path in paths)
    for paths in (("README.md", "docs/step_by_step.md"), ("README_ch.md", "docs/step_by_step_ch.md"))
)
EXAMPLES = examples_of(README)
LITE = ROOT / "test_log/MobileNetV3_small_x1_0/summary.json"
SERVING = ROOT / "test_log/MobileNetV3_small_x1_0/serving/summary.json"


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return Document(EXAMPLES, tmp_path_factory.mktemp("readme"))


def test_examples_are_there():
    assert len(EXAMPLES) == 8
    assert examples_of(CHINESE) == EXAMPLES


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=short_ids(EXAMPLES))
def test_output(document, number):
    document.check(number)


def test_a_wrong_figure_would_be_seen():
    lines, numbers = comparable("[2026/11/21 22:13:53] ppcls_lite INFO: top1: 0.99444")
    assert (lines, numbers) == (["ppcls_lite INFO: top1: #"], [0.99444])
    assert comparable("top1: 0.99167")[1] != pytest.approx(comparable("top1: 0.99444")[1], abs=2e-5)


def test_the_stated_accuracy_is_that_of_the_evaluation():
    (stated,) = re.findall(r"accuracy of the provided weights is \*\*([.\d]+)\*\*", README)
    (chinese,) = re.findall(r"所提供权重的精度为 \*\*([.\d]+)\*\*", CHINESE)
    (shown,) = re.findall(r"\[Eval\]\[Avg\] .*top1: ([.\d]+)", README)
    assert stated == shown == chinese
    assert f" **{stated}** (358 of 360 images)" in README
    assert f" **{stated}**（360 张图像中 358 张正确）" in CHINESE  # noqa: RUF001


@pytest.mark.parametrize("text", [README, CHINESE], ids=["English", "Chinese"])
@pytest.mark.parametrize("kept", [LITE, SERVING], ids=["base chain", "serving"])
def test_the_summary_is_that_of_the_kept_run(kept, text):
    summary = json.loads(kept.read_text())
    assert summary["passed"]
    assert summary["commit"].endswith("(clean tree)")
    for step in summary["steps"]:
        row = re.compile(rf"^{re.escape(step['title'])} +{step['result']} +{step['seconds']:g}(\.0)? ", re.MULTILINE)
        assert row.search(text), step["title"]
    assert summary["verdict"] in text


def test_the_answers_of_the_kept_service_are_identical():
    counts = re.findall(r"(\d+) of (\d+) images identical", (SERVING.parent / "agree.log").read_text())
    assert len(counts) >= 3  # over HTTP with one image and with several, and over gRPC
    assert all(identical == images for identical, images in counts)


@pytest.mark.parametrize("name", ["README.md", "README_ch.md"])
def test_a_readme_is_two_screens(name):
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize(
    ("name", "headings"),
    [("README.md", ["Reproduced accuracy", "Model information"]), ("README_ch.md", ["复现精度", "模型信息"])],
)
def test_accuracy_and_model_information_are_there(name, headings):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [title for title in re.findall(r"^## (.+)$", text, re.MULTILINE) if title in headings] == headings
    assert "<!-- tipc accuracy " in text  # whose lines are tested with the other tables of certification
    information = text.partition(f"## {headings[1]}\n")[2].partition("\n## ")[0]
    linked = re.findall(r"\]\(docs/models/([\w-]+)\.md\)", information)
    assert sorted(linked) == sorted(pages(read_series()))
    for target in ("docs/models.md", "test_log/matrix.md", "test_log/matrix_detectors.md", "LICENSE", "NOTICE"):
        assert f"({target})" in information, target
