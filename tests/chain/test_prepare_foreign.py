"""Set-up of other people's projects: their lists of packages, their archives of data, and their own scripts."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.helpers.preparation import GOOD, OFFICIAL, SetUp, pack
from tests.helpers.shell import MODE, ROOT, assert_one_error, is_running, wait_for

LANE, SETUPTOOLS = "paddlepaddle==3.1.1", "setuptools==80.9.0"
NOTE = "note: requirements.txt has"
NO_PADDLE = f"requirements.txt names no Paddle: {LANE} is added\n"


@pytest.fixture
def project(tmp_path):
    """A project whose scripts declare nothing, with a copy of test_tipc/ in it."""
    tree = tmp_path / "a project"
    ignored = shutil.ignore_patterns("output", "docs", "configs", "__pycache__")
    shutil.copytree(ROOT / "test_tipc", tree / "test_tipc", ignore=ignored)
    return SetUp(tmp_path, tree)


def refuse(project, *lines):
    (project.notes / "refused").write_text("\n".join(lines))


def said_after(project):
    """What prepare.sh says after its first line, in a run that ends well; nothing on standard error."""
    run = project.run()
    assert (run.status, run.err) == (0, ""), run
    first, _, rest = run.out.partition("\n")
    assert first.startswith("setting up .venv with Python 3.")
    return rest


# ------------------------------------------------------------------------------------------------------------- packages


def test_a_project_without_a_list_gets_the_lane(project):
    (project.tree / "requirements.txt").unlink()
    assert said_after(project) == ""
    (call,) = project.lists()
    assert call["-r"][0] == LANE
    assert SETUPTOOLS in call["-r"]
    project.assert_ready()
    project.requirements("tqdm\n")  # one that comes later is noticed
    assert said_after(project) == NO_PADDLE


def test_our_own_list_is_installed_as_it_is_in_one_call(project):
    text = (ROOT / "requirements.txt").read_text()
    project.requirements(text)
    assert said_after(project) == ""
    pinned = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert project.lists() == [{"-r": pinned}]
    project.assert_ready()


OPEN = [{"-r": ["paddlepaddle", "tqdm"], "-c": [LANE]}]
ADDED = [{"-r": ["tqdm", LANE, SETUPTOOLS]}]


@pytest.mark.parametrize(
    ("text", "calls", "said"),
    [
        ("tqdm\n", ADDED, NO_PADDLE),
        ("\n\n# paddlepaddle==2.2.2\ntqdm  # with paddlepaddle\n", ADDED, NO_PADDLE),
        ("tqdm\nsetuptools\n", [{"-r": ["tqdm", "setuptools", LANE]}], NO_PADDLE),
        ("paddlepaddle\ntqdm\n", OPEN, ""),
        ("paddlepaddle\r\ntqdm\r\n", OPEN, ""),
        ("\ufeffpaddlepaddle\ntqdm\n", OPEN, ""),
        ("paddlepaddle>=2.1\n", [{"-r": ["paddlepaddle>=2.1"], "-c": [LANE]}, {"-r": ["paddlepaddle>=2.1"]}], ""),
        ("PaddlePaddle_GPU == 2.6.2\n", [{"-r": ["PaddlePaddle_GPU == 2.6.2"]}], ""),
        (
            "paddlepaddle[x]==2.6 ; os_name != 'nt'\n",
            [{"-r": ["paddlepaddle[x]==2.6 ; os_name != 'nt'"]}],
            "",
        ),
        ("tqdm \\\n  ==4\npaddlepaddle==3.0.0\n", [{"-r": ["tqdm   ==4", "paddlepaddle==3.0.0"]}], ""),
        ("paddlepaddle-helper==1\ntqdm\n", [{"-r": ["paddlepaddle-helper==1", "tqdm", LANE, SETUPTOOLS]}], NO_PADDLE),
    ],
)
def test_lists_that_can_be_installed(project, text, calls, said):
    project.requirements(text)
    out = said_after(project)
    made = project.lists()
    if made[-1] == {"-r": [SETUPTOOLS]}:  # this Python has none, and the list's Paddle does not bring it along
        made.pop()
    assert made == calls
    assert out == said
    project.assert_ready()


def test_a_paddle_for_another_python_only(project):
    project.requirements("paddlepaddle==2.2.2; python_version < '3'\ntqdm\n")
    assert said_after(project) == f"requirements.txt has no Paddle for this Python: {LANE} is added\n"
    assert project.lists()[-1]["-r"] == [LANE, SETUPTOOLS]


@pytest.mark.parametrize(
    "paddle", ["paddlepaddle==2.2.2", "paddlepaddle-gpu==2.1.0.post101", "paddlepaddle<2.3", "PaddlePaddle == 2.2.2"]
)
def test_a_paddle_without_a_wheel(project, paddle):
    project.requirements(f"tqdm\n{paddle}\n-f https://example.org/wheels.html\n")
    refuse(project, paddle)
    said = f"{NOTE} {paddle}, which cannot be installed here: {LANE} is used instead\n"
    assert said_after(project) == said
    assert {"-r": ["-f https://example.org/wheels.html", "tqdm", LANE]} in project.lists()
    run = project.run()  # what the environment is not, is said every time
    assert (run.status, run.out, run.err) == (0, said, "")


def test_another_package_that_cannot_be_installed(project):
    """The Paddle of the list is innocent, and stays."""
    lines = ["paddlepaddle==3.0.0", "tqdm", "bad==1; python_version > '3'", "--pre", "-e ."]
    project.requirements("\n".join(lines))
    refuse(project, lines[2])
    assert said_after(project) == f"{NOTE} {lines[2]}, which cannot be installed here: what needs it will fail\n"
    calls = [call["-r"] for call in project.lists()]
    assert calls[:2] == [lines, ["--pre", "paddlepaddle==3.0.0"]]
    assert calls[2:5] == [["--pre", "tqdm"], ["--pre", lines[2]], ["--pre", "-e ."]]
    assert not any(LANE in call for call in calls)


def test_a_paddle_and_another_package_that_cannot_be_installed(project):
    project.requirements("paddlepaddle==2.2.2\nbad==9\ntqdm\n")
    refuse(project, "paddlepaddle==2.2.2", "bad==9")
    notes = said_after(project).splitlines()
    assert [note.split(",")[0] for note in notes] == [f"{NOTE} paddlepaddle==2.2.2", f"{NOTE} bad==9"]
    assert project.lists()[-1 if "setuptools" not in str(project.lists()[-1]) else -2] == {"-r": ["tqdm"], "-c": [LANE]}


def test_lists_in_lists(project):
    (project.tree / "more of it/wheels").mkdir(parents=True)
    (project.tree / "more of it/base.txt").write_text(
        "paddlepaddle==2.2.2\n-f wheels\n-c fixed.txt\n--requirement=x.txt\n"
    )
    (project.tree / "more of it/fixed.txt").write_text("tqdm<9\n")
    (project.tree / "more of it/x.txt").write_bytes("\ufefftqdm\r\n".encode("utf-16-le"))
    project.requirements("-r 'more of it/base.txt'\nscipy\n")
    refuse(project, "paddlepaddle==2.2.2")
    assert said_after(project).startswith(f"{NOTE} paddlepaddle==2.2.2, ")
    folder = project.tree / "more of it"
    options = [f"-f '{folder}/wheels'", f"-c '{folder}/fixed.txt'"]
    assert project.lists()[0]["-r"] == ["paddlepaddle==2.2.2", *options, "tqdm", "scipy"]
    assert project.lists()[2]["-r"] == [*options, "tqdm", "scipy", LANE]
    before = project.installations()
    project.run()
    assert project.installations() == before
    (folder / "fixed.txt").write_text("tqdm<8\n")
    said_after(project)
    assert project.installations() > before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-r missing.txt\n", "missing.txt: cannot be used (No such file or directory)"),
        ("-r requirements.txt\n", "requirements.txt: '-r requirements.txt' leads back to a list that is being read"),
        ("-r 'a.txt\n", "requirements.txt: expected one file, found ''a.txt'"),
    ],
)
def test_lists_that_cannot_be_read(project, text, why):
    project.requirements(text)
    assert_one_error(project.run(), f"error: setting up .venv failed: {why} (all of pip's output is in .venv.log)")


def test_a_list_with_a_comment_in_another_encoding(project):
    (project.tree / "requirements.txt").write_bytes("# 依赖\npaddlepaddle==3.0.0\n".encode("gbk"))
    assert said_after(project) == ""
    assert project.lists()[0] == {"-r": ["paddlepaddle==3.0.0"]}


RETRY = "WARNING: Retrying (Retry(total={}, connect=None)) after connection broken by 'NewConnectionError(...)': {}\n"
NOT_FOUND = "ERROR: No matching distribution found for paddlepaddle==2.2.2"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (RETRY.format(0, "/simple/paddlepaddle/") + NOT_FOUND, "there is no connection to the package index"),
        (RETRY.format(0, "/paddlepaddle/") + NOT_FOUND, "there is no connection to the package index"),
        ("ReadTimeoutError: Read timed out.", "a download was cut off"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_faults_that_no_other_attempt_would_mend(project, words, why):
    project.requirements("paddlepaddle==2.2.2\ntqdm\n")
    (project.notes / "fail").write_text(words)
    assert_one_error(project.run(), "error: setting up .venv failed: ", why, "(all of pip's output is in .venv.log)")
    assert project.installations() == 1
    (project.notes / "fail").unlink()
    said_after(project)


@pytest.mark.parametrize(
    "words",
    [
        RETRY.format(0, "/whl/linux/stable.html") + NOT_FOUND,
        RETRY.format(4, "/simple/paddlepaddle/") + NOT_FOUND,
        "WARNING: Retrying after connection broken by 'ReadTimeoutError(Read timed out.)'\n" + NOT_FOUND,
    ],
)
def test_a_page_of_wheels_that_is_gone_is_not_a_missing_network(project, words):
    project.requirements("paddlepaddle==2.2.2\n")
    (project.notes / "fail").write_text(words)
    run = project.run()
    assert run.status == 1
    assert run.err.endswith("error: setting up .venv failed; all of pip's output is in .venv.log\n")
    assert "ERROR: No matching distribution" in run.err
    assert project.installations() > 1


@pytest.mark.parametrize("kind", ["venv", "conda", "file", "link"])
def test_an_environment_of_somebody_else_is_left_alone(project, kind):
    theirs = project.notes / "theirs" if kind == "link" else project.venv
    if kind == "file":
        theirs.write_text("my-environment")
    else:
        (theirs / "bin").mkdir(parents=True)
        (theirs / ("conda-meta" if kind == "conda" else "pyvenv.cfg")).write_text("home = /usr/bin\n")
    if kind == "link":
        project.venv.symlink_to(theirs)
    before = [str(path) for path in sorted(project.tree.rglob("*")) if "pycache" not in str(path)]
    assert_one_error(project.run(), f"{project.venv} was not made by this script", "TIPC_PYTHON=")
    after = [str(path) for path in sorted(project.tree.rglob("*")) if "pycache" not in str(path)]
    assert after == before
    assert project.installations() == 0
    run = project.run(TIPC_PYTHON=sys.executable)
    assert (run.status, run.out, run.err) == (0, "", "")


def test_a_link_to_an_environment_of_ours_is_replaced_and_not_followed(project):
    said_after(project)
    moved = project.notes / "moved"
    project.venv.rename(moved)
    project.venv.symlink_to(moved)
    project.requirements("paddlepaddle==3.0.0\n")
    said_after(project)
    assert not project.venv.is_symlink()
    assert (moved / "ready").is_file()


def test_an_environment_whose_removal_was_interrupted_is_made_again(project):
    said_after(project)
    for path in list(
        project.venv.iterdir()
    ):  # all that is left: the mark, which is never removed, and a part of the rest
        if path.name not in ("made-by-test_tipc", "lib"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    said_after(project)
    project.assert_ready()


def test_the_environment_is_not_seen_by_git(project):
    subprocess.run(["git", "init", "-q", project.tree], check=True)
    said_after(project)
    status = subprocess.check_output(["git", "-C", project.tree, "status", "--porcelain", "-uall"], text=True)
    assert not [line for line in status.splitlines() if ".venv/" in line]


def test_a_log_that_cannot_be_written(project):
    (project.tree / ".venv.log").mkdir()
    assert_one_error(project.run(), ".venv.log: cannot be written")


def test_an_interpreter_for_a_project_without_a_list(project):
    (project.tree / "requirements.txt").unlink()
    bare = project.notes / "env/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare.parents[1]], check=True)
    assert_one_error(
        project.run(TIPC_PYTHON=str(bare)), "has no paddle numpy; install with", "install -r test_tipc/lib/lane.txt"
    )


def test_serving_needs_a_list_of_its_own(project):
    config = ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/serving_infer_python.txt"
    assert_one_error(
        project.run(str(config), "serving_infer"), "the project has no requirements-serving.txt: set TIPC_P"
    )


# ------------------------------------------------------------------------------------------------------------- archives


@pytest.mark.parametrize("place", ["lite_data.tar", "test_images/lite_data.tar", "test_tipc/lite_data.tar"])
def test_an_archive_of_the_project_is_unpacked_once(project, place):
    (project.tree / place).parent.mkdir(exist_ok=True)
    pack(project.tree / place, *GOOD)
    run = project.run(TIPC_PYTHON=sys.executable)
    assert (run.status, run.out, run.err) == (0, f"unpacked {place}\n", "")
    assert (project.tree / "lite_data/train/a b.jpg").is_file()
    (project.tree / "lite_data/train/a b.jpg").unlink()
    run = project.run(TIPC_PYTHON=sys.executable)
    assert (run.status, run.out, run.err) == (0, "", "")
    assert not (project.tree / "lite_data/train/a b.jpg").exists()
    assert not (project.tree / "dataset").exists()


def test_an_evil_archive_stops_the_preparation(project):
    pack(project.tree / "lite_data.tar", *GOOD, "lite_data/../../x")
    script(project, "touch called")
    assert_one_error(project.run(TIPC_PYTHON=sys.executable), "lite_data.tar: 'lite_data/../../x' lies outside")
    assert not (project.tree / "called").exists()
    assert not list(project.tree.glob("*lite_data"))


# -------------------------------------------------------------------------------------------------- scripts of projects


def script(project, text):
    """The project's own test_tipc/prepare_data.sh, which takes the place of ours."""
    (project.tree / "test_tipc/prepare_data.sh").write_text(text + "\n")


