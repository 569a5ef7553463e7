"""Projects of others are certified unchanged: with a copy of test_tipc/ in them, and from outside with --project."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.bundles import differences, read_bundle
from tests.helpers.projects import CONFIGS, FAULTS, make_project, plant
from tests.helpers.scripts import LIMIT, ROOT

needs_pdmodel = pytest.mark.skipif(number() >= NO_PDMODEL, reason="scripts such as these need .pdmodel")
MODE = "lite_train_lite_infer"
OUTPUT = {"classifier": f"test_tipc/output/MiniNet/{MODE}", "detector": f"test_tipc/output/tinydet_32_lite/{MODE}"}


def run(command, folder, **more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TIPC_", "FLAGS_"))}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**kept, "TIPC_PYTHON": sys.executable, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3 * LIMIT,
    )
    return done.returncode, done.stdout, done.stderr


def git(folder, *words):
    return subprocess.check_output(["git", "-C", str(folder), *words], text=True).strip()


def summary_of(project, name):
    return json.loads((project / OUTPUT[name] / "summary.json").read_text())


def copy_tool(project):
    """What a user does: copy the folder test_tipc, whose configs stay beside the project's own."""
    ignored = shutil.ignore_patterns("output", "__pycache__")
    shutil.copytree(ROOT / "test_tipc", project / "test_tipc", ignore=ignored, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """(project, output) of a run of a copy of test_tipc/ inside the classifier."""
    project = make_project("classifier", tmp_path_factory.mktemp("copied") / "a project")
    copy_tool(project)
    status, out, err = run(["bash", "test_tipc/test_train_inference_python.sh", CONFIGS["classifier"], MODE], project)
    assert status == 0, out[-3000:] + err
    return project, out


@needs_pdmodel
def test_a_copy_of_the_folder_certifies_a_project(copied):
    project, out = copied
    assert out.endswith("passed: 8 steps, and all predictions agree\n")
    summary = summary_of(project, "classifier")
    results = {step["name"]: step["result"] for step in summary["steps"]}
    assert results["agree observed"] == "passed"
    assert "agree" not in results  # a list is compared of scripts that declare how
    figure = next(step["figure"] for step in summary["steps"] if step["name"] == "agree observed")
    assert figure.startswith("preprocessing ")
    assert "network bitwise, engine " in figure
    assert summary["commit"] == git(project, "rev-parse", "--short=12", "HEAD") + " (clean tree)"
    assert summary["tool"].startswith("test_tipc of the project, files ")


@needs_pdmodel
def test_the_project_is_not_touched(copied):
    project, _ = copied
    changed = {line.split()[-1] for line in git(project, "status", "--porcelain").splitlines()}
    assert all(path.startswith(("test_tipc/", "test_log/")) for path in changed), changed
    assert not (project / "dataset").exists()
    assert (project / "test_log/MiniNet/log_train.txt").is_file()
    assert (project / "test_log/MiniNet/agree_observed.log").is_file()
    found = differences(read_bundle(project / "test_log/MiniNet"), project / "test_log/MiniNet")
    assert found
    assert all(largest <= limit and count for largest, limit, count in found.values())


@needs_pdmodel
def test_a_foreign_export_is_told_to_write_the_old_format(copied):
    project, _ = copied
    log = next((project / OUTPUT["classifier"]).glob("*_export.log")).read_text()
    assert ("# environment: FLAGS_enable_pir_api=0\n" in log) is (number() >= (3, 0))
    assert list((project / OUTPUT["classifier"]).glob("*/inference/*.pdmodel"))


@needs_pdmodel
def test_a_fault_is_planted_and_only_the_inference_is_run_again(copied, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(copied[0], project)
    plant(project, FAULTS["classifier"]["BGR in infer"])
    command = ["bash", "test_tipc/test_train_inference_python.sh", CONFIGS["classifier"], MODE, "--stage", "5"]
    status, out, _ = run(command, project)
    assert status == 1
    assert "the preprocessing disagrees: " in out
    assert out.splitlines()[-1] == "FAILED: 1 of 8 steps failed: agree observed"
    reason = next(step["figure"] for step in summary_of(project, "classifier")["steps"] if step["result"] == "failed")
    sentence = (
        "network input is the first stage that differs: the channels are in reverse order (BGR for RGB); give the "
    )
    assert reason.startswith(f"exit code 1: {sentence}")


@needs_pdmodel
def test_a_project_is_certified_from_outside(tmp_path):
    project = make_project("detector", tmp_path / "project")
    script = ROOT / "test_tipc/test_train_inference_python.sh"
    command = ["bash", script, CONFIGS["detector"], MODE, "--project", "project", "--project_prepare"]
    status, out, err = run(command, tmp_path)
    assert status == 0, out[-3000:] + err
    assert out.endswith("passed: 9 steps, and all predictions agree\n")
    summary = summary_of(project, "detector")
    assert summary["commit"] == git(project, "rev-parse", "--short=12", "HEAD") + " (clean tree)"
    assert summary["tool"].startswith(git(ROOT, "rev-parse", "--short=12", "HEAD"))
    prepared = next(step for step in summary["steps"] if step["name"] == "project_prepare")
    assert (prepared["result"], prepared["reason"]) == ("skipped", "the project has no test_tipc/prepare.sh of its own")
    changed = {line.split()[-1] for line in git(project, "status", "--porcelain").splitlines()}
    assert changed <= {"test_tipc/output/", "test_log/"}


# ------------------------------------------------------------------------------------------------- what is not run here


def dry_run(project, *options):
    script = ROOT / "test_tipc/test_train_inference_python.sh"
    return run(["bash", script, CONFIGS["classifier"], MODE, "--project", project, *options], "/")


def test_a_project_that_is_not_there():
    status, out, err = dry_run("/no/such/project")
    assert (status, out) == (1, "")
    assert err == "error: --project: expected a folder, found '/no/such/project'\n"


@pytest.mark.parametrize(
    ("script", "result", "reason"),
    [
        ("echo prepared $1 $2 >made; which python", "passed", ""),
        ("echo no network >&2; exit 4", "skipped", "it failed with exit code 4, and the run goes on: no network"),
    ],
)
def test_the_projects_own_official_preparation(tmp_path, script, result, reason):
    project = make_project("classifier", tmp_path / "project")
    (project / "test_tipc/prepare.sh").write_text(script + "\n")
    for name in ("train.py", "tools/export_model.py", "deploy/infer.py", "tools/predict.py"):
        (project / name).write_text("raise SystemExit('not run here')\n")
    status, out, _ = dry_run(project, "--project_prepare")
    assert status == 1  # the training fails, at once
    (step,) = (step for step in summary_of(project, "classifier")["steps"] if step["name"] == "project_prepare")
    assert (step["result"], step["reason"]) == (result, reason)
    if result == "passed":
        assert (project / "made").read_text() == f"prepared {CONFIGS['classifier']} {MODE}\n"
        assert os.path.dirname(sys.executable) in out


def test_an_own_evaluation_script_is_known_by_itself_not_by_its_name(tmp_path):
    """tools/eval.py of another project is not taken for ours, which has companions."""
    project = tmp_path / "project"
    (project / "tools").mkdir(parents=True)
    (project / "tools/eval.py").write_text("# test_tipc is for others\n")
    config = (ROOT / "tests/fixtures/tipc/paddleclas.txt").read_text().replace("PROGRAMS/eval.py", "tools/eval.py")
    (tmp_path / "config.txt").write_text(config)
    script = ROOT / "test_tipc/test_train_inference_python.sh"
    command = ["bash", script, tmp_path / "config.txt", MODE, "--project", project, "--dry_run"]
    status, out, err = run(command, "/")
    assert status == 0, err
    assert "predict: skipped (the config has no predict command" in out
    (project / "tools/eval.py").write_text("# test_tipc: predict=tools/mine.py compare=tools/list.py\n")
    _, out, _ = run(command, "/")
    assert "predict: (in .) python tools/mine.py" in out


def test_an_inference_script_says_that_its_model_gives_embeddings(tmp_path):
    """Without a word, rows of any length are taken for scores."""
    project = tmp_path / "project"
    (project / "tools").mkdir(parents=True)
    config = (ROOT / "tests/fixtures/tipc/paddleclas.txt").read_text().replace("PROGRAMS/infer.py", "../tools/infer.py")
    assert "../tools/infer.py" in config
    (project / "deploy").mkdir()
    (tmp_path / "config.txt").write_text(config)
    command = ["bash", ROOT / "test_tipc/test_train_inference_python.sh", tmp_path / "config.txt", MODE]
    for said, expected in (("", 0), ("# test_tipc: outputs=embeddings\n", 1), ("# test_tipc: outputs=scores\n", 0)):
        (project / "tools/infer.py").write_text(said)
        status, out, err = run([*command, "--project", project, "--dry_run"], "/")
        assert status == 0, err
        assert len(re.findall(r"^agree observed: .* --embeddings ", out, re.MULTILINE)) == expected
