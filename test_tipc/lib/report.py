"""Say how a run of a test_tipc chain ended: a table on the screen, summary.json and junit.xml in its folder.

    python test_tipc/lib/report.py test_tipc/output/MobileNetV3_small_x1_0/lite_train_lite_infer \\
        --model MobileNetV3_small_x1_0 --mode lite_train_lite_infer

Reads steps.tsv, where the chain recorded each step as it began and ended, and the figures from the steps' own logs.
Exit code: 0 the run passed (see verdict.py), 1 it did not, 77 a chain of deployment whose model could not be run here.
"""

import argparse
import json
import re
from pathlib import Path
from xml.etree import ElementTree

from bundle import write_run
from certificate import hashes
from script import atomic_write, run_main
from step_figures import engines, figure, titles
from steps import BEGAN, FAILED, NOT_RUN, PASSED, SKIPPED, read_steps
from verdict import judge

# characters that XML 1.0 cannot hold, not even escaped: a log's control codes and cut UTF-8
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
WIDEST = 110  # characters of a figure in the table; the files have all of it
CANNOT_RUN_HERE = 77  # as a step says it


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
        write_run(args.folder)
    print(f"\n==== {args.model}, {args.mode}: logs in {args.folder} ====")
    print_table(summary["steps"])
    print(verdict.sentence)
    return CANNOT_RUN_HERE if verdict.skipped else int(not verdict.passed)


if __name__ == "__main__":
    run_main(main)