def test_the_projects_own_script_is_called(project):
    script(project, 'printf "%s|" "$#" "$1" "$2" "$PWD" "$TIPC_PYTHON"; read -r line; echo "${line-}"; echo warned >&2')
    run = project.run()
    words = [2, OFFICIAL, MODE, project.tree, project.venv / "bin/python", ""]
    assert run.out.splitlines()[-1] == "|".join(map(str, words))
    assert (run.status, run.err) == (0, "warned\n")


def test_the_projects_own_script_fails(project):
    script(project, "exit 7")
    run = project.run(TIPC_PYTHON=sys.executable)
    assert_one_error(run, f"test_tipc/prepare_data.sh {OFFICIAL} {MODE}: failed with exit code 7")


def test_our_script_does_nothing_in_a_project_of_others(project):
    (project.tree / "lite_data/val").mkdir(parents=True)
    (project.tree / "lite_data/train_list.txt").write_text("x.jpg 0\n")
    for mode in ("lite_train_lite_infer", "whole_train_whole_infer"):
        run = project.run(str(OFFICIAL), mode, TIPC_PYTHON=sys.executable)
        assert (run.status, run.out, run.err) == (0, "", "")
    assert not (project.tree / "dataset").exists()


def test_two_at_once_run_the_script_one_after_the_other(project):
    script(project, "echo began >>calls; while [[ -e wait ]]; do sleep 0.05; done; echo ended >>calls")
    (project.tree / "wait").touch()
    first = project.start(TIPC_PYTHON=sys.executable)
    assert wait_for((project.tree / "calls").exists)
    second = project.start(TIPC_PYTHON=sys.executable)
    assert second.stdout.readline() == f"waiting: the data are being prepared (process {first.pid})\n"
    (project.tree / "wait").unlink()
    assert project.finish(first).status == project.finish(second).status == 0
    assert (project.tree / "calls").read_text().split() == ["began", "ended"] * 2
    assert not list(project.tree.glob(".venv.lock*"))


