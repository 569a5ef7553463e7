"""The commands of README.md print the outputs that it shows."""

import json
import re
from pathlib import Path

import pytest

from tests.helpers.documents import Document, comparable, examples_of, short_ids
from tests.helpers.scripts import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README_ch.md").read_text(encoding="utf-8")
EXAMPLES = examples_of(README)
LITE = ROOT / "test_log/MobileNetV3_small_x1_0/summary.json"
SERVING = ROOT / "test_log/MobileNetV3_small_x1_0/serving/summary.json"


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return Document(EXAMPLES, tmp_path_factory.mktemp("readme"))


def test_examples_are_there():
    assert len(EXAMPLES) == 7
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


@pytest.mark.parametrize("text", [README, CHINESE], ids=["English", "Chinese"])
def test_every_path_that_is_named_exists(text):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    folders = "ppcls_lite|tools|test_tipc|deploy|lite_data|test_images|pretrain_models|docs"
    named = re.findall(rf"`((?:{folders})/[^`*…< ]*)`", text)
    made_by_a_run = ("deploy/models/", "test_tipc/output")
    missing = [path for path in links + named if not Path(ROOT, path).exists() and not path.startswith(made_by_a_run)]
    assert missing == []
