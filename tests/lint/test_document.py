"""test_tipc/docs/lint_config.md: its example gives the output that is shown, its table has every kind of finding."""

import re
import subprocess

import pytest

from tests.helpers.scripts import LIMIT, ROOT
from tests.lint.test_planted import kinds_of_findings

TEXT = (ROOT / "test_tipc/docs/lint_config.md").read_text(encoding="utf-8")
HALVES = TEXT.split("\n---\n")


def test_the_example_is_real(tmp_path):
    (command, printed) = re.search(r"```bash\n(mkdir.*?)```.*?```text\n(.*?)```", HALVES[1], re.DOTALL).groups()
    own = str(tmp_path)
    command = command.replace("/tmp/lint_example", own)
    done = subprocess.run(["bash", "-e", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == printed.replace("/tmp/lint_example", own)


@pytest.mark.parametrize("half", HALVES, ids=["Chinese", "English"])
def test_every_kind_is_explained(half):
    rows = re.findall(r"^\| ((?:`[a-z-]+`[、, ]*)+) \|", half, re.MULTILINE)
    explained = {kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)}
    assert explained - {"error", "warning", "note", "--fix"} == kinds_of_findings()


def test_the_figures_are_those_of_the_tests():
    source = (ROOT / "tests/lint/test_official.py").read_text(encoding="utf-8")
    lines = (ROOT / "tests/lint/official_findings.txt").read_text(encoding="utf-8").splitlines()
    others = sum(bool(line) and not line.startswith("#") for line in lines)
    counts = [int(re.search(rf"assert len\({name}\) == (\d+)", source)[1]) for name in ("told", "places", "addresses")]
    fasle, templates = (int(count) for count in re.findall(r"assert len\(places\) == (\d+)", source))
    for half in HALVES:
        figures = {int(number) for number in re.findall(r"\b\d+\b", half.rstrip().rpartition("\n\n")[2])}
        assert figures == {
            counts[0],
            fasle,
            templates,
            others + counts[2] * 2,
            fasle + templates + others + counts[2] * 2,
        }
