"""Foreign projects, observed: sound ones agree, and each planted fault is found by the check that it is for."""

import json
import re

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.observed import COMMANDS, STEPS, Observed, first_step
from tests.helpers.projects import FAULTS, plant
from tests.helpers.scripts import ROOT
from tests.helpers.warm import Warm

pytestmark = pytest.mark.skipif(number() >= NO_PDMODEL, reason="scripts such as these need .pdmodel")


def agree(project):
    """(exit code, {check: its line}, the last line)"""
    out, script = project.out, ROOT / "test_tipc/lib/agree.py"
    words = [script, out / "inference", "--save", out / "agree.json"]
    for step, option in zip(STEPS, ("--evaluated", "--predicted", "", "--inferred")):
        words += [option, out / f"{step}.log_observed"] if option else []
    words += ["--predict_log", out / "predict.log", "--infer_log", out / "infer.log"]
    status = project.warm.run(words, project.folder, out / "agree.log")
    lines = (out / "agree.log").read_text().splitlines()
    found = {re.match(r"\w+", line)[0]: line for line in lines if re.match("(preprocessing|network|engine)", line)}
    assert json.loads((out / "agree.json").read_text()).keys() == {"preprocessing", "network", "engine"}
    return status, found, lines[-1]


@pytest.fixture(scope="module")
def warm():
    with Warm() as process:
        yield process


@pytest.fixture(scope="module")
def sound(tmp_path_factory, warm):
    """{name: the project without a fault, all its steps observed}"""
    folders = {name: tmp_path_factory.mktemp(name) / "project" for name in COMMANDS}
    return {name: Observed(name, folder, warm).observe_from("evaluate") for name, folder in folders.items()}


def test_a_sound_classifier(sound):
    status, lines, _ = agree(sound["classifier"])
    assert status == 0, lines
    assert "4.77e-07 for 5 (at most 1e-05 of the scale" in lines["preprocessing"]  # normalised in another order
    assert lines["network"].startswith("network: bitwise equal for ")
    assert "softmax is behind the network in the export" in lines["network"]
    assert all(line.endswith(": agrees") for line in lines.values())


def test_a_sound_detector(sound):
    status, lines, _ = agree(sound["detector"])
    assert status == 0, lines
    assert lines["preprocessing"].startswith("preprocessing: bitwise equal for 5 of 5 images")
    assert lines["network"].startswith("network: bitwise equal for ")
    assert all(line.endswith(": agrees") for line in lines.values())


FAULTY = [(name, fault) for name, faults in FAULTS.items() for fault in faults]


@pytest.mark.parametrize(("name", "fault"), FAULTY, ids=lambda text: text.replace(" ", "-"))
def test_a_planted_fault_is_found_by_its_check(sound, tmp_path, warm, name, fault):
    project = Observed(name, tmp_path / "project", warm, begun=sound[name])
    planted = FAULTS[name][fault]
    plant(project.folder, planted)
    status, lines, last = agree(project.observe_from(first_step(planted.file)))
    assert status == 1, lines
    disagreeing = [check for check, line in lines.items() if "DISAGREES" in line]
    assert disagreeing[:1] == [planted.check], lines
    assert last.startswith(f"error: the {planted.check}")
    assert "disagrees: " in last
