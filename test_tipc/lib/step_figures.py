"""What a step achieved: its figure, which is one line, and the engines that computed, both read from its log."""

import math
import re
from pathlib import Path

from history_file import NAME as HISTORY
from history_file import HistoryError, is_history, read_points
from steps import BEGAN, PASSED
from verdict import tags_that_ran

# what a step's figure is: the last match in its log, by the first word of its name
FIGURES = {
    "train": re.compile(r"\bloss: (\S+?),? avg_reader_cost"),
    "converge": re.compile(r"(loss: \S+ at first, \S+ at last)"),
    "evaluate": re.compile(r"((?:top1|recall1): [.\d]+|\bAP: [.\d]+, AP50: [.\d]+|[Aa]cc(?:uracy)?@?\w*:? [.\d]+)"),
    "agree": re.compile(r"^(\w+): largest difference (\S+) ", re.MULTILINE),
}
# where a training is in mixed precision, or was to be: what is in effect
PRECISION = re.compile(r"INFO: precision: (mixed [^;\n]+|FP32(?=;))")
# what an INT8 model loses and gains, in the step "agree int8"
INT8 = re.compile(r"\b(top1_int8|top1_drop|top1_agreement|bytes_ratio|latency_ratio): (-?[\d.]+)")
# the line of each check of the step "agree observed", and what it found
OBSERVED = re.compile(r"^(preprocessing|network|engine)\b.*", re.MULTILINE)
DIFFERENCE = re.compile(
    r"largest difference (?P<number>[^\s,]+)|[1-9][\d,]* of [\d,]+ (?:elements|integers)\b|not compared"
)
# what an engine says of itself, `engine onednn: oneDNN on (94 of 95 results); threads 4 -> 2 (why)`, in a record of the
# log: errors and the names of images may have such words too
ENGINE = re.compile(
    r"(?:^|\r)\[[\d/ :]+\] ppcls_lite INFO: engine (\w+): (.+ (?:on|off|\d+|unknown)\b.*)$", re.MULTILINE
)
SETTING = re.compile(r"(.+?) (on|off|\d+|unknown)(?: -> (on|off|\d+|unknown))?(?: \((.*)\))?")
LABELS = {"train": "final loss {}", "agree": "{} {}"}


def titles(steps):
    """A title for each step: its name, with the training's tag where there are several, and it is not in the name."""
    several = len(tags_that_ran(steps)) > 1
    return [
        f"{step.name} ({step.tag})" if several and step.tag not in step.name.split(" ") and step.tag else step.name
        for step in steps
    ]


def engines(step):
    """[{"engine", "settings": [{"name", "requested", "in_effect", "why"}]}] of the engines that its log tells of."""
    return engines_in(step.log) if step.log and Path(step.log).is_file() else []


def engines_in(log):
    """The same of the file `log`."""
    found = []
    for name, listed in ENGINE.findall(Path(log).read_text(encoding="utf-8", errors="replace")):
        matches = list(map(SETTING.fullmatch, listed.split("; ")))
        if all(matches):
            found.append({"engine": name, "settings": [_setting(*match.groups()) for match in matches]})
    return found


def _setting(name, requested, found, why):
    return {"name": name, "requested": requested, "in_effect": found or requested, "why": why or ""}


def in_effect(settings):
    """The first setting, which says what computes, and those that are not as they were requested, in words."""
    return "; ".join(
        f"{one['name']} {one['requested']}{'' if _is_as_requested(one) else ' -> ' + one['in_effect']}"
        for number, one in enumerate(settings)
        if number == 0 or not _is_as_requested(one)
    )


def _is_as_requested(setting):
    return setting["requested"] == setting["in_effect"]


def figure(step):
    """What the step achieved, read from its log; its reason where it has none."""
    if step.kind in ("infer", "server") and step.result == PASSED:
        return "; ".join(in_effect(one["settings"]) for one in engines(step))
    if step.result == PASSED and step.log and Path(step.log).is_file():
        log = Path(step.log).read_text(encoding="utf-8", errors="replace")
        if step.name == "agree observed":
            return observed(log)
        if step.name == "agree int8":
            return ", ".join(f"{name} {number}" for name, number in dict(INT8.findall(log)).items())
        if step.kind in FIGURES:
            return ", ".join(_found(step, log))
    return step.reason or ("did not end" if step.result == BEGAN else "")


def _found(step, log):
    """The figures of a step of FIGURES in its log; the loss of a training from its history, where it left one."""
    if step.kind == "train" and (loss := final_loss(step.log)) is not None:
        found = [LABELS["train"].format(f"{loss:.5f}")]
    else:
        lines = [FIGURES[step.kind].findall(line) for line in log.splitlines()]
        lines = [matches for matches in lines if matches]
        # of a line `Acc@1 0.5 Acc@5 0.9` the first figure
        found = [first for first, *_ in (lines if step.kind == "agree" else lines[-1:])]
        label = LABELS.get(step.kind, "{}")
        found = [label.format(*(match if isinstance(match, tuple) else (match,))) for match in found]
    return found + (PRECISION.findall(log)[:1] if step.kind == "train" else [])


def final_loss(log):
    """The last loss in the history of the training whose output is the file `log`; None where it left no history."""
    history = Path(str(log).removesuffix(".log"), HISTORY)
    if not log or not is_history(history):
        return None
    try:
        return read_points(history).train[-1].loss
    except HistoryError:  # the check of the loss says what is wrong with it
        return None


def observed(log):
    """`preprocessing bitwise, network bitwise, engine 1.37e-06`: of several engines, the largest difference."""
    found = {}
    for line in OBSERVED.finditer(log):
        difference = DIFFERENCE.search(line[0])
        words = (difference["number"] or difference[0]) if difference else "bitwise"
        found.setdefault(line[1], []).append(words)
    return ", ".join(f"{check} {max(words, key=_size)}" for check, words in found.items())


def _size(words):
    """The order of a difference: equality bit by bit is the least, and what has no number the worst."""
    if words == "bitwise":
        return -1.0
    return float(words) if re.fullmatch(r"[\d.e+-]+", words) else math.inf
