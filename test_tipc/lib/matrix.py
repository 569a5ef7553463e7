"""Write the table of models and steps of test_tipc/run_all.sh: matrix.txt, matrix.json and matrix.md.

    python test_tipc/lib/matrix.py test_tipc/output --mode lite_train_lite_infer MobileNetV3_small_x1_0 PPHGNetV2_B0 \\
        --deployed MobileNetV3_small_x1_0:serving:serving_infer

Reads .run_all/steps.tsv, where run_all.sh recorded how each chain of a model ended, and the summary.json of each.
Exit code: 0 every chain passed, or was skipped as one that cannot run on this machine; 1 one did not.
"""

import argparse
import json
from pathlib import Path

from certificate import read_summary
from script import atomic_write, counted, run_main
from steps import BEGAN, FAILED, NOT_RUN, PASSED, SKIPPED, Step, read_steps

STEPS = ("prepare", "train", "converge", "evaluate", "predict", "export", "infer", "agree")
# a step that ran several times is shown by its worst result; one that was skipped only if it never ran
WORST_FIRST = (FAILED, NOT_RUN, PASSED, SKIPPED)
FIGURES = {
    "loss": ("train", "final loss "),
    "top-1, Recall@1 or AP": ("evaluate", "top1: "),
    "largest differences": ("agree", ""),
}
COLUMNS = ("model", "result", *STEPS, "seconds", *FIGURES, "reason")
# of the chains that begin with an exported model: their steps have different names
DEPLOYED_STEPS = {"convert": ("convert", "build"), "infer": ("infer", "client"), "agree": ("agree",)}
DEPLOYED_COLUMNS = ("model", "chain", "result", *DEPLOYED_STEPS, "seconds", "largest differences", "reason")
BEFORE = "passed before"


def of_kind(steps, kind):
    """The steps of a summary whose name begins with the word `kind`."""
    return [step for step in steps if step["name"].split(" ")[0] == kind]


def worst(steps, kind):
    """The result to show for the steps of a kind, "-" when there is none."""
    results = {FAILED if step["result"] == BEGAN else step["result"] for step in of_kind(steps, kind)}
    return next((result for result in WORST_FIRST if result in results), "-")


def figures(steps, kind, prefix):
    """What the passed steps of a kind achieved, several trainings side by side."""
    return "; ".join(step["figure"].replace(prefix, "") for step in of_kind(steps, kind) if step["result"] == PASSED)


def build_rows(output, mode, models, commit):
    """One dict of COLUMNS and "log" a model: its result is the verdict in the summary of its own run."""
    runs = {step.name: step for step in read_steps(output / ".run_all" / "steps.tsv")}
    rows = []
    for model in models:
        row, steps = _row(runs, model, output / model / mode, commit)
        row = {"model": model, **row}
        row.update({kind: worst(steps, kind) for kind in STEPS})
        row.update({title: figures(steps, kind, prefix) for title, (kind, prefix) in FIGURES.items()})
        rows.append(row)
    return rows


def build_deployed(output, deployed, commit):
    """One dict of DEPLOYED_COLUMNS and "log" for each (model, chain, mode)."""
    runs = {step.name: step for step in read_steps(output / ".run_all" / "steps.tsv")}
    rows = []
    for model, chain, mode in deployed:
        row, steps = _row(runs, f"{model} {chain}", output / model / mode, commit)
        row = {"model": model, "chain": chain, **row}
        for title, kinds in DEPLOYED_STEPS.items():
            found = [step for kind in kinds for step in of_kind(steps, kind)]
            row[title] = worst([{**step, "name": title} for step in found], title)
        row["largest differences"] = figures(steps, "agree", "")
        rows.append(row)
    return rows


def _row(runs, name, folder, commit):
    """(result, reason, log and seconds of the chain that run_all.sh recorded as `name`, the steps of its summary)."""
    run = runs.get(name, Step("", name, NOT_RUN, reason="interrupted"))
    summary = None if run.result == NOT_RUN else read_summary(folder / "summary.json")
    steps = summary["steps"] if summary else []
    result, reason = _outcome(run, summary, commit)
    # a chain that passed before: the seconds of that run
    seconds = run.seconds or round(sum(step["seconds"] for step in steps), 1)
    return {"result": result, "reason": reason, "log": run.log, "seconds": seconds}, steps


