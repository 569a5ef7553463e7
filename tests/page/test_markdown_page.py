"""report.md: what a pull request shows of a bundle."""

import re

import pytest

from page.markdown import escape, fenced
from page.report import write_report


def report_of(folder):
    write_report(folder)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_it_has_verdict_steps_differences_predictions_and_commands(bundle):
    text = report_of(bundle)
    assert text.startswith("## ✓ Net, lite_train_lite_infer: passed\n\npassed: 7 steps, and all predictions agree\n\n")
    assert "top1 0.35417 · commit 0123456789ab (clean tree) · 2026-11-26 · paddlepaddle 3.1.1 · AMD EPYC" in text
    assert "| evaluate | ✓ passed | 1.5 | top1: 0.35417 |" in text
    assert "| engine | usual_onednn | 8.94e-07 | at most 0.0001 | ✓ agrees |" in text
    assert "| cat.png | Paddle Inference, oneDNN on | cat 0.70000, dog 0.20000, cow 0.10000 |" in text
    assert "```text\npython tools/train.py -c net.yaml\n```\n" in text


def test_every_table_is_one(bundle):
    tables = re.findall(r"(?:^\|.*\n)+", report_of(bundle), re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MobileNetV3_small_x1_0", "MobileNetV3_small_x1_0"),
        ("a|b", r"a\|b"),
        ("_a_ **b** `c` ~~d~~ $e$", r"\_a\_ \*\*b\*\* \`c\` \~\~d\~\~ \$e\$"),
        ("<b>&amp;</b>", "&lt;b&gt;&amp;amp;&lt;/b&gt;"),
        ("[a](http://b)", r"\[a\](http://<!-- -->b)"),
        ("two\nlines\r\n", "two lines"),
        ("@someone and #12, Acc@1", "@<!-- -->someone and #<!-- -->12, Acc@1"),
    ],
)
def test_a_text_means_itself(text, expected):
    assert escape(text) == expected


def test_a_fence_is_not_in_its_content():
    assert fenced("a ```` b").startswith("`````text\n")
