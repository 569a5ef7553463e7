"""The IR pass, or the pair of passes, that changes what a network computes."""

import pytest

from diagnosis.engines.passes import Bisection
from diagnosis.engines.settings import STRICT
from diagnosis.stage import DIFFERS, SAME
from tests.diagnosis.engine_cases import exported, stages_of, subject_of, usual  # noqa: F401 - a fixture

NAMES = [f"pass_{number}" for number in range(26)]


class Counted:
    """`differs(kept)` for passes that have to be together, and how often it was called."""

    def __init__(self, *needed):
        self.needed, self.calls = set(needed), 0

    def __call__(self, kept):
        self.calls += 1
        return self.needed <= set(kept)


@pytest.mark.parametrize("at", [0, 1, 12, 25])
def test_one_pass(at):
    differs = Counted(NAMES[at])
    found = Bisection(NAMES, differs)
    assert (found.first, found.partner, found.is_explained) == (NAMES[at], "", True)
    assert differs.calls <= 7


@pytest.mark.parametrize(("early", "late"), [(0, 1), (0, 25), (7, 19), (24, 25)])
def test_a_pair(early, late):
    differs = Counted(NAMES[early], NAMES[late])
    found = Bisection(NAMES, differs)
    assert (found.partner, found.first, found.is_explained) == (NAMES[early], NAMES[late], True)
    assert differs.calls <= 13


def test_three_of_them():
    found = Bisection(NAMES, Counted(NAMES[3], NAMES[9], NAMES[20]))
    assert (found.first, found.is_explained) == (NAMES[20], False)


def test_none_of_them():
    assert Bisection(NAMES, lambda kept: True).first == ""


@pytest.fixture(params=["pdmodel", "json"])
def overflowing(exported, request):  # noqa: F811
    return exported("overflowing", request.param)


def test_a_merge_that_overflows(overflowing, tmp_path):
    passes, onednn = stages_of(subject_of(overflowing, tmp_path), "passes", "onednn")
    if overflowing.suffix == ".json":  # Paddle's new format merges the two with oneDNN only
        assert passes.result == SAME
        stage, name = onednn, "conv2d_bn_onednn_fuse_pass"
    else:
        stage, name = passes, "conv_bn_fuse_pass"
    assert (stage.result, stage.cause) == (DIFFERS, "ir_pass")
    assert stage.why == f"the pass {name} changes the outputs"
    assert stage.advice == f'call `config.delete_pass("{name}")` in the inference script'
    assert stage.more["passes"] == [name]


def test_a_merge_that_needs_another_pass(exported, tmp_path):  # noqa: F811
    structure = exported("pair")
    if structure.suffix == ".json":
        pytest.skip("Paddle's new format merges nothing here")
    (stage,) = stages_of(subject_of(structure, tmp_path), "passes")
    assert stage.cause == "ir_pass"
    pair = ["simplify_with_basic_ops_pass", "conv_bn_fuse_pass"]
    assert stage.why == f"the passes {pair[0]} and {pair[1]} together change the outputs, either alone does not"
    assert stage.more["passes"] == pair


def test_the_advice_cures(overflowing, tmp_path):
    """A script that leaves the pass out agrees, and is not blamed; one that does not is."""
    names = ("conv_bn_fuse_pass", "conv2d_bn_onednn_fuse_pass")
    cured = subject_of(overflowing, tmp_path / "cured", infer=[usual(overflowing).but(deleted=names)])
    stages = stages_of(cured, "memory", "passes", "onednn", "inferred")
    assert DIFFERS not in [stage.result for stage in stages], [stage.line for stage in stages]
    wrong = subject_of(overflowing, tmp_path / "wrong", infer=[usual(overflowing)])
    assert DIFFERS in [stage.result for stage in stages_of(wrong, "passes", "onednn")]


def test_a_script_that_left_another_pass_out(overflowing, tmp_path):
    used = usual(overflowing).but(deleted=("fc_fuse_pass",))
    with_it = subject_of(overflowing, tmp_path, infer=[used])
    stages = [stage for stage in stages_of(with_it, "passes", "onednn") if stage.result == DIFFERS]
    assert stages[0].cause == "ir_pass"
    assert stages[0].more["passes"][0].startswith("conv")


def test_two_kernels_of_onednn(exported, tmp_path):  # noqa: F811
    structure = exported("both")
    if structure.suffix == ".json":
        pytest.skip("Paddle's new format has no list of oneDNN's operators")
    (stage,) = stages_of(subject_of(structure, tmp_path), "onednn")
    assert stage.more["operators"] == ["nearest_interp_v2", "pool2d"]


def test_memory_optimisation_changes_nothing(exported, tmp_path):  # noqa: F811
    structure = exported("Classifier")
    settings = STRICT.but(ir=True, memory=structure.suffix == ".pdmodel")
    stages = stages_of(subject_of(structure, tmp_path, infer=[settings]), "memory", "passes")
    assert DIFFERS not in [stage.result for stage in stages]
