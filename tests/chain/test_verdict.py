"""The truth table of the one place that decides what a run is worth, and of what is made of its verdict."""

import itertools

import pytest

from steps import BEGAN, FAILED, NOT_RUN, PASSED, SKIPPED, Step
from verdict import ON_DEVICE, SERVING, judge

LITE = "lite_train_lite_infer"
STEPS = ("train", "converge", "evaluate", "predict", "export", "infer", "agree")
LETTERS = {"p": PASSED, "f": FAILED, "s": SKIPPED, "n": NOT_RUN, "b": BEGAN}
AGREE = "passed: 8 steps, and all predictions agree"
ABSENT = "."


def run(letters, tag="a", names=STEPS):
    """Steps from a letter each, `.` for one that is not on record; a passed prepare comes first."""
    made = [Step(tag, name, LETTERS[letter]) for name, letter in zip(names, letters) if letter != ABSENT]
    return [Step("", "prepare", PASSED), *made]


# what each row is: train, converge, evaluate, predict, export, infer, agree
@pytest.mark.parametrize(
    ("letters", "passed", "compared", "whole", "sentence"),
    [
        ("ppppppp", True, True, True, AGREE),
        ("psppppp", True, True, True, "passed: 7 steps, and all predictions agree"),  # too short a training to judge
        ("ppppspp", True, True, True, "passed: 7 steps, and all predictions agree"),  # a model that was exported before
        ("pppppps", True, False, True, "passed: 7 steps; the predictions were NOT compared"),
        ("pppppsp", True, False, True, "passed: 7 steps; the predictions were NOT compared"),  # no inference was run
        ("pppsppp", True, True, True, "passed: 7 steps, and all predictions agree"),  # the evaluation's own inputs
        ("pppspps", True, False, True, "passed: 6 steps; the predictions were NOT compared"),
        ("ppppp.p", True, False, False, "passed: 7 steps; the predictions were NOT compared"),
        ("pp.....", True, False, False, "passed: 3 steps; the predictions were NOT compared"),
        ("p......", True, False, False, "passed: 2 steps; the predictions were NOT compared"),
        ("..ppppp", True, True, False, "passed: 6 steps, and all predictions agree (not run here: train, converge)"),
        (".......", False, False, False, "FAILED: no step was run"),
        ("s......", False, False, False, "FAILED: no step was run"),
        ("sssssss", False, False, False, "FAILED: no step was run"),
        ("fnnnnnn", False, False, False, "FAILED: 1 of 2 steps failed: train"),
        ("bnnnnnn", False, False, False, "FAILED: 1 of 2 steps failed: train (began, and did not end)"),
        ("b......", False, False, False, "FAILED: 1 of 2 steps failed: train (began, and did not end)"),
        ("b.ppppp", False, False, False, "FAILED: 1 of 7 steps failed: train (began, and did not end)"),
        ("pfppppp", False, False, False, "FAILED: 1 of 8 steps failed: converge"),
        ("ppfpfnn", False, False, False, "FAILED: 2 of 6 steps failed: evaluate, export"),
        ("ppppppf", False, False, False, "FAILED: 1 of 8 steps failed: agree"),
        ("ppppppb", False, False, False, "FAILED: 1 of 8 steps failed: agree (began, and did not end)"),
        ("ppppppn", False, False, False, "FAILED: 1 step could not be run: agree"),
        ("..nnnnn", False, False, False, "FAILED: 5 steps could not be run: evaluate, predict, export, infer, agree"),
    ],
)
def test_sentences(letters, passed, compared, whole, sentence):
    assert judge(run(letters), LITE) == (passed, compared, whole, sentence)


def test_every_combination_of_results():
    """Six states of each step: nothing that is not a clean success ever passes, and each says what it must."""
    names = ("train", "evaluate", "predict", "export", "infer", "agree")
    for letters in itertools.product("pfsnb.", repeat=len(names)):
        found = judge(run(letters, names=names), LITE)
        bad = sum(letter in "fb" for letter in letters)
        good = sum(letter == "p" for letter in letters)
        state = dict(zip(names, letters))
        assert found.passed is (not bad and "n" not in letters and good > 0), letters
        assert found.compared is (found.passed and state["infer"] == state["agree"] == "p"), letters
        assert not found.whole  # converge is missing
        assert found.sentence.startswith("passed: " if found.passed else "FAILED: "), letters
        assert ("all predictions agree" in found.sentence) is found.compared, letters
        assert ("NOT compared" in found.sentence) is (found.passed and not found.compared), letters
        if bad:
            assert f"{bad} of {bad + good + 1} steps failed" in found.sentence, letters
        elif found.passed:
            assert found.sentence.startswith(f"passed: {good + 1} steps"), letters


@pytest.mark.parametrize(
    ("one", "other", "passed", "compared", "end"),
    [
        ("ppppppp", "ppppppp", True, True, "passed: 15 steps, and all predictions agree"),
        ("ppppppp", "pppspps", True, False, "passed: 13 steps; the predictions of b were NOT compared"),
        ("pppspps", "pppspps", True, False, "passed: 11 steps; the predictions were NOT compared"),
        ("ppppppp", "ppppppf", False, False, "FAILED: 1 of 15 steps failed: agree"),
        ("ppppppp", "s......", True, True, "passed: 8 steps, and all predictions agree"),  # no GPU for the other one
        ("ppppppp", "pp.....", True, False, "passed: 10 steps; the predictions of b were NOT compared"),
        ("ppppppp", "b......", False, False, "FAILED: 1 of 9 steps failed: train (began, and did not end)"),
    ],
)
def test_two_trainings_are_judged_each(one, other, passed, compared, end):
    found = judge([*run(one), *run(other, "b")[1:]], LITE)
    assert (found.passed, found.compared) == (passed, compared)
    assert found.sentence.startswith(end)


