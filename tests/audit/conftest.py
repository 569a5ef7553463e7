"""A copy of real evidence in a small repository, and the audit of it."""

import pytest

from audit.registry import FAIL
from check_submission import audit
from tests.audit.planting import Submission


@pytest.fixture
def submission(tmp_path):
    """A `Submission` that the test may spoil; its hashes are those of its files."""
    made = Submission(tmp_path / "project")
    made.repair()
    return made


def failures(*places, other=None, allow_stale=True):
    """{check: what it found} of all checks that fail."""
    lines = audit(list(places), other, allow_stale)
    return {line.check: line.outcome.found for line in lines if line.outcome.result == FAIL}
