"""The one place that decides what a run is worth, from the steps that it recorded.

The exit code, the summary, the table of run_all.sh, the evidence and the certificate all come from `judge`.
"""

from typing import NamedTuple

from script import counted
from steps import BEGAN, FAILED, NOT_RUN, PASSED, SKIPPED

SERVING = "serving_infer"
_TRAINED = ("train", "converge", "evaluate", "predict", "export", "infer", "agree")
# the steps of a whole run, by mode; the others are as _TRAINED
_WHOLE = {"whole_infer": _TRAINED[2:], SERVING: ("convert", "server", "client", "stop", "agree")}
# what must have passed before predictions may be called equal
_COMPARED = {SERVING: ("client", "agree")}
_COMPARED_OTHERS = ("infer", "agree")
# what is said then: two engines agree, and the answers of a service are those of inference bit by bit
_SAID = {SERVING: "all answers are identical to the predictions"}
_SAID_OTHERS = "all predictions agree"
# facts that are the same in all steps of a run, and those that are the same in all steps of one training
_OF_RUN = {"inputs": "other code, config, data or versions", "commit": "another commit"}
_OF_TAG = {"weights": "other weights", "model": "another exported model", "service": "another converted model"}


class Verdict(NamedTuple):
    """What a run is worth.

    passed: nothing failed, something was run, and all of it belongs together: exit code 0.
    compared: every training's (or device's) predictions were made, and compared, and the sentence says so.
    whole: no step of the mode is missing; only then evidence and a certificate are made of a run that passed.
    """

    passed: bool
    compared: bool
    whole: bool
    sentence: str


def judge(steps, mode):
    """The `Verdict` on a run of `mode` that recorded these `Step`s."""
    tags = tags_that_ran(steps)
    compared = [tag for tag in tags if _all_passed(steps, tag, _COMPARED.get(mode, _COMPARED_OTHERS))]
    missing = [kind for kind in _WHOLE.get(mode, _TRAINED) if any(_is_missing(steps, tag, kind) for tag in tags)]
    fault = _fault(steps)
    if fault:
        return Verdict(False, False, False, f"FAILED: {fault}")
    count = sum(step.result == PASSED for step in steps)
    sentence = f"passed: {counted(count, 'step')}"
    unprepared = [tag for tag in compared if _preprocessing_is_unknown(steps, tag)]
    if not compared:
        sentence += "; the predictions were NOT compared"
    elif len(compared) < len(tags):
        sentence += f"; the predictions of {', '.join(tag for tag in tags if tag not in compared)} were NOT compared"
    else:
        sentence += f", and {_SAID.get(mode, _SAID_OTHERS)}"
    if unprepared:
        sentence += "; the preprocessing was NOT compared"
        sentence += f" of {', '.join(unprepared)}" if len(unprepared) < len(tags) else ""
    if compared and missing:
        sentence += f" (not run here: {', '.join(missing)})"
    return Verdict(True, len(compared) == len(tags), not missing, sentence)


def tags_that_ran(steps):
    """The tags of the trainings (or devices) of which a step was run, in their order; [""] when none has a tag."""
    return list(dict.fromkeys(step.tag for step in steps if step.tag and step.ran)) or [""]


def _fault(steps):
    """Why the run has failed, "" when it has not."""
    ran = [step for step in steps if step.ran]
    bad = [step for step in ran if step.result in (FAILED, BEGAN)]
    if bad:
        names = [step.name + (" (began, and did not end)" if step.result == BEGAN else "") for step in bad]
        return f"{len(bad)} of {counted(len(ran), 'step')} failed: {', '.join(dict.fromkeys(names))}"
    lost = list(dict.fromkeys(step.name for step in steps if step.result == NOT_RUN))
    if lost:
        return f"{counted(len(lost), 'step')} could not be run: {', '.join(lost)}"
    if all(step.kind == "prepare" for step in ran):
        return "no step was run"
    return _contradiction(ran)


def _contradiction(steps):
    """How steps that passed do not belong together, "" when they do."""
    for fact, words in {**_OF_RUN, **_OF_TAG}.items():
        first = {}  # the first step with the fact, by tag
        for step in steps:
            if fact in step.facts:
                tag = "" if fact in _OF_RUN or "" in first else step.tag
                known = first.setdefault(tag, step)
                if known.facts[fact] != step.facts[fact]:
                    return (
                        f"{step.name} had {words} than {known.name}: they do not belong to one run (start at stage 0)"
                    )
    return ""


def _of(steps, tag, kind):
    """The steps of this kind that belong to the tag, or to all."""
    return [step for step in steps if step.kind == kind and step.tag in (tag, "")]


def _all_passed(steps, tag, kinds):
    """Whether each of the kinds was run for the tag and never failed; further ones may be skipped."""
    results = [{step.result for step in _of(steps, tag, kind)} for kind in kinds]
    return all(PASSED in found and found <= {PASSED, SKIPPED} for found in results)


def _preprocessing_is_unknown(steps, tag):
    """Whether no step of the tag has compared what goes into the network: the project has no command to predict."""
    facts = [step.facts.get("preprocessing") for step in _of(steps, tag, "agree") if step.result == PASSED]
    return bool(facts) and all(fact == "none" for fact in facts)


def _is_missing(steps, tag, kind):
    return not _of(steps, tag, kind)
