"""Faults that users make, each planted in a copy of a project whose scripts really run: the diagnosis names each."""

import re

import pytest

from ppcls_lite.utils.paddle_version import NO_PDMODEL, number
from tests.helpers.planted import planted, table
from tests.helpers.scripts import ROOT
from tests.helpers.trials import make_trial

needs_pdmodel = pytest.mark.skipif(number() >= NO_PDMODEL, reason="scripts such as these need .pdmodel")
FAULTS = planted()
LEAST = 25


@pytest.fixture(scope="session")
def sound(tmp_path_factory, warm):
    """`sound(where)`: a project or network without a fault, all its steps observed; each is made once."""
    made = {}

    def get(where):
        if where not in made:
            made[where] = make_trial(where, tmp_path_factory.mktemp("sound") / where, warm)
        return made[where]

    return get


@needs_pdmodel
@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: re.sub(r"\W+", "-", f"{one.where} {one.fault}"))
def test_a_planted_fault_is_named(sound, tmp_path, warm, fault):
    trial = make_trial(fault.where, tmp_path / "copy", warm, begun=sound(fault.where))
    trial.observe_from(fault.plant(trial))
    found = trial.diagnose()
    assert found.first == (fault.stage, fault.cause), found.out
    assert fault.words in found.saved["verdict"], found.out
    assert found.status == 1


def test_the_faults_are_many_and_all_different():
    assert len({(fault.where, fault.fault) for fault in FAULTS}) == len(FAULTS) >= LEAST
    assert {fault.where for fault in FAULTS} > {"classifier", "detector", "MobileNetV3_small_x0_35", "CenterNet"}


def test_the_guide_lists_them():
    text = (ROOT / "docs/diagnose.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- planted faults -->\n")[2].partition("<!-- end of planted faults -->")[0]
    assert listed.strip() == table(), "python -m tests.helpers.planted prints it"