def test_two_at_once_unpack_once(project):
    pack(project.tree / "lite_data.tar", *(f"lite_data/{index}" for index in range(1000)))
    (project.tree / "test_tipc/prepare_data.sh").unlink()
    runs = [project.start(TIPC_PYTHON=sys.executable) for _ in range(2)]
    runs = [project.finish(run) for run in runs]
    assert [(run.status, run.err) for run in runs] == [(0, "")] * 2
    assert sum("unpacked lite_data.tar\n" in run.out for run in runs) == 1
    assert len(list((project.tree / "lite_data").iterdir())) == 1000


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_script_ends_with_the_preparation(project, number, status):
    script(project, "echo $$ >new; mv new pid; while true; do sleep 0.05; done")
    process = project.start(TIPC_PYTHON=sys.executable)
    assert wait_for((project.tree / "pid").exists)
    os.kill(process.pid, number)
    assert project.finish(process).status == status
    assert not is_running((project.tree / "pid").read_text().strip())
    assert not list(project.tree.glob(".venv.lock*"))


@pytest.mark.parametrize("relative", [True, False])
def test_a_project_is_prepared_from_outside(project, relative):
    shutil.rmtree(project.tree / "test_tipc")
    project.script, project.folder = ROOT / "test_tipc/prepare.sh", project.tree.parent
    pack(project.tree / "lite_data.tar", *GOOD)
    folder = project.tree.name if relative else str(project.tree)
    run = project.run(str(OFFICIAL), MODE, "--project", folder)
    assert (run.status, run.err) == (0, "")
    assert run.out.endswith(f"{NO_PADDLE}unpacked lite_data.tar\n")
    kept = {".venv", ".venv.log", "lite_data", "lite_data.tar", "requirements.txt"}
    assert {path.name for path in project.tree.iterdir()} == kept
