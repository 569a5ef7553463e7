"""The evidence that this repository keeps passes its own audit, but for files that changed since."""

import pytest

from audit.registry import FAIL
from check_submission import audit
from tests.helpers.scripts import ROOT

BUNDLES = sorted(path.parent for path in (ROOT / "test_log").rglob("bundle.json"))


def test_there_is_evidence():
    assert ROOT / "test_log/MobileNetV3_small_x1_0" in BUNDLES


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.relative_to(ROOT / "test_log").as_posix())
def test_a_bundle_passes(bundle):
    lines = audit([bundle], None, allow_stale=True)
    failed = [line for line in lines if line.outcome.result == FAIL]
    assert lines
    assert not failed
