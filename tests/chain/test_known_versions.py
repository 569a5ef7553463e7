"""What a run says about its Paddle and its Python: nothing of a certified pair, one line of any other."""

import platform
import re
from importlib import metadata

import pytest

from known_versions import REMARKS, note_on, read_table
from tests.helpers.scripts import ROOT, run_process

TABLE = """# a comment
# document: docs/versions.md
2.6.2\t3.9\tcertified\t
2.6.2\t3.13\tnone\tno wheel
3.1.1\t3.9\tcertified\t
3.1.1\t3.13\tcertified\t
3.3.1\t3.9\tcertified\t
3.3.1\t3.13\tpartly\tserving: FAILED: 1 of 4 steps failed: server cpu
"""
RANGES = "is not among the certified pairs (Paddle 2.6.2 to 3.3.1, Python 3.9 to 3.13; docs/versions.md): "
PYTHON = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture
def note(tmp_path):
    """`note(paddle, python, gpu=False)` with the table above."""
    path = tmp_path / "certified_versions.tsv"
    path.write_text(TABLE)
    return lambda paddle, python, gpu=False: note_on(paddle, python, gpu, table=path)


def test_nothing_is_said_of_a_certified_pair(note):
    assert note("3.1.1", "3.13") == ""


@pytest.mark.parametrize(
    ("paddle", "python", "said"),
    [
        ("2.5", "3.9", f"Paddle 2.5 is older than any that was tried; the oldest certified is 2.6.2; {REMARKS[1][2]}"),
        ("3.4.0", "3.9", "Paddle 3.4.0 is newer than any that was tried; the newest certified is 3.3.1"),
        ("3.10.0", "3.9", "Paddle 3.10.0 is newer than any that was tried; the newest certified is 3.3.1"),
        ("3.0.0rc1", "3.9", "Paddle 3.0.0rc1 was not tried; the nearest older one that is certified is 2.6.2"),
        ("3.1.1.post1", "3.9", "Paddle 3.1.1.post1 was not tried; the nearest older one that is certified is 3.1.1"),
        ("3.1.1", "3.14", "Python 3.14 is newer than any that was tried; the newest certified is 3.13"),
        ("3.1.1", "3.8", "Python 3.8 is older than any that was tried; the oldest certified is 3.9"),
        ("2.6.2", "3.13", "when it was tried: no wheel"),
    ],
)
def test_what_is_said_of_another_pair(note, paddle, python, said):
    assert note(paddle, python) == f"Paddle {paddle} on Python {python} {RANGES}{said}"


@pytest.mark.parametrize(("first", "last", "remark"), REMARKS)
def test_what_is_known_of_a_version_is_added(note, first, last, remark):
    for version in (first, last):
        assert note(version, "3.9").endswith(remark)


def test_a_build_from_sources_is_neither_older_nor_newer(note):
    assert note("0.0.0", "3.9") == f"Paddle 0.0.0 on Python 3.9 {RANGES}{REMARKS[0][2]}"


def test_a_pair_of_which_a_part_failed_says_which(note):
    said = "Paddle 3.3.1 on Python 3.13: not everything has passed (docs/versions.md): serving: FAILED: 1 of 4 steps"
    assert note("3.3.1", "3.13").startswith(said)


def test_the_build_for_gpus_is_another_one(note):
    said = note("3.1.1", "3.9", gpu=True)
    assert said.startswith("GPU build of Paddle 3.1.1 on Python 3.9 is not among the certified pairs")
    assert said.endswith(": only the CPU build of this version is")


@pytest.mark.parametrize("line", ["3.1.1\t3.9", "3.1.1\t3.9\tgood\t", "x\t3.9\tcertified\t", "3.1.1,3.9,certified,"])
def test_a_damaged_table_is_a_note_and_no_refusal(tmp_path, line):
    path = tmp_path / "certified_versions.tsv"
    path.write_text(f"# one\n{line}\n")
    said = note_on("3.1.1", "3.9", table=path)
    assert re.match(r"which versions .* cannot be said: certified_versions.tsv:2: ", said)


@pytest.mark.parametrize("content", [None, "", "# nothing yet\n", "3.1.1\t3.9\tpartly\tall\n"])
def test_without_a_certified_pair_nothing_is_said(tmp_path, content):
    path = tmp_path / "certified_versions.tsv"
    if content is not None:
        path.write_text(content)
    assert note_on("2.0.0", "3.6", table=path) == ""


def test_the_committed_table_can_be_read():
    assert all(len(pair) == 4 for pair in read_table())


# ---- in a chain


def plant(chain, text):
    (chain.tree / "test_tipc/lib/certified_versions.tsv").write_text(text)


def test_a_chain_says_it_in_one_line_and_goes_on(chain):
    plant(chain, "# document: docs/versions.md\n99.0.0\t3.9\tcertified\t\n")
    run = chain.run("--stop_stage", "1")
    assert run.status == 0, run.err
    (line,) = [line for line in run.out.splitlines() if line.startswith("note: Paddle ")]
    assert f"note: Paddle {metadata.version('paddlepaddle')} on Python {PYTHON} is not among the certified" in line
    assert "older than any that was tried; the oldest certified is 99.0.0" in line
    assert "docs/versions.md" not in line  # which this copy of test_tipc/ has not
    assert "note" not in run.folder.joinpath("summary.txt").read_text()


@pytest.mark.parametrize("outcome", ["certified", "partly"])
def test_a_chain_on_a_tried_pair(chain, outcome):
    plant(chain, f"{metadata.version('paddlepaddle')}\t{PYTHON}\t{outcome}\tplanted\n98.0.0\t3.9\tcertified\t\n")
    run = chain.run("--stop_stage", "1")
    assert run.status == 0, run.err
    assert ("not everything has passed: planted" in run.out) == (outcome == "partly")
    assert ("note: Paddle" in run.out) == (outcome == "partly")


def test_the_versions_are_still_one_line():
    lines = run_process("test_tipc/lib/versions.py").out.splitlines()
    assert lines[0].startswith("Python 3.")
    assert all(line.startswith("note: ") for line in lines[1:])


def test_the_table_is_no_input_of_a_run():
    """It says how runs ended: a run that changed it would have to be made again for ever."""
    text = (ROOT / "test_tipc/lib/inputs.sh").read_text()
    assert "test_tipc/lib/certified_versions.tsv" in text.partition("NOT_CODE=(")[2].partition(")")[0]
