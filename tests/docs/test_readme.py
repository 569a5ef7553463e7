"""The outputs that README.md and docs/step_by_step.md print are what their commands print."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.helpers.scripts import ROOT

# each README with its document of the single steps
README, CHINESE = (
    "".join((ROOT / path).read_text(encoding="utf-8") for path in paths)
    for paths in (("README.md", "docs/step_by_step.md"), ("README_ch.md", "docs/step_by_step_ch.md"))
)
BLOCKS = re.compile(r"```bash\n(?P<command>(?:(?!```).)*?)```\n\n```text\n(?P<output>.*?)```", re.DOTALL)
EXAMPLES = [(match["command"], match["output"]) for match in BLOCKS.finditer(README)]
NUMBER = re.compile(r"\d+\.\d+(?:e-?\d+)?|\d+e-\d+")
LITE = ROOT / "test_log/MobileNetV3_small_x1_0/summary.json"
SERVING = ROOT / "test_log/MobileNetV3_small_x1_0/serving/summary.json"


def comparable(text):
    """(lines without times, their decimal numbers): the last digits depend on the processor."""
    text = re.sub(r"^\[\d{4}/[^\]]*\] ", "", text.replace("\\\n", ""), flags=re.MULTILINE)
    text = re.sub(r"largest difference \S+ \(at most", "largest difference (at most", text)
    numbers = [float(number) for number in NUMBER.findall(text)]
    return [line.rstrip() for line in NUMBER.sub("#", text).strip().splitlines()], numbers


def test_examples_are_there():
    assert len(EXAMPLES) == 7


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[c.split()[1] for c, _ in EXAMPLES])
def test_output(command, output):
    """In the order of the README, since the last ones use what the export left."""
    run_and_compare(command, output)


def run_and_compare(command, output):
    """Run a document's command at the repository's root: it must print the document's output."""
    if not (ROOT / "dataset/digits/val_list.txt").is_file():
        pytest.skip("the digits are not prepared: bash test_tipc/prepare.sh CONFIG whole_infer")
    shim = ROOT / "dataset" / ".bin"  # `python` is the interpreter of the tests, as in an activated environment
    shim.mkdir(exist_ok=True)
    for name in ("python", "python3"):
        (shim / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (shim / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        ["bash", "-e", "-c", command], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr
    (lines, numbers), (expected_lines, expected_numbers) = comparable(run.stdout), comparable(output)
    assert lines == expected_lines
    assert numbers == pytest.approx(expected_numbers, abs=2e-5)


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


@pytest.mark.parametrize("name", ["README.md", "README_ch.md"])
def test_a_readme_is_two_screens(name):
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 120
