"""The one place that decides what a run is worth, from the steps that it recorded.

The exit code, the summary, the table of run_all.sh, the evidence and the certificate all come from `judge`.
"""

from typing import NamedTuple

from script import counted
from steps import BEGAN, FAILED, NOT_RUN, PASSED, SKIPPED

SERVING, SERVING_CPP, ONNX = "serving_infer", "serving_infer_cpp", "paddle2onnx_infer"
ON_DEVICE, CPP = "lite_arm_cpu_cpp", "cpp_infer"
DEPLOYMENTS = (SERVING, SERVING_CPP, ONNX, ON_DEVICE, CPP)  # the modes of chains that begin with an exported model
_TRAINED = ("train", "converge", "evaluate", "predict", "export", "infer", "agree")
# the steps of a whole run, by mode; the others are as _TRAINED
_SERVED = ("convert", "server", "client", "stop", "agree")
_CONVERTED = ("convert", "infer", "agree")
_WHOLE = {
    "whole_infer": _TRAINED[2:],
    SERVING: _SERVED,
    SERVING_CPP: _SERVED,
    ONNX: _CONVERTED,
    ON_DEVICE: _CONVERTED,
    CPP: ("build", "infer", "agree"),
}
# what must have passed before predictions may be called equal
_COMPARED = {SERVING: ("client", "agree"), SERVING_CPP: ("client", "agree"), ONNX: ("agree",)}
_COMPARED_OTHERS = ("infer", "agree")
# what is said then: two engines agree, and the answers of a service are those of inference bit by bit
_SAID = {
    SERVING: "all answers are identical to the predictions",
    SERVING_CPP: "all answers agree with the predictions",
    ON_DEVICE: "all predictions of the x86 twin agree",
}
_SAID_OTHERS = "all predictions agree"
# a post-training quantisation begins with a trained network; rounding moves every number
_QUANTISED, _SAID_QUANTISED = ("quantise", "infer", "agree"), "the INT8 model agrees with its network as expected"
_SKIPPED = "skipped: "
# facts that are the same in all steps of a run, and those that are the same in all steps of one training
_OF_RUN = {"inputs": "other code, config, data or versions", "commit": "another commit"}
_OF_TAG = {
    "weights": "other weights",
    "model": "another exported model",
    "service": "another converted model",
    "gallery": "another gallery",
}


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

    @property
    def skipped(self):
        """Whether it is a chain of deployment whose model could not be run here; the sentence says why."""
        return self.sentence.startswith(_SKIPPED)


def judge(steps, mode):
    """The `Verdict` on a run of `mode` that recorded these `Step`s."""
    tags = tags_that_ran(steps)
    compared = [tag for tag in tags if _all_passed(steps, tag, _COMPARED.get(mode, _COMPARED_OTHERS))]
    quantised = {tag for tag in tags if not _is_missing(steps, tag, "quantise")}
    kinds = {tag: _QUANTISED if tag in quantised else _WHOLE.get(mode, _TRAINED) for tag in tags}
    missing = [kind for tag in tags for kind in kinds[tag] if _is_missing(steps, tag, kind)]
    missing = list(dict.fromkeys(missing))
    fault = _fault(steps)
    if fault:
        return Verdict(False, False, False, f"FAILED: {fault}")
    if reason := _why_skipped(steps, mode):
        return Verdict(False, False, False, _SKIPPED + reason)
    if all(step.kind == "prepare" for step in steps if step.ran):
        return Verdict(False, False, False, "FAILED: no step was run")
    count = sum(step.result == PASSED for step in steps)
    sentence = f"passed: {counted(count, 'step')}"
    unprepared = [tag for tag in compared if _preprocessing_is_unknown(steps, tag)]
    if not compared:
        sentence += "; the predictions were NOT compared"
    elif len(compared) < len(tags):
        sentence += f"; the predictions of {', '.join(tag for tag in tags if tag not in compared)} were NOT compared"
    else:
        sentence += f", and {_SAID_QUANTISED if quantised == set(tags) else _SAID.get(mode, _SAID_OTHERS)}"
    if mode == ON_DEVICE and not any(step.name.startswith("infer arm") and step.result == PASSED for step in steps):
        sentence += "; the model for ARM was NOT run here"
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
    return _contradiction(ran)


def _why_skipped(steps, mode):
    """Why nothing was computed with the deployed model, "" where something was, and for chains of training."""
    kind = _COMPARED.get(mode, _COMPARED_OTHERS)[0]
    # the Python service always has a variant for the CPU, and its settings may be skipped one by one
    if mode not in DEPLOYMENTS or mode == SERVING or any(step.kind in (kind, "agree") and step.ran for step in steps):
        return ""
    return next((step.reason for step in steps if step.result == SKIPPED), "")


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
