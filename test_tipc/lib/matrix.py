"""Write the table of models and steps of test_tipc/run_all.sh: matrix.txt, matrix.json and matrix.md.

    python test_tipc/lib/matrix.py test_tipc/output --mode lite_train_lite_infer MobileNetV3_small_x1_0 PPHGNetV2_B0

Reads .run_all/steps.tsv, where run_all.sh recorded how each model ended, and each model's own summary.json.
Exit code: 0 every model passed, 1 one did not.
"""

import argparse
import json
from pathlib import Path

from script import UserError, atomic_write, run_main
from steps import kind, read_steps

STEPS = ("prepare", "train", "converge", "evaluate", "predict", "export", "infer", "agree")
# a step that ran several times is shown by its worst result; one that was skipped only if it never ran
WORST_FIRST = ("failed", "not run", "passed", "skipped")
FIGURES = {
    "loss": ("train", "final loss "),
    "top-1 or AP": ("evaluate", "top1: "),
    "largest differences": ("agree", ""),
}
COLUMNS = ("model", "result", *STEPS, "seconds", *FIGURES, "reason")


def read_summary(path):
    """The steps of a model's summary.json; none when the chain did not get so far."""
    if not path.is_file():
        return []
    try:
        return json.loads(path.read_text(encoding="utf-8"))["steps"]
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: not the summary of a chain ({error!r})") from error


def worst(steps, name):
    """The result to show for the steps of the kind `name`, "-" when there is none."""
    results = {step["result"] for step in steps if kind(step) == name}
    return next((result for result in WORST_FIRST if result in results), "-")


def figures(steps, name, prefix):
    """What the passed steps of the kind `name` achieved, several trainings side by side."""
    passed = [step for step in steps if step["result"] == "passed" and kind(step) == name]
    return "; ".join(step["figure"].replace(prefix, "") for step in passed)


def build_rows(output, mode, models):
    """One dict of COLUMNS and "log" a model."""
    runs = {step["name"]: step for step in read_steps(output / ".run_all" / "steps.tsv")}
    rows = []
    for model in models:
        run = runs.get(model, {"result": "not run", "seconds": 0, "log": "", "reason": "interrupted"})
        steps = [] if run["result"] == "not run" else read_summary(output / model / mode / "summary.json")
        row = {"model": model, "result": run["result"], "reason": run["reason"], "log": run["log"]}
        row.update({name: worst(steps, name) for name in STEPS})
        # a model that was certified before: the seconds of that run
        row["seconds"] = float(run["seconds"]) or round(sum(step["seconds"] for step in steps), 1)
        row.update({title: figures(steps, name, prefix) for title, (name, prefix) in FIGURES.items()})
        rows.append(row)
    return rows


def verdict(rows):
    """(all passed, one sentence)."""
    bad = [row["model"] for row in rows if row["result"] != "passed"]
    before = sum(row["reason"] == "certified before" for row in rows)
    known = f", {before} of them before" if before else ""
    if bad:
        return False, f"FAILED: {len(rows) - len(bad)} of {len(rows)} models passed{known}; not: {', '.join(bad)}"
    return True, f"passed: all {len(rows)} models{known}"


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
    rows = build_rows(args.output, args.mode, args.models)
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
