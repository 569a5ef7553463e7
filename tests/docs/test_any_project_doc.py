"""The walk-through of test_tipc/docs/any_project.md, word for word, in both languages."""

import os
import re
import subprocess
import sys

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.documents import comparable
from tests.helpers.projects import CONFIGS, PROJECTS
from tests.helpers.scripts import LIMIT, ROOT

CHINESE, ENGLISH = (ROOT / "test_tipc/docs/any_project.md").read_text(encoding="utf-8").split("\n---\n")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks_of(text, language):
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def test_both_languages_show_the_same():
    assert blocks_of(CHINESE, "text") == blocks_of(ENGLISH, "text")
    without_remarks = [[re.sub(r" +#.*", "", body) for body in blocks_of(text, "bash")] for text in (CHINESE, ENGLISH)]
    assert without_remarks[0] == without_remarks[1]


def test_the_config_is_that_of_the_example():
    config = (PROJECTS / "classifier" / CONFIGS["classifier"]).read_text()
    assert blocks_of(ENGLISH, "text")[0].strip() == config.strip()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """[(exit code, standard output)] of the commands of the example, in their order."""
    project = tmp_path_factory.mktemp("walk") / "mininet"
    (_, *commands), done = blocks_of(ENGLISH, "bash"), []
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TIPC_", "FLAGS_"))}
    for command in commands:
        text = command.replace("/tmp/mininet", str(project)).replace("$PWD/.venv/bin/python", sys.executable)
        run = subprocess.run(
            ["bash", "-c", text], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=3 * LIMIT, check=False
        )
        done.append((run.returncode, run.stdout))
    return done


@pytest.mark.skipif(number() >= NO_PDMODEL, reason="the scripts of the example need .pdmodel")
def test_the_commands_do_what_the_document_says(runs):
    (copied, planned, passed, failed) = runs
    assert copied == (0, "")
    assert planned[0] == 0
    assert "predict: (in .) python tools/predict.py --pretrained=" in planned[1]
    _, table, answers = blocks_of(ENGLISH, "text")
    assert passed[0] == 0
    shown = [re.sub(r" +", " ", line) for line in comparable(table)[0]]
    printed = [re.sub(r" +", " ", line) for line in comparable(passed[1])[0]]
    assert shown == printed[-len(shown) :]
    begins = [line.split(":")[0] for line in answers.splitlines()]
    assert [line.split(":")[0] for line in passed[1].splitlines() if line.endswith(": agrees")] == begins
    assert failed[0] == 1
    assert "the channels are in reverse order (BGR for RGB)" in failed[1]
    assert failed[1].endswith("FAILED: 1 of 8 steps failed: agree observed\n")
