"""diagnose.sh: a project without a run, a sound one, faults, other modes, and what is not there."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.projects import CONFIGS, FAULTS, make_project, plant
from tests.helpers.scripts import LIMIT, ROOT

needs_pdmodel = pytest.mark.skipif(number() >= NO_PDMODEL, reason="scripts such as these need .pdmodel")
RUN = "test_tipc/output/MiniNet/lite_train_lite_infer"


def diagnose(*words, folder="/"):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TIPC_", "FLAGS_"))}
    command = ["bash", str(ROOT / "test_tipc/diagnose.sh"), *map(str, words)]
    environment = {**kept, "TIPC_PYTHON": sys.executable}
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=3 * LIMIT)  # fmt: skip


def saved(project):
    return json.loads(next((project / RUN).glob("*_diagnosis/diagnose.json")).read_text())


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """(project, what diagnose.sh said) of a classifier that has no run before it is diagnosed."""
    project = make_project("classifier", tmp_path_factory.mktemp("sound") / "a project")
    return project, diagnose(CONFIGS["classifier"], "--project", project)


@needs_pdmodel
def test_a_project_without_a_run_is_run_and_diagnosed(sound):
    project, done = sound
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "is on record that came as far as an inference: running it now" in done.stdout
    assert "verdict: no stage differs" in done.stdout.splitlines()[-1]
    stages = {stage["name"]: stage["result"] for stage in saved(project)["stages"]}
    assert {stages[name] for name in ("decoded pixels", "network input", "weights", "network", "IR passes")} == {"same"}
    assert next((project / RUN).glob("*_diagnosis/diagnose.png")).stat().st_size > 10_000


@needs_pdmodel
def test_a_fault_is_named_without_another_run(sound, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(sound[0], project)
    before = (project / RUN / "steps.tsv").read_bytes()
    plant(project, FAULTS["classifier"]["BGR in infer"])
    done = diagnose(CONFIGS["classifier"], "--project", project)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr
    assert (saved(project)["first"], saved(project)["cause"]) == ("network input", "bgr")
    assert done.stderr.splitlines()[-1].startswith("error: network input is the first stage that differs: ")
    again = next(line for line in done.stdout.splitlines() if line.startswith("to see it again: "))
    assert "diagnose.sh" in again
    assert again.endswith("--stage 'network input'")
    assert (project / RUN / "steps.tsv").read_bytes() == before  # the record of the run is none of its business


@needs_pdmodel
def test_one_stage_and_the_outputs_of_all_operators(sound, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(sound[0], project)
    done = diagnose(
        CONFIGS["classifier"], "lite_train_lite_infer", "--project", project, "--stage", "weights", "--reprod"
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert [stage["name"] for stage in saved(project)["stages"]] == ["weights"]
    folder = next((project / RUN).glob("*_diagnosis"))
    assert (folder / "reference.npy").is_file()
    assert (folder / "export.npy").is_file()


@needs_pdmodel
def test_a_script_that_fails_when_it_is_run_again(sound, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(sound[0], project)
    (project / "tools/predict.py").write_text("raise SystemExit(3)\n")
    done = diagnose(CONFIGS["classifier"], "--project", project)
    assert done.returncode == 1
    assert "tools/predict.py" in done.stderr
    assert "failed with exit code 3 when it was run again; see " in done.stderr


def test_the_script_knows_every_stage():
    from diagnosis.examination import STAGES

    done = diagnose(CONFIGS["classifier"], "--stage", "nothing")
    assert done.stderr == f"error: --stage: expected one of {'|'.join(STAGES)}, found 'nothing'\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "error: usage: bash test_tipc/diagnose.sh CONFIG [MODE] (see --help)"),
        (("no/such.txt",), "error: no/such.txt: no such config file"),
        (
            (CONFIGS["classifier"], "lite", "--project", ROOT / "tests/fixtures/projects/classifier"),
            "unknown mode 'lite'",
        ),
        ((CONFIGS["classifier"], "--project", "/no/such"), "error: --project: expected a folder, found '/no/such'"),
        (("--nothing",), "error: unknown option '--nothing'; see --help"),
    ],
    ids=lambda value: None,
)
def test_what_is_wrong_is_one_line(words, said):
    done = diagnose(*words)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""
