"""The document of the auditor: its rules are those of the checks, its commands run, its output is real."""

import json
import re
import shutil
import subprocess

import pytest

from audit.compare import TOLERANCES
from audit.registry import CHECKS, SCOPES
from tests.docs.test_bilingual import halves
from tests.helpers.documents import examples_of, python_on_path
from tests.helpers.scripts import LIMIT, ROOT

DOCUMENT = ROOT / "test_tipc/docs/check_submission.md"
LIMITS = re.compile(r"^\| [^|`]+ \| ([\d.e-]+) \| (\S+) \| ([\d.e-]+) \| ([^|]+) \| ([\d.e-]+) \|$", re.MULTILINE)
CHINESE, ENGLISH = halves(DOCUMENT)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`run(command)`: a command of the document, as it is printed there."""
    folder = tmp_path_factory.mktemp("document")
    settings = {"cwd": ROOT, "env": python_on_path(folder), "capture_output": True, "text": True, "timeout": LIMIT}

    def run_command(command):
        return subprocess.run(["bash", "-c", command.replace("/tmp/", f"{folder}/")], **settings)

    return run_command


@pytest.mark.parametrize("half", [CHINESE, ENGLISH], ids=["Chinese", "English"])
def test_every_check_has_its_row(half):
    sections = re.split(r"^## ", half, flags=re.MULTILINE)[3:6]
    for scope, section in zip(SCOPES, sections):
        expected = [name for name, one in CHECKS.items() if one.scope == scope]
        assert re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE) == expected


def test_the_rules_are_those_of_the_checks():
    for name, one in CHECKS.items():
        assert f"| `{name}` | {one.rule} |\n" in ENGLISH


def test_the_limits_are_those_of_the_comparison():
    for half in (CHINESE, ENGLISH):
        rows = LIMITS.findall(half)
        assert len(rows) == len(TOLERANCES)
        for (first, every, last, sigmas, prediction), one in zip(rows, TOLERANCES.values()):
            assert (float(first), float(last), float(prediction)) == (one.first, one.last, one.prediction)
            assert every == (f"{one.every:g}" if one.every else "-")
            assert (re.match(r"\d", sigmas) is not None) == (one.sigmas is not None)


def test_the_output_is_real(run):
    (example,) = examples_of(ENGLISH)
    done = run(example.command)
    assert done.stderr == ""
    assert done.stdout == example.output


def test_the_commands_run(run):
    """Evidence that is not there yet, or not any more, is a failure of the audit, and never of the command."""
    blocks = re.findall(r"```bash\n(.*?)```", ENGLISH, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if "--compare" not in line]
    assert len(commands) == 4
    for command in commands:
        done = run(command)
        assert done.returncode in (0, 1), command
        assert "error" not in done.stderr, command


def test_the_comparison_runs(tmp_path):
    """Its second bundle is of a run: one that ended a second later."""
    (command,) = [line for line in ENGLISH.splitlines() if line.startswith("bash") and "--compare" in line]
    bundle = "tests/fixtures/bundles/MobileNetV3_small_x1_0"
    copy = shutil.copytree(ROOT / bundle, tmp_path / "copy")
    content = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**content, "ended": "2026-11-26T17:10:26+00:00"}))
    *words, first, option, _ = command.split()
    assert (first, option) == ("test_log/MobileNetV3_small_x1_0", "--compare")
    command = [*words, bundle, option, copy]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")
