"""Every planted fault is found by the check that is for it, and every check finds one."""

import inspect

import pytest

from audit.registry import CHECKS
from tests.audit import faults_of_content  # noqa: F401 - it registers the faults in it
from tests.audit.conftest import failures
from tests.audit.faults import FAULTS
from tests.audit.test_compare import DIFFERENCES

# what `forged` evidence may fail besides: none of the checks that hashes alone would explain
HASHES = {"files", "lineage links"}


def test_undamaged_evidence_has_no_failure(submission):
    assert failures(submission.root) == {}


def test_there_are_enough_of_them():
    names = [function.__name__ for *_, function in FAULTS]
    assert len(set(names)) == len(names) >= 30


@pytest.mark.parametrize(("check", "forged", "plant"), FAULTS, ids=[function.__name__ for *_, function in FAULTS])
def test_a_planted_fault_is_found(submission, check, forged, plant):
    plant(submission)
    if forged:
        submission.repair()
    found = failures(submission.root)
    assert check in found, found
    if forged:
        assert not HASHES & set(found)


def test_every_check_fails_at_least_once():
    planted = {check for check, *_ in FAULTS} | {"fresh", "one commit"}  # which tests of their own plant
    compared = {check for check, _ in DIFFERENCES}
    assert planted | compared == set(CHECKS)


def test_the_rules_are_in_one_line():
    for one in CHECKS.values():
        assert 10 < len(one.rule) < 120, one.name
        assert inspect.getdoc(one.function)
