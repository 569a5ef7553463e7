"""Whether a run that passed still certifies its model: the same inputs, and what it made is still there, unchanged.

    python test_tipc/lib/certificate.py test_tipc/output/small/lite_train_lite_infer --inputs 0123456789ab

Reads the summary.json that report.py wrote. Without --inputs, only the verdict and what the run made are looked at.
Exit code: 0 it does, 1 it does not (one line says why).
"""

import argparse
import json
from pathlib import Path

from bundle_lineage import file_hash
from script import UserError, run_main
from steps import read_steps
from verdict import judge


def hashes(paths):
    """{path: SHA-256} of these files, and of all files in those of them that are folders; {} for missing ones."""
    found = {}
    for path in map(Path, paths):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        found.update({str(file): file_hash(file) for file in files if file.is_file()})
    return found


def read_summary(path):
    """The content of a summary.json, None where there is none; UserError when it is not the summary of a chain."""
    if not path.is_file():
        return None
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not the summary of a chain ({error})") from error
    if not isinstance(summary, dict):
        raise UserError(f"{path}: not the summary of a chain ({type(summary).__name__})")
    missing = [key for key in ("passed", "compared", "whole", "verdict", "steps") if key not in summary]
    if missing:
        raise UserError(f"{path}: not the summary of a chain (it has no {missing[0]})")
    return summary


def why_not(folder, inputs=None):
    """Why the run in `folder` certifies nothing (any more), "" when it does."""
    summary = read_summary(folder / "summary.json")
    if summary is None:
        return "no run has ended there"
    if not (summary["passed"] and summary["whole"]):
        return f"its last run: {summary['verdict']}"
    verdict = judge(read_steps(folder / "steps.tsv"), summary.get("mode"))
    if not (verdict.passed and verdict.whole):
        return f"its summary is not that of its steps: {verdict.sentence}"
    if inputs is not None and summary.get("inputs") != inputs:
        return "code, config, data or versions have changed"
    if not isinstance(summary.get("artefacts"), dict):
        return "its summary does not say what it made"
    for path, expected in summary["artefacts"].items():
        if not Path(path).is_file() or file_hash(path) != expected:
            return f"{path} is not what the run left"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", help="hash of all that a run would depend on now")
    args = parser.parse_args()
    reason = why_not(args.folder, args.inputs)
    if reason:
        print(f"{args.folder}: {reason}")
    return 1 if reason else 0


if __name__ == "__main__":
    run_main(main)