def _outcome(run, summary, commit):
    """(result, reason) of a model: `run` is how its driver ended, `summary` what it left (None: nothing)."""
    if run.result == BEGAN:
        return FAILED, "did not end"
    if run.result != PASSED:
        return run.result, run.reason
    if summary is None:
        return FAILED, "it left no summary"
    if not summary["passed"]:
        return FAILED, summary["verdict"]
    remarks = [run.reason] if run.reason else []
    if run.reason and summary["commit"] != commit:
        remarks.append(f"at commit {summary['commit']}")
    if not summary["compared"]:
        remarks.append("predictions NOT compared")
    return PASSED, ", ".join(remarks)


def verdict(rows, deployed=()):
    """(no chain failed, one sentence)."""
    everything = [*rows, *deployed]
    skipped = [row for row in deployed if row["result"] == SKIPPED]
    bad = [_name(row) for row in everything if row["result"] != PASSED and row not in skipped]
    before = sum(row["reason"].startswith(BEFORE) for row in everything)
    remarks = f", {before} of them before" if before else ""
    if loose := [_name(row) for row in everything if "NOT compared" in row["reason"] and row["result"] == PASSED]:
        remarks += f"; predictions NOT compared: {', '.join(loose)}"
    if skipped:
        remarks += f"; skipped: {', '.join(map(_name, skipped))}"
    count = counted(len(everything), "chain" if deployed else "model")
    passed = sum(row["result"] == PASSED for row in everything)
    if bad:
        return False, f"FAILED: {passed} of {count} passed{remarks}; not: {', '.join(bad)}"
    if skipped:
        return True, f"passed: {passed} of {count}{remarks}"
    return True, f"passed: {'all ' if len(everything) > 1 else ''}{count}{remarks}"


def _name(row):
    return " ".join(filter(None, (row["model"], row.get("chain"))))


def cells(row, columns):
    """A row as text, failures in capitals so that they are seen."""
    texts = [str(row[column] if row[column] != "" else "-") for column in columns]
    return ["FAILED" if text == "failed" else text for text in texts]


def as_text(rows, columns):
    table = [columns, *(cells(row, columns) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(columns))]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in table)


def as_markdown(rows, columns):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cells(row, columns)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of all runs, test_tipc/output")
    parser.add_argument("models", nargs="*", help="model names, in the order of the rows")
    parser.add_argument("--deployed", nargs="*", default=[], metavar="MODEL:CHAIN:MODE", help="further chains")
    parser.add_argument("--mode", required=True)
    parser.add_argument("--versions", default="")
    parser.add_argument("--commit", default="")
    args = parser.parse_intermixed_args()
    rows = build_rows(args.output, args.mode, args.models, args.commit)
    deployed = build_deployed(args.output, [words.split(":") for words in args.deployed], args.commit)
    passed, sentence = verdict(rows, deployed)
    title = f"`bash test_tipc/run_all.sh {args.mode}`, {args.versions}, commit {args.commit}: {sentence}"
    content = {"mode": args.mode, "passed": passed, "verdict": sentence, "versions": args.versions}
    content.update({"commit": args.commit, "models": rows, **({"deployed": deployed} if deployed else {})})
    tables = [table for table in ((rows, COLUMNS), (deployed, DEPLOYED_COLUMNS)) if table[0]]
    text = "\n".join(as_text(*table) for table in tables) + sentence + "\n"
    markdown = "\n".join([title + "\n", *(as_markdown(*table) for table in tables)])
    written = {"txt": text, "md": markdown, "json": json.dumps(content, indent=2, ensure_ascii=False)}
    for suffix, body in written.items():
        with atomic_write(args.output / f"matrix.{suffix}") as stream:
            stream.write(body)
    print(f"\n==== {args.mode}: {args.output}/matrix.txt, matrix.json, matrix.md ====\n{text}", end="")
    return 0 if passed else 1


if __name__ == "__main__":
    run_main(main)
