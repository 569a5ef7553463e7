"""The list of files that a result depends on, and hashes of what a step saw: odd names and links count like others."""

import ast
import re
import subprocess

import pytest

from tests.helpers.scripts import ROOT
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


# ---- what is set aside: no file of a run may use it, or the result would depend on it unseen

LISTS = "test_tipc/lib/inputs.sh"
SHOWS = ("test_tipc/lib/page",)  # called when all is recorded; what it draws is no result
NO_PROGRAMS = [f"test_tipc/{name}" for name in ("docs", "configs", "results", "output")]
PROGRAMS = ("ppcls_lite/", "deploy/", "tools/", "test_tipc/")


def set_aside():
    """The paths of programs in NOT_CODE, from the root."""
    printed = bash('printf "%s\\n" "${NOT_CODE[@]}"').out.split()
    return [path for path in printed if path.startswith(("tools/", "test_tipc/")) and path not in NO_PROGRAMS]


def is_below(path, places):
    return any(path == place or path.startswith(f"{place}/") for place in places)


def uses(path, text, places):
    """Those of the places that a Python file imports, or that another one names outside of remarks."""
    if path.endswith(".py"):
        names = {place: place.removesuffix(".py").removeprefix("test_tipc/lib/").replace("/", ".") for place in places}
        return [place for place, name in names.items() if any(is_in(one, name) for one in imported(text))]
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    named = {place: place.removeprefix("test_tipc/") for place in places}
    return [place for place, name in named.items() if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", code)]


def is_in(module, package):
    return module == package or module.startswith(f"{package}.")


def imported(text):
    """The full names of all modules that may be imported, in functions too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_what_is_set_aside_is_there():
    assert {"test_tipc/lib/audit", "test_tipc/lint_config.sh", "tools/suite"} < set(set_aside())
    assert [path for path in set_aside() if not (ROOT / path).exists()] == []


def test_no_file_of_a_run_uses_what_is_set_aside():
    aside = set_aside()
    kept = [place for place in aside if place not in SHOWS]
    listed = subprocess.run(["git", "ls-files", "-z", "*.py", "*.sh"], cwd=ROOT, capture_output=True, text=True)
    files = [path for path in listed.stdout.split("\0") if path.startswith(PROGRAMS) and not is_below(path, aside)]
    assert len(files) > 200
    found = {path: uses(path, (ROOT / path).read_text(encoding="utf-8"), kept) for path in files if path != LISTS}
    # a remedy that is printed, and no call
    assert {path: places for path, places in found.items() if places} == {
        "test_tipc/lib/packages.sh": ["test_tipc/doctor.sh"]
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("test_tipc/lib/report.py", "def f():\n    from audit.reading import read_json\n"),
        ("test_tipc/lib/report.py", "import audit\n"),
        ("test_tipc/lib/chain.sh", '"${RUN[python]}" "$TIPC/lib/audit/x.py"\n'),
    ],
)
def test_a_use_would_be_seen(path, text):
    assert uses(path, text, set_aside()) == ["test_tipc/lib/audit"]
