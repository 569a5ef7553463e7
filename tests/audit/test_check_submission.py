"""The script: what it audits, its lines, its JSON file and its exit codes; with the standard library alone."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from audit.registry import CHECKS, FAIL, PASS, SKIP
from tests.audit.conftest import failures
from tests.audit.planting import MODEL, Submission
from tests.helpers.scripts import LIMIT, ROOT

SCRIPT = ROOT / "test_tipc/check_submission.sh"


def run(*words, script=SCRIPT, cwd=ROOT, **environment):
    """The completed script, with a Python that has no package."""
    return subprocess.run(
        ["bash", str(script), *map(str, words)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "TIPC_PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def test_a_repository_is_audited(submission):
    done = run(submission.root, "--allow_stale", "--json", submission.root / "audit.json")
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert all(line.split("  ")[0] in (PASS, SKIP) for line in lines)
    assert last.startswith("passed: ")
    content = json.loads((submission.root / "audit.json").read_text())
    assert content["passed"] is True
    assert len(content["lines"]) == len(lines) == sum(content["counts"].values())
    assert {line["check"] for line in content["lines"]} <= set(CHECKS)
    assert {line["place"] for line in content["lines"]} == {f"test_log/{MODEL}", submission.root.name}


def test_a_bundle_alone_is_audited_as_far_as_it_can_be(submission, tmp_path):
    alone = shutil.copytree(submission.folder, tmp_path / "sent" / MODEL)
    done = run(alone)
    assert (done.returncode, done.stderr) == (0, "")
    skipped = [line for line in done.stdout.splitlines() if line.startswith(SKIP)]
    assert skipped
    assert all("(no repository around" in line or "(no list of labels" in line for line in skipped)


def test_a_copy_of_the_tool_audits_a_project_of_its_own(submission, tmp_path):
    """Without an argument: the repository that holds test_tipc."""
    for name in ("check_submission.sh", "lib"):
        copy = shutil.copytree if name == "lib" else shutil.copy
        copy(ROOT / "test_tipc" / name, submission.root / "test_tipc" / name)
    done = run("--allow_stale", script=submission.root / "test_tipc/check_submission.sh", cwd="/")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert f"PASS  test_log/{MODEL}  verdict  expected passed, whole and compared, found passed: " in done.stdout


def test_a_failure_is_a_line_and_an_exit_code(submission):
    submission.edit("log_train.txt", r"loss: 1\.\d+", "loss: 1.00000")
    done = run(submission.folder, "--json", submission.root / "audit.json")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "  files  " in line]
    expected = "the listed files with their SHA-256, no others"
    assert line.startswith(f"FAIL  {submission.folder}  files  expected {expected}, found log_train.txt: SHA-256 ")
    assert done.stdout.splitlines()[-1].startswith("FAILED: ")
    lines = json.loads((submission.root / "audit.json").read_text())["lines"]
    (entry,) = [one for one in lines if one["check"] == "files"]
    assert (entry["result"], len(entry["faults"])) == (FAIL, 1)


def test_nothing_checked_is_a_failure(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1
    assert f"FAIL  {tmp_path}  bundle  expected a bundle.json, found none" in done.stdout
    (tmp_path / "test_log").mkdir()
    assert "FAIL" in run(tmp_path).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere"], "/nowhere: expected the folder of a bundle or of a repository, found none"),
        (["--strict"], "unrecognized arguments: --strict"),
        (["--json"], "argument --json: expected one argument"),
        (["--compare", "."], "--compare: expected one bundle to compare with, found 0"),
        ([""], "expected a folder, found an empty word"),
        ([".", "--json", "."], "--json: .: expected a file, found a folder"),
        ([".", "--json", "/nowhere/audit.json"], "--json: /nowhere: no such folder"),
    ],
)
def test_wrong_usage_is_2(words, said):
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]


def test_a_python_that_is_missing_or_too_old_is_2(tmp_path):
    done = run(TIPC_PYTHON=str(tmp_path / "python"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = run(TIPC_PYTHON=str(old))
    assert done.returncode == 2
    assert done.stderr == f"error: {old}: expected Python 3.9 or newer; TIPC_PYTHON names another interpreter\n"


def test_the_list_of_checks():
    done = run("--list")
    assert done.stdout.splitlines() == [f"{one.scope}: {name}: {one.rule}" for name, one in CHECKS.items()]


def test_codes_for_the_terminal_are_not_printed(submission):
    content = submission.content
    content["verdict"]["sentence"] = "\x1b[2Jpassed\nPASS  all is well"
    submission.save(content)
    done = run(submission.folder)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert not any(line.startswith("PASS  all") for line in done.stdout.splitlines())


def test_stale_evidence_names_the_files(submission):
    submission.replace_inputs("README.md", "test_tipc/README.md")
    assert failures(submission.root, allow_stale=False) == {}
    (submission.root / "README.md").write_text((submission.root / "README.md").read_text() + "More.\n")
    found = failures(submission.root, allow_stale=False)
    assert found == {"fresh": "stale: 1 file: README.md changed since"}
    done = run(submission.folder, "--allow_stale")
    assert done.returncode == 0
    assert f"SKIP  {submission.folder}  fresh  (stale: 1 file: README.md)" in done.stdout


def test_bundles_of_two_commits(submission, tmp_path):
    other = Submission(tmp_path / "other")
    path = other.folder / "bundle.json"
    path.write_text(path.read_text().replace(other.content["project"]["commit"], "0123456789ab"))
    shutil.copytree(other.folder, submission.root / "test_log/ResNet50")
    found = failures(submission.root, allow_stale=False)["one commit"]
    assert found.startswith("2 commits: ")
    assert "one commit" not in failures(submission.root, allow_stale=True)
