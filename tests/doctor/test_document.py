"""test_tipc/docs/doctor.md: its example, as far as it does not depend on the machine, and its table of checks."""

import os
import re
import subprocess

import pytest

import examine  # noqa: F401 registers the checks
from doctor.registry import CHECKS, LEVELS
from tests.helpers.scripts import LIMIT, ROOT

HALVES = (ROOT / "test_tipc/docs/doctor.md").read_text(encoding="utf-8").split("\n---\n")


def name_of(line):
    found = re.match(rf"(?:{'|'.join(LEVELS)}) +", line)
    return line[found.end() : found.end() + 20].strip() if found else ""


@pytest.fixture(scope="module")
def printed():
    """The lines that the command of the example prints here."""
    (command,) = re.findall(r"```bash\n(.*?)```", HALVES[1], re.DOTALL)
    kept = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=LIMIT)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("half", HALVES, ids=["Chinese", "English"])
def test_the_example_has_the_lines_of_this_machine(printed, half):
    shown = re.search(r"```text\n(.*?)```", half, re.DOTALL)[1].splitlines()
    names = [name_of(line) for line in printed]
    places = [names.index(name_of(line)) for line in shown[:-1] if line != "…"]
    assert places == sorted(places)
    (proxy,) = (line for line in shown if name_of(line) == "proxy")
    assert proxy in printed
    assert shown[-1].partition(":")[0] == printed[-1].partition(":")[0] == f"{len(CHECKS)} checks"


@pytest.mark.parametrize("half", HALVES, ids=["Chinese", "English"])
def test_every_check_is_in_the_table(printed, half):
    rows = re.findall(r"^\| ((?:`[a-z0-9 ]+`[、, ]*)+) \|", half, re.MULTILINE)
    explained = [name for row in rows for name in re.findall(r"`([a-z0-9 ]+)`", row)]
    assert sorted(explained) == sorted(name_of(line) for line in printed[:-1])
