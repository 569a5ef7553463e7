"""A bundle against that of another run: what differs, and how far it may."""

import json
import re
import shutil

import pytest

from audit.compare import TOLERANCES
from audit.registry import CHECKS, COMPARISON, PASS, SKIP
from check_submission import audit
from tests.audit.conftest import failures
from tests.audit.planting import Submission
from tests.helpers.scripts import FIXTURES


@pytest.fixture
def pair(submission, tmp_path):
    """Two bundles of one run: the entrant's, and the reviewer's."""
    theirs = Submission(tmp_path / "rerun")
    theirs.repair()
    theirs.change(started="2026-11-26T17:05:09+00:00", ended="2026-11-26T17:10:26+00:00")
    return submission, theirs


def compared(pair, allow_stale=False):
    """{check: line} of the comparison."""
    ours, theirs = pair
    return {line.check: line for line in audit([ours.folder], theirs.folder, allow_stale)}


def other_processor(theirs):
    theirs.change(machine={**theirs.content["machine"], "processor": "another one"})


def test_the_same_run_is_the_same(pair):
    lines = compared(pair)
    assert {line.outcome.result for line in lines.values()} == {PASS}
    assert set(lines) == {"format", *(name for name, one in CHECKS.items() if one.scope == COMPARISON)}


def a_copy_of_the_same_run(theirs):
    theirs.change(started="2026-11-26T17:05:10+00:00", ended="2026-11-26T17:10:25+00:00")


def other_model(theirs):
    theirs.change(model="ResNet50")


def other_commit(theirs):
    theirs.change(project={"commit": "0123456789ab", "clean": True})


def other_line_of_the_config(theirs):
    content = theirs.content
    content["config"]["lines"][4]["value"] = "3"
    theirs.save(content)


def other_seed(theirs):
    theirs.change(seeds=dict.fromkeys(theirs.content["seeds"], 7))


def other_data(theirs):
    content = theirs.content
    next(one for one in content["lineage"] if one["kind"] == "data")["sha256"] = "0" * 64
    theirs.save(content)


def failed_run(theirs):
    content = theirs.content
    content["verdict"].update(passed=False, sentence="FAILED: 1 of 10 steps failed: agree")
    theirs.save(content)


def other_losses(theirs):
    theirs.edit("log_train.txt", r"(\[Epoch 9/.*) loss: [\d.]+", r"\1 loss: 1.23456")


def a_training_that_ends_elsewhere(theirs):
    other_processor(theirs)
    theirs.edit("log_train.txt", r"(\[Train\]\[Epoch 1\d/.*) loss: [\d.]+", r"\1 loss: 0.00001", count=0)


def a_training_that_begins_elsewhere(theirs):
    other_processor(theirs)
    theirs.edit("log_train.txt", r"(\[Train\]\[Epoch 1/.*) loss: [\d.]+", r"\1 loss: 2.50000")


def other_accuracy(theirs):
    theirs.edit("evaluate.log", r"top1: [\d.]+", "top1: 0.47917")


def other_predictions(theirs):
    entry = next(one for one in theirs.content["predictions"] if one["exact"] and one["kind"] == "numbers")
    path = theirs.folder / entry["file"]
    content = json.loads(path.read_text())
    content["rows"][next(iter(content["rows"]))][0] += 0.1
    path.write_text(json.dumps(content))


def no_versions(theirs):
    theirs.change(versions={})


def an_unknown_machine(theirs):
    theirs.change(machine=None)


DIFFERENCES = [
    ("same work", other_model),
    ("two runs", a_copy_of_the_same_run),
    ("same versions", no_versions),
    ("same machine", an_unknown_machine),
    ("same commit", other_commit),
    ("same config", other_line_of_the_config),
    ("same config", other_seed),
    ("same data", other_data),
    ("same verdict", failed_run),
    ("same losses", other_losses),
    ("same losses", a_training_that_ends_elsewhere),
    ("same losses", a_training_that_begins_elsewhere),
    ("same accuracy", other_accuracy),
    ("same predictions", other_predictions),
]


@pytest.mark.parametrize(("check", "plant"), DIFFERENCES)
def test_a_difference_is_found(pair, check, plant):
    plant(pair[1])
    assert set(failures(pair[0].folder, other=pair[1].folder, allow_stale=False)) == {check}


def test_another_machine_is_a_note_and_has_wider_limits(pair):
    other_processor(pair[1])
    other_losses(pair[1])
    lines = compared(pair)
    assert lines["same machine"].outcome.result == SKIP
    assert lines["same losses"].outcome.result == PASS
    assert "(other processor)" in lines["same losses"].outcome.expected


def test_a_real_training_on_another_processor_is_within_the_limits(pair):
    """The log of the same training on an AMD EPYC."""
    other_processor(pair[1])
    shutil.copy(FIXTURES / "bundles/log_train_amd_epyc.txt", pair[1].folder / "log_train.txt")
    losses = compared(pair)["same losses"].outcome
    assert losses.result == PASS
    assert float(re.search(r"largest ([\d.]+)", losses.found)[1]) > 0.1  # from which the same machine would be far


def test_other_versions_are_a_note(pair):
    pair[1].change(versions={**pair[1].content["versions"], "paddlepaddle": "2.6.2"})
    lines = compared(pair)
    assert lines["same versions"].outcome.result == SKIP
    assert "paddlepaddle" in lines["same versions"].outcome.found
    assert "(other versions)" in lines["same losses"].outcome.expected


def test_another_commit_may_be_allowed(pair):
    other_commit(pair[1])
    assert compared(pair, allow_stale=True)["same commit"].outcome.result == SKIP


def test_what_cannot_be_read_ends_the_comparison(pair):
    (pair[1].folder / "bundle.json").write_text("{")
    assert set(failures(pair[0].folder, other=pair[1].folder)) == {"format"}


def test_the_limits_grow_with_the_distance():
    first, *others = TOLERANCES.values()
    assert all(one.first >= first.first and one.last >= first.last for one in others)
