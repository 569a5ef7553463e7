"""Say how a run of a test_tipc chain ended: a table on the screen, summary.json and junit.xml in its folder.

    python test_tipc/lib/report.py test_tipc/output/MobileNetV3_small_x1_0/lite_train_lite_infer \\
        --model MobileNetV3_small_x1_0 --mode lite_train_lite_infer

Reads steps.tsv, where the chain recorded each step as it began and ended, and the figures from the steps' own logs.
Exit code: 0 the run passed (see verdict.py), 1 it did not, 77 a chain of deployment whose model could not be run here.
"""

import argparse
import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

from certificate import hashes
from history_file import NAME as HISTORY
from history_file import HistoryError, is_history, read_points
from script import atomic_write, run_main
from steps import BEGAN, FAILED, NOT_RUN, PASSED, SKIPPED, read_steps
from verdict import judge, tags_that_ran

# what a step's figure is: the last match in its log, by the first word of its name
FIGURES = {
    "train": re.compile(r"\bloss: (\S+?),? avg_reader_cost"),
    "converge": re.compile(r"(loss: \S+ at first, \S+ at last)"),
    "evaluate": re.compile(r"(top1: [.\d]+|\bAP: [.\d]+, AP50: [.\d]+|[Aa]cc(?:uracy)?@?\w*:? [.\d]+)"),
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
# characters that XML 1.0 cannot hold, not even escaped: a log's control codes and cut UTF-8
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
WIDEST = 110  # characters of a figure in the table; the files have all of it
CANNOT_RUN_HERE = 77  # as a step says it
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


def print_table(steps):
    rows = [("step", "result", "seconds", "figure", "log")]
    for step in steps:
        log = Path(step["log"]).name if step["log"] else "-"
        figure = step["figure"] if len(step["figure"]) <= WIDEST else step["figure"][: WIDEST - 1] + "…"
        rows.append((step["title"], step["result"], f"{step['seconds']:.1f}", figure or "-", log))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + "  " + row[4])


def write_junit(path, steps, name):
    failures = sum(step["result"] in (FAILED, BEGAN) for step in steps)
    skipped = sum(step["result"] in (SKIPPED, NOT_RUN) for step in steps)
    suite = ElementTree.Element(
        "testsuite", name=name, tests=str(len(steps)), failures=str(failures), skipped=str(skipped)
    )
    for step in steps:
        seconds = f"{step['seconds']:.1f}"
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=step["title"], time=seconds)
        if step["result"] in (FAILED, BEGAN):
            ElementTree.SubElement(case, "failure", message=step["figure"]).text = step["log"]
        elif step["result"] != PASSED:
            ElementTree.SubElement(case, "skipped", message=f"{step['result']}: {step['reason']}")
        ElementTree.SubElement(case, "system-out").text = step["figure"]
    for element in suite.iter():
        element.attrib.update({key: NOT_XML.sub("?", value) for key, value in element.attrib.items()})
        element.text = element.text and NOT_XML.sub("?", element.text)
    with atomic_write(path, "wb") as stream:
        ElementTree.ElementTree(suite).write(stream, encoding="utf-8", xml_declaration=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mode", required=True)
    parser.add_argument("--chain", help="the script's name without test_ and .sh: then bundle.json is written, too")
    parser.add_argument("--config", default="", help="the config of the run, as seen from the project")
    parser.add_argument("--versions", default="")
    parser.add_argument("--commit", default="")
    parser.add_argument("--tool", default="", help="commit of test_tipc, or a hash of its files")
    parser.add_argument("--inputs", default="", help="hash of all that the run depends on")
    parser.add_argument("--artefacts", nargs="*", default=[], help="weights and models that the run certifies")
    args = parser.parse_args()
    steps = read_steps(args.folder / "steps.tsv")
    verdict = judge(steps, args.mode)
    summary = {
        "model": args.model,
        "mode": args.mode,
        **({"chain": args.chain, "config": args.config} if args.chain else {}),
        "passed": verdict.passed,
        "compared": verdict.compared,
        "whole": verdict.whole,
        "verdict": verdict.sentence,
        "versions": args.versions,
        "commit": args.commit,
        "tool": args.tool,
        "inputs": args.inputs,
        "artefacts": hashes(args.artefacts) if verdict.passed else {},
        "steps": [
            {**step._asdict(), "title": title, "figure": figure(step), "engines": engines(step)}
            for step, title in zip(steps, titles(steps))
        ],
    }
    with atomic_write(args.folder / "summary.json") as stream:
        json.dump(summary, stream, indent=2, ensure_ascii=False)
    write_junit(args.folder / "junit.xml", summary["steps"], f"{args.model}.{args.mode}")
    if args.chain:
        from bundle import write_run  # which reads figures of this file

        write_run(args.folder)
    print(f"\n==== {args.model}, {args.mode}: logs in {args.folder} ====")
    print_table(summary["steps"])
    print(verdict.sentence)
    return CANNOT_RUN_HERE if verdict.skipped else int(not verdict.passed)


if __name__ == "__main__":
    run_main(main)
