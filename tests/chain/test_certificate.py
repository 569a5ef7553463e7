"""Does a summary.json still certify its model? Alone, without a chain."""

import hashlib
import json

import pytest

from certificate import hashes, why_not

SUMMARY = {"passed": True, "compared": True, "whole": True, "verdict": "passed: 9 steps", "steps": [], "inputs": "1"}


@pytest.fixture
def certify(tmp_path):
    """`certify(**changes)` says why a run that passed, with these changes of its summary, certifies nothing."""

    def ask(inputs=None, **changes):
        (tmp_path / "summary.json").write_text(json.dumps({**SUMMARY, "artefacts": {}, **changes}))
        names = ("train", "converge", "evaluate", "predict", "export", "infer", "agree")
        (tmp_path / "steps.tsv").write_text("".join(f"a\t{name}\tpassed\t1\t\t\t\n" for name in names))
        return why_not(tmp_path, inputs)

    return ask


def test_the_same_inputs_and_files(certify, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/a").write_text("a")
    made = hashes([tmp_path / "model", tmp_path / "missing"])
    assert made == {str(tmp_path / "model/a"): hashlib.sha256(b"a").hexdigest()}
    assert certify("1", artefacts=made) == ""
    assert certify("2", artefacts=made) == "code, config, data or versions have changed"
    (tmp_path / "model/a").write_text("b")
    assert certify("1", artefacts=made) == f"{tmp_path}/model/a is not what the run left"


@pytest.mark.parametrize("change", [{"passed": False}, {"whole": False}])
def test_a_run_that_did_not_pass_as_a_whole(certify, change):
    assert certify(**change) == "its last run: passed: 9 steps"


@pytest.mark.parametrize("artefacts", [None, [1], "x"])
def test_a_summary_that_names_no_files(certify, artefacts):
    assert certify(artefacts=artefacts) == "its summary does not say what it made"
