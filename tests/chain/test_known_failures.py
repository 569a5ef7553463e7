"""The lane on the newest releases: a failure is a skip only when the committed list names it."""

import re

import pytest

from tests.helpers.pairs import STEPS, write_packages, write_part
from tests.helpers.scripts import ROOT, assert_one_line, run_process
from tests.known_failures import LIST, read_list

SCRIPT = "tests/known_failures.py"
ENTRY = "numpy\t2.4.*\tdetector/export\t^TypeError: only 0-dimensional\tpaddle.flops fails with it"
SAID = "TypeError: only 0-dimensional arrays can be converted"


@pytest.fixture
def lane(tmp_path):
    """`lane(entries, numpy="2.4.6", detector=(step, said))`: the outcome of the script for these parts."""

    def run(*entries, numpy="2.4.6", statuses=(), **failing):
        folder = tmp_path / "lane"
        write_packages(folder, numpy=numpy)
        found = {name: write_part(folder, name, *failing.get(name, ())) for name in STEPS}
        path = tmp_path / "list.tsv"
        path.write_text("# a comment\n" + "".join(f"{entry}\n" for entry in entries))
        words = [f"{name}={status}" for name, status in {**found, **dict(statuses)}.items()]
        return run_process(SCRIPT, folder, *words, "--list", path)

    return run


def test_all_parts_that_passed_pass(lane):
    outcome = lane()
    assert outcome.status == 0, outcome.err
    verdict = "passed: 4 steps, and all predictions agree"
    assert outcome.out.split("\n")[1:-1] == [f"{name}: {verdict}" for name in STEPS]


def test_a_failure_that_is_not_on_the_list_fails(lane):
    outcome = lane(detector=("export", SAID))
    assert outcome.status == 1
    assert "\ndetector: FAILED: not on the list of known failures: detector/export\n" in outcome.out


def test_one_on_the_list_is_a_skip_with_its_reason(lane):
    outcome = lane(ENTRY, detector=("export", SAID))
    assert outcome.status == 0, outcome.out
    assert "\ndetector: skipped: numpy 2.4.6: paddle.flops fails with it (list.tsv:2)\n" in outcome.out
    assert "note" not in outcome.out


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY.replace("2.4.*", "2.3.*"),
        ENTRY.replace("numpy", "scipy"),
        ENTRY.replace("detector", "classifier"),
        ENTRY.replace("export", "agree"),
        ENTRY.replace("TypeError", "ValueError"),
    ],
    ids=["version", "package", "part", "step", "log"],
)
def test_one_that_is_another_one_fails(lane, entry):
    assert lane(entry, detector=("export", SAID)).status == 1


def test_a_line_whose_failure_no_longer_occurs_is_reported(lane):
    outcome = lane(ENTRY)
    assert outcome.status == 0
    assert outcome.out.endswith(
        "note: list.tsv:2: numpy 2.4.*, detector/export: the failure no longer occurs; remove the line\n"
    )


def test_a_line_of_another_version_is_reported(lane):
    outcome = lane(ENTRY, numpy="2.5.0")
    assert "note: list.tsv:2: numpy 2.4.*, detector/export: numpy is 2.5.0 today; remove the line\n" in outcome.out


def test_a_line_whose_step_was_not_reached_stays(lane):
    outcome = lane(ENTRY.replace("export", "infer"), detector=("export", SAID))
    assert outcome.status == 1
    assert "note" not in outcome.out


def test_a_chain_without_a_step_that_failed_is_a_failure_of_the_chain(lane, tmp_path):
    """It stopped before its first step: its screen is what the list is compared with."""
    assert "known failures: detector/chain" in lane(statuses={"detector": 1}).out
    entry = "numpy\t2.4.*\tdetector/chain\t^train +passed\tplanted"
    assert lane(entry, statuses={"detector": 1}).status == 0


def test_what_could_not_be_run_is_a_skip_only_after_one(lane):
    statuses = {"serving": "the classifier's chain has exported no model"}
    entry = ENTRY.replace("detector", "classifier")
    skipped = lane(entry, classifier=("export", SAID), statuses=statuses)
    assert skipped.status == 0, skipped.out
    assert "\nserving: skipped: the classifier's chain has exported no model\n" in skipped.out
    assert lane(statuses=statuses).status == 1


def test_a_chain_that_ended_well_must_be_whole(lane, tmp_path):
    lane()
    folder = tmp_path / "lane"
    path = folder / "runs/mobilenet_v3_small/serving_infer/summary.json"
    path.write_text(path.read_text().replace('"compared": true', '"compared": false'))
    outcome = run_process(SCRIPT, folder, "serving=0")
    assert outcome.status == 1
    assert "serving: FAILED: not a whole run" in outcome.out


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("numpy 2.4.*", "between tabs"),
        (ENTRY + "\tmore", "between tabs"),
        (ENTRY.replace("detector/", "nothing/"), "step: expected one such as classifier/export"),
        (ENTRY.replace("^TypeError", "("), "not a regular expression"),
    ],
)
def test_a_damaged_list_is_one_line(lane, entry, said):
    assert_one_line(lane(entry), "list.tsv:2: ", said)


@pytest.mark.parametrize("word", ["detector", "nothing=0", "detector="])
def test_wrong_words_are_one_line(word):
    assert_one_line(run_process(SCRIPT, ".", word), "expected PART=STATUS")


def test_the_committed_list_can_be_read():
    for entry in read_list(LIST):
        assert re.compile(entry.pattern)
    assert LIST == ROOT / "tests/known_failures_newest.tsv"
