"""The list of files that a result depends on, and hashes of what a step saw: odd names and links count like others."""

import subprocess

import pytest

from tests.helpers.shell import bash

LIST = "ROOT=$PWD; RUN=([mode]=whole_infer [versions]=1 [gpus]=0 [output_root]=output); list_inputs config.txt"


def list_in(folder):
    (folder / "config.txt").write_text("model:none\n")
    return bash(f'cd "$1"; {LIST}', folder).out


def test_a_file_whose_name_is_an_option_hides_no_other(tmp_path):
    (tmp_path / "code.py").write_text("first")
    (tmp_path / "-x").write_text("an accident")
    before = list_in(tmp_path)
    assert "  code.py\n" in before
    (tmp_path / "code.py").write_text("second")
    assert list_in(tmp_path) != before


@pytest.mark.parametrize("git", [True, False])
def test_what_an_editor_and_the_user_keep_is_no_input(tmp_path, git):
    """`| tee run.txt` grows while the run goes on, and an open editor writes its own files."""
    if git:
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for folder in ("lists", ".idea", "lists/.cache"):
        (tmp_path / folder).mkdir()
    hidden = (".idea/workspace.xml", ".tool.py.swp", "lists/.train.txt.swp", "lists/.cache/x")
    for name in (*hidden, "run.txt", "nohup.out", "lists/train.txt", "tool.py"):
        (tmp_path / name).write_text("first")
    files = [line.split("  ")[1] for line in list_in(tmp_path).splitlines() if not line.startswith("#")]
    assert files == ["config.txt", "tool.py"]  # the one that was given


def test_the_hash_of_a_folder_is_that_of_what_its_links_lead_to(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "weights").write_text("first")
    (tmp_path / "model/inference.pdiparams").symlink_to(tmp_path / "weights")
    before = bash('hash_of "$1"', tmp_path / "model").out
    (tmp_path / "weights").write_text("second")
    assert bash('hash_of "$1"', tmp_path / "model").out != before
    assert bash('hash_of "$1/none"', tmp_path).out == "none\n"


def test_a_folder_is_new_when_a_file_in_it_is(tmp_path):
    """Its own time does not change when a file in it is written over."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/0.bin").write_text("first")
    ask = 'RUN[output_dir]=$1; is_new "$1/weights" && echo new || echo old'
    (tmp_path / ".began").touch()
    assert bash(f'sleep 0.05; touch "$1/.began"; {ask}', tmp_path).out == "old\n"
    assert bash(f'sleep 0.05; echo second >"$1/weights/0.bin"; {ask}', tmp_path).out == "new\n"


def test_a_reason_of_several_lines_is_one_line_on_record(tmp_path):
    assert bash(
        'RUN[output_dir]=$1; record infer failed 0 "" "" "$2"; cat "$1/steps.tsv"', tmp_path, "a\tb\r\nc"
    ).out == ("\tinfer\tfailed\t0\t\t\ta b  c\n")
