"""Write the table of models and steps of test_tipc/run_all.sh: matrix.txt, matrix.json and matrix.md.

    python test_tipc/lib/matrix.py test_tipc/output --mode lite_train_lite_infer MobileNetV3_small_x1_0 PPHGNetV2_B0

Reads .run_all/steps.tsv, where run_all.sh recorded how each model ended, and each model's own summary.json.
Exit code: 0 every model passed, 1 one did not.
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
    "top-1 or AP": ("evaluate", "top1: "),
    "largest differences": ("agree", ""),
}
COLUMNS = ("model", "result", *STEPS, "seconds", *FIGURES, "reason")
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
        run = runs.get(model, Step("", model, NOT_RUN, reason="interrupted"))
        summary = None if run.result == NOT_RUN else read_summary(output / model / mode / "summary.json")
        steps = summary["steps"] if summary else []
        result, reason = _outcome(run, summary, commit)
        row = {"model": model, "result": result, "reason": reason, "log": run.log}
        row.update({kind: worst(steps, kind) for kind in STEPS})
        # a model that passed before: the seconds of that run
        row["seconds"] = run.seconds or round(sum(step["seconds"] for step in steps), 1)
        row.update({title: figures(steps, kind, prefix) for title, (kind, prefix) in FIGURES.items()})
        rows.append(row)
    return rows


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


def verdict(rows):
    """(all passed, one sentence)."""
    bad = [row["model"] for row in rows if row["result"] != PASSED]
    before = sum(row["reason"].startswith(BEFORE) for row in rows)
    remarks = f", {before} of them before" if before else ""
    if loose := [row["model"] for row in rows if "NOT compared" in row["reason"] and row["result"] == PASSED]:
        remarks += f"; predictions NOT compared: {', '.join(loose)}"
    models = counted(len(rows), "model")
    if bad:
        return False, f"FAILED: {len(rows) - len(bad)} of {models} passed{remarks}; not: {', '.join(bad)}"
    return True, f"passed: {'all ' if len(rows) > 1 else ''}{models}{remarks}"


def cells(row):
    """A row as text, failures in capitals so that they are seen."""
    texts = [str(row[column] if row[column] != "" else "-") for column in COLUMNS]
    return ["FAILED" if text == "failed" else text for text in texts]


def as_text(rows):
    table = [COLUMNS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in table)


def as_markdown(rows, title):
    lines = [title, "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of all runs, test_tipc/output")
    parser.add_argument("models", nargs="+", help="model names, in the order of the rows")
    parser.add_argument("--mode", required=True)
    parser.add_argument("--versions", default="")
    parser.add_argument("--commit", default="")
    args = parser.parse_args()
    rows = build_rows(args.output, args.mode, args.models, args.commit)
    passed, sentence = verdict(rows)
    title = f"`bash test_tipc/run_all.sh {args.mode}`, {args.versions}, commit {args.commit}: {sentence}"
    content = {"mode": args.mode, "passed": passed, "verdict": sentence, "versions": args.versions}
    content.update({"commit": args.commit, "models": rows})
    text = as_text(rows) + sentence + "\n"
    written = {"txt": text, "md": as_markdown(rows, title), "json": json.dumps(content, indent=2, ensure_ascii=False)}
    for suffix, body in written.items():
        with atomic_write(args.output / f"matrix.{suffix}") as stream:
            stream.write(body)
    print(f"\n==== {args.mode}: {args.output}/matrix.txt, matrix.json, matrix.md ====\n{text}", end="")
    return 0 if passed else 1


if __name__ == "__main__":
    run_main(main)
