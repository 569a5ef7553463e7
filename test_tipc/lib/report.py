"""Say how a run of a test_tipc chain ended: a table on the screen, summary.json and junit.xml in its folder.

    python test_tipc/lib/report.py test_tipc/output/MobileNetV3_small_x1_0/lite_train_lite_infer \\
        --model MobileNetV3_small_x1_0 --mode lite_train_lite_infer

Reads steps.tsv, where the chain recorded each step as it ended, and the figures from the steps' own logs.
Exit code: 0 every step that was run passed, 1 one failed or none was run.
"""

import argparse
import json
import re
from pathlib import Path
from xml.etree import ElementTree

from script import atomic_write, run_main
from steps import kind, read_steps

# what a step's figure is: the last match in its log, by the first word of its name
FIGURES = {
    "train": re.compile(r"\bloss: (\S+?),? avg_reader_cost"),
    "converge": re.compile(r"(loss: \S+ at first, \S+ at last(?:, over \d+ iterations: too few to judge)?)"),
    "evaluate": re.compile(r"(top1: [.\d]+|\bAP: [.\d]+, AP50: [.\d]+|[Aa]cc(?:uracy)?@?\w*:? [.\d]+)"),
    "agree": re.compile(r"^(\w+): largest difference (\S+) ", re.MULTILINE),
}
# characters that XML 1.0 cannot hold, not even escaped: a log's control codes and cut UTF-8
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LABELS = {"train": "final loss {}", "agree": "{} {}"}


def entitle(steps):
    """A title for each step: its name, with the training's tag where there are several trainings."""
    tags = {step["tag"] for step in steps if step["result"] in ("passed", "failed")} - {""}
    for step in steps:
        step["title"] = f"{step['name']} ({step['tag']})" if len(tags) > 1 and step["tag"] else step["name"]


def figure(step):
    """What the step achieved, read from its log; its reason where it has none."""
    pattern = FIGURES.get(kind(step))
    if step["result"] == "passed" and step["log"] and pattern and Path(step["log"]).is_file():
        found = pattern.findall(Path(step["log"]).read_text(encoding="utf-8", errors="replace"))
        found = found if kind(step) == "agree" else found[-1:]
        label = LABELS.get(kind(step), "{}")
        return ", ".join(label.format(*(match if isinstance(match, tuple) else (match,))) for match in found)
    return step["reason"]


def verdict(steps):
    """(passed, one sentence) for the whole run."""
    counts = {result: sum(step["result"] == result for step in steps) for result in ("passed", "failed")}
    worked = [step for step in steps if step["result"] == "passed" and step["name"] != "prepare"]
    if counts["failed"]:
        return False, f"FAILED: {counts['failed']} of {counts['failed'] + counts['passed']} steps failed"
    if not worked:
        return False, "FAILED: no step was run"
    if any(step["name"].startswith("agree") and step["result"] == "passed" for step in steps):
        return True, f"passed: {counts['passed']} steps, and all predictions agree"
    return True, f"passed: {counts['passed']} steps; the predictions were NOT compared"


def print_table(steps):
    rows = [("step", "result", "seconds", "figure", "log")]
    rows += [
        (s["title"], s["result"], s["seconds"], s["figure"] or "-", Path(s["log"]).name if s["log"] else "-")
        for s in steps
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + "  " + row[4])


def write_junit(path, steps, name):
    failures = sum(step["result"] == "failed" for step in steps)
    skipped = sum(step["result"] in ("skipped", "not run") for step in steps)
    suite = ElementTree.Element(
        "testsuite", name=name, tests=str(len(steps)), failures=str(failures), skipped=str(skipped)
    )
    for step in steps:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=step["title"], time=step["seconds"])
        if step["result"] == "failed":
            ElementTree.SubElement(case, "failure", message=step["reason"]).text = step["log"]
        elif step["result"] != "passed":
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
    parser.add_argument("--versions", default="")
    parser.add_argument("--commit", default="")
    args = parser.parse_args()
    steps = read_steps(args.folder / "steps.tsv")
    for step in steps:
        step["figure"] = figure(step)
    entitle(steps)
    passed, sentence = verdict(steps)
    name = f"{args.model}.{args.mode}"
    summary = {
        "model": args.model,
        "mode": args.mode,
        "passed": passed,
        "verdict": sentence,
        "versions": args.versions,
        "commit": args.commit,
        "steps": [{**step, "seconds": float(step["seconds"])} for step in steps],
    }
    with atomic_write(args.folder / "summary.json") as stream:
        json.dump(summary, stream, indent=2, ensure_ascii=False)
    write_junit(args.folder / "junit.xml", steps, name)
    print(f"\n==== {args.model}, {args.mode}: logs in {args.folder} ====")
    print_table(steps)
    print(sentence)
    return 0 if passed else 1


if __name__ == "__main__":
    run_main(main)
