"""test_tipc/ci/github_actions.yml: its form is GitHub's, its steps run, and docs/ci.md says what they do."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.ci.runner import EXPRESSION, Runner
from tests.helpers.projects import CONFIGS, make_project
from tests.helpers.scripts import FIXTURES, LIMIT, ROOT
from tests.helpers.shell import copy_tree

WORKFLOW = ROOT / "test_tipc/ci/github_actions.yml"
TEXT = WORKFLOW.read_text(encoding="utf-8")
SCHEMA = FIXTURES / "schemas/github-workflow.json"
ENGLISH, CHINESE = ((ROOT / f"docs/ci{end}.md").read_text(encoding="utf-8") for end in ("", "_ch"))
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def faults_of(text):
    """What the schema of GitHub's workflows says against a text."""
    from jsonschema import Draft7Validator  # tests/requirements.txt

    validator = Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    # YAML 1.1 reads the key `on` as true
    content = {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}
    return [error.message for error in validator.iter_errors(content)]


def test_the_workflow_is_one():
    assert faults_of(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("runs-on:", "run-on:"),
        ("timeout-minutes: 45", "timeout-minutes: soon"),
        ("  push:\n", "  pushed:\n"),
        ("contents: read", "contents: reads"),
        ("cancel-in-progress: true", "cancel: true"),
        ("uses: actions/checkout@v6", "use: actions/checkout@v6"),
    ],
)
def test_a_fault_of_form_is_found(old, new):
    assert old in TEXT
    assert faults_of(TEXT.replace(old, new)) != []


def test_it_asks_for_little():
    content = yaml.safe_load(TEXT)
    (job,) = content["jobs"].values()
    assert content["permissions"] == {"contents": "read"}
    assert job["timeout-minutes"] <= 60
    assert "concurrency" in content
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert len(used) >= 5
    assert all(re.fullmatch(r"actions/[\w/-]+@v\d+", name) for name in used)
    # what a branch is called, or a pull request, must never become part of a script
    assert not any(EXPRESSION.search(step.get("run", "")) for step in job["steps"])


def git(folder, *words):
    name = ["-c", "user.name=Author", "-c", "user.email=author@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *name, *words], check=True, capture_output=True, timeout=LIMIT)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A checkout of this repository as it is now, in a folder whose name has a blank."""
    tree = copy_tree(tmp_path_factory.mktemp("repository"))
    for name in ("lite_data", "test_images"):
        (tree / name).unlink()
        shutil.copytree(ROOT / name, tree / name)
    git(tree, "init", "-q", "-b", "main")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "All")
    return tree


def test_the_steps_run_in_this_repository(repository, tmp_path):
    run = Runner(WORKFLOW, repository, tmp_path, OPTIONS="--dry_run")
    assert [(step.name, step.status) for step in run.ran] == [
        ("Find the chain", 0),
        ("Set up the environment and the data", 0),
        ("Certify", 0),
        ("Show the report", 0),
    ], run.ran
    assert "# dialect paddleclas, model MobileNetV3_small_x1_0, mode lite_train_lite_infer" in run.ran[2].out
    assert run.summary.startswith("The run ended before it left a report")


@pytest.mark.skipif(number() >= NO_PDMODEL, reason="the scripts of the example need .pdmodel")
def test_another_project_is_certified(repository, tmp_path):
    project = make_project("classifier", tmp_path / "my project")
    run = Runner(WORKFLOW, project, tmp_path / "runner", TOOL=str(repository), CONFIG=CONFIGS["classifier"])
    assert not run.failed, run.ran[-2].out
    assert "all predictions agree" in run.ran[2].out
    (kept,) = run.kept.values()
    names = {path.name for path in kept.rglob("*")}
    assert {"report.html", "report.md", "bundle.json", "junit.xml", "summary.json"} <= names
    assert run.summary == next(kept.rglob("report.md")).read_text(encoding="utf-8")
    assert "MiniNet" in run.summary
    (bundle,) = kept.rglob("bundle.json")
    assert json.loads(bundle.read_text(encoding="utf-8"))["project"]["clean"] is True  # the job itself leaves no trace


def test_a_broken_project_is_red_and_leaves_its_report(repository, tmp_path):
    project = make_project("classifier", tmp_path / "project")
    (project / "train.py").write_text("raise SystemExit('broken')\n")
    run = Runner(WORKFLOW, project, tmp_path / "runner", TOOL=str(repository), CONFIG=CONFIGS["classifier"])
    assert run.failed
    assert [(step.name, step.status) for step in run.ran[2:]] == [("Certify", 1), ("Show the report", 0)]
    (kept,) = run.kept.values()
    (junit,) = kept.rglob("junit.xml")
    assert ElementTree.parse(junit).getroot().findall(".//failure")
    assert run.summary != ""


def test_without_a_config_nothing_is_certified(repository, tmp_path):
    run = Runner(WORKFLOW, repository, tmp_path, CONFIG="test_tipc/configs/none.txt")
    assert run.failed
    assert "Certify" not in [step.name for step in run.ran]
    assert run.summary.startswith("The run ended before it left a report")


# ------------------------------------------------------------------------------------------------------- the document


def test_both_languages_show_the_same():
    assert BLOCK.findall(CHINESE) == BLOCK.findall(ENGLISH)


def test_the_workflow_is_put_in_place_as_the_document_says(tmp_path):
    shutil.copytree(ROOT / "test_tipc/ci", tmp_path / "test_tipc/ci")
    command = next(body for kind, body in BLOCK.findall(ENGLISH) if kind == "bash")
    subprocess.run(["bash", "-e", "-c", command], cwd=tmp_path, check=True, timeout=LIMIT)
    assert (tmp_path / ".github/workflows/certify.yml").read_text(encoding="utf-8") == TEXT


def test_the_variables_are_those_of_the_workflow():
    named = re.findall(r"^\| `(\w+)` \|", ENGLISH, re.MULTILINE)
    assert named == list(yaml.safe_load(TEXT)["env"])
    assert re.findall(r"^\| `(\w+)` \|", CHINESE, re.MULTILINE) == named


def test_the_commands_for_other_services(tmp_path):
    """In a project that fails at once: the exit code is 1, and the files that the document names are there."""
    project = make_project("classifier", tmp_path / "project")
    made = shutil.ignore_patterns("output", "__pycache__")
    shutil.copytree(ROOT / "test_tipc", project / "test_tipc", dirs_exist_ok=True, ignore=made)
    (project / "train.py").write_text("raise SystemExit('broken')\n")
    (job,) = [yaml.safe_load(body) for kind, body in BLOCK.findall(ENGLISH) if kind == "yaml"]
    plain = [body for kind, body in BLOCK.findall(ENGLISH) if kind == "bash"][-1]
    script = job["certify"]["script"]
    assert plain.splitlines()[-len(script) :] == script
    plain = re.sub(r"CONFIG=\S+", f"CONFIG={CONFIGS['classifier']}", plain)
    done = subprocess.run(
        ["bash", "-e", "-c", f"export TIPC_PYTHON={sys.executable}\n{plain}"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 1, done.stderr
    (junit,) = project.glob(job["certify"]["artifacts"]["reports"]["junit"])
    assert ElementTree.parse(junit).getroot().tag in ("testsuite", "testsuites")
    assert list(project.glob("certificate/*/*/bundle.json"))