def test_modes_without_a_training_and_services():
    assert judge(run("..ppppp", "provided"), "whole_infer") == (
        *(True, True, True),
        "passed: 6 steps, and all predictions agree",
    )
    names = ("convert", "server cpu", "client cpu http", "stop cpu", "agree cpu")
    steps = [Step("" if name == "convert" else "cpu", name, PASSED) for name in names]
    identical = "passed: 5 steps, and all answers are identical to the predictions"
    assert judge(steps, SERVING) == (True, True, True, identical)
    assert judge(steps[:-1], SERVING).sentence == "passed: 4 steps; the predictions were NOT compared"
    found = judge([*steps, Step("gpu", "server gpu", SKIPPED)], SERVING)
    assert (found.compared, found.whole) == (True, True)
    found = judge([*steps, Step("gpu", "server gpu", PASSED), Step("gpu", "client gpu http", PASSED)], SERVING)
    assert found.sentence.startswith("passed: 7 steps; the predictions of gpu were NOT compared")


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        ("pppp", "passed: 4 steps, and all predictions of the x86 twin agree; the model for ARM was NOT run here"),
        ("ppps", "passed: 3 steps; the predictions were NOT compared; the model for ARM was NOT run here"),
        ("psss", "skipped: there is no tool"),
        ("ssss", "skipped: there is no tool"),
        ("pfss", "FAILED: 1 of 2 steps failed: convert"),
        ("p...", "FAILED: no step was run"),
    ],
)
def test_a_deployment_that_cannot_be_run_here_is_skipped(results, sentence):
    words = {"p": PASSED, "s": SKIPPED, "f": FAILED}
    names = ("prepare", "convert", "infer x86", "agree x86")
    steps = [
        Step("", name, words[result], reason="there is no tool")
        for name, result in zip(names, results)
        if result != "."
    ]
    steps.append(Step("", "infer arm", SKIPPED, reason="no device")) if results.startswith("pp") else None
    found = judge(steps, ON_DEVICE)
    assert found.sentence == sentence
    assert found.skipped == sentence.startswith("skipped")
    assert found.passed == sentence.startswith("passed")


def test_an_arm_model_that_was_run_is_not_said_to_be_missing():
    names = ("convert", "infer x86", "infer arm", "agree x86", "agree arm")
    found = judge([Step("", name, PASSED) for name in names], ON_DEVICE)
    assert found == (True, True, True, "passed: 5 steps, and all predictions of the x86 twin agree")


def test_one_skipped_inference_of_several_is_no_gap_and_one_failed_is():
    steps = run("ppppppp")
    assert judge([*steps, Step("a", "infer gpu", SKIPPED, reason="no GPU")], LITE).compared
    assert not judge([*steps, Step("a", "infer gpu", FAILED)], LITE).passed


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ([{"inputs": "1"}, {"inputs": "1"}, {"inputs": "1"}], "passed"),
        ([{"inputs": "1"}, {"inputs": "1"}, {"inputs": "2"}], "FAILED: agree had other code, config, data or ver"),
        ([{"inputs": "1"}, {}, {"inputs": "2"}], "FAILED: agree had other code, config, data or versions than train: "),
        ([{"commit": "1"}, {"commit": "2"}, {"commit": "2"}], "FAILED: evaluate had another commit than train: "),
        ([{}, {"weights": "1"}, {"weights": "2"}], "FAILED: agree had other weights than evaluate: they do"),
        ([{}, {"model": "1"}, {"weights": "2"}], "passed"),
        ([{"model": "1"}, {}, {"model": "2"}], "FAILED: agree had another exported model than train: "),
    ],
)
def test_steps_that_do_not_belong_together_are_refused(facts, sentence):
    steps = [Step("a", name, PASSED, 1.0, fact) for name, fact in zip(("train", "evaluate", "agree"), facts)]
    assert judge(steps, LITE).sentence.startswith(sentence)


def test_weights_belong_to_a_training_and_code_to_the_run():
    def of(fact, tags=("a", "b"), value=("1", "2")):
        return judge([Step(tag, "evaluate", PASSED, 1.0, {fact: one}) for tag, one in zip(tags, value)], LITE)

    assert of("weights").passed  # two trainings have two results
    assert not of("inputs").passed
    assert not of("model", tags=("", "b")).passed  # what is common belongs to each


PREPROCESSING = "; the preprocessing was NOT compared"


@pytest.mark.parametrize(
    ("facts", "end"),
    [
        ([{"preprocessing": "none"}], ", and all predictions agree" + PREPROCESSING),
        ([{"preprocessing": "none"}, {}], ", and all predictions agree"),  # the second step reads whole files
        ([{}], ", and all predictions agree"),
        ([{"preprocessing": "agrees"}], ", and all predictions agree"),
    ],
)
def test_a_verdict_says_that_the_preprocessing_was_not_compared(facts, end):
    steps = [Step("a", "infer cpu", PASSED)]
    steps += [Step("a", f"agree {number}", PASSED, 1.0, fact) for number, fact in enumerate(facts)]
    assert judge(steps, LITE).sentence.partition(" (not run")[0] == f"passed: {len(steps)} steps{end}"


def test_of_two_trainings_one_has_no_command_to_predict():
    steps = [Step(tag, "infer cpu", PASSED) for tag in "ab"]
    steps += [Step("a", "agree", PASSED, 1.0, {"preprocessing": "none"}), Step("b", "agree", PASSED)]
    assert f"all predictions agree{PREPROCESSING} of a (not run" in judge(steps, LITE).sentence
