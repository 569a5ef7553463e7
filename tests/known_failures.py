"""Decide what the lane `newest` of tests/run.sh is worth: a failure on the committed list is a skip, any other fails.

    python tests/known_failures.py .venv-newest classifier=0 detector=1 "serving=not run: the classifier's chain ..."

FOLDER is where the parts were run (tools/tables/pair.sh); PART=STATUS their exit codes, or why one was not run. The
list, tests/known_failures_newest.tsv, has five columns between tabs: package, version (a pattern such as 3.3.*), step
(part/first word of the step's name), a regular expression for a line of the step's log, and the reason that is printed.
A line of the list is reported when its step passed, or when the package is of another version: it can go.
Exit code: 0 all passed or skipped, 1 one failed, or the list cannot be used.
"""

import argparse
import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO
from tools.tables.versions_pair import CHAINS, FAILED, NOT_RUN, PASSED, last_words, read_packages, read_summary, text_of

SKIPPED = "skipped"
LIST = REPO / "tests/known_failures_newest.tsv"


class Known(NamedTuple):
    """One line of the list, and where it is."""

    package: str
    version: str
    step: str
    pattern: str
    reason: str
    place: str

    def explains(self, step, text, installed):
        """Whether a failed `step` (part/kind) whose log is `text` is this failure."""
        here = self.fits(installed) and self.step == step
        return here and re.search(self.pattern, text, re.MULTILINE) is not None

    def fits(self, installed):
        """Whether the package is installed, in such a version."""
        return self.package in installed and fnmatch(installed[self.package], self.version)


def read_list(path):
    """The `Known` failures; UserError names a line that is none."""
    known = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        cells, place = line.split("\t"), f"{path.name}:{number}"
        if len(cells) != 5 or not all(cell.strip() for cell in cells):
            names = ", ".join(Known._fields[:5])
            raise UserError(f"{place}: expected {names} between tabs, found {line!r:.80}")
        if cells[2].partition("/")[0] not in CHAINS:
            raise UserError(f"{place}: step: expected one such as classifier/export, found {cells[2]!r}")
        try:
            re.compile(cells[3])
        except re.error as error:
            raise UserError(f"{place}: pattern: not a regular expression ({error}), found {cells[3]!r}") from error
        known.append(Known(*cells, place))
    return known


def failures(folder, part):
    """[(part/kind, text of its log)] of the steps of a part that failed; of a part without any, its screen."""
    summary = read_summary(folder, part)
    found = []
    for step in (summary or {"steps": []})["steps"]:
        if step["result"] not in (PASSED, SKIPPED, NOT_RUN):
            log = Path(step["log"]) if step["log"] else folder / f"{part}.log"
            found.append((f"{part}/{step['name'].split(' ')[0]}", text_of(log)))
    return found or [(f"{part}/chain", text_of(folder / f"{part}.log"))]


def judge(folder, outcomes, known, installed):
    """[(part, PASSED, SKIPPED or FAILED, remark)] of the parts."""
    results = []
    for part, status in outcomes:
        if status == "0":
            results.append((part, *_passed(folder, part)))
        elif not status.isdigit():  # it needs a part before it
            earlier = {result for _, result, _ in results}
            results.append((part, SKIPPED if SKIPPED in earlier else FAILED, status))
        else:
            reasons, strange = [], []
            for step, text in failures(folder, part):
                entry = next((one for one in known if one.explains(step, text, installed)), None)
                if entry:
                    reasons.append(f"{entry.package} {installed[entry.package]}: {entry.reason} ({entry.place})")
                else:
                    strange.append(step)
            remark = f"not on the list of known failures: {', '.join(strange)}" if strange else "; ".join(reasons)
            results.append((part, FAILED if strange else SKIPPED, remark))
    return results


def can_go(folder, entry, installed):
    """Why a line of the list is of no use any more, "" where it is, or where that cannot be said."""
    if not entry.fits(installed):
        return f"{entry.package} is {installed.get(entry.package, 'not installed')} today"
    part, _, kind = entry.step.partition("/")
    summary = read_summary(folder, part) or {"steps": []}
    results = [step["result"] for step in summary["steps"] if kind in ("chain", step["name"].split(" ")[0])]
    return "the failure no longer occurs" if results and set(results) <= {PASSED, SKIPPED} else ""


def _passed(folder, part):
    """The result and the remark of a part whose chain ended well: it must be whole, with its predictions compared."""
    summary = read_summary(folder, part)
    if summary and summary["passed"] and summary["compared"] and summary["whole"]:
        return PASSED, summary["verdict"]
    return FAILED, f"not a whole run: {summary['verdict'] if summary else last_words(text_of(folder / f'{part}.log'))}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("outcomes", nargs="+", metavar="PART=STATUS")
    parser.add_argument("--list", type=Path, default=LIST)
    args = parser.parse_args()
    outcomes = [tuple(word.split("=", 1)) for word in args.outcomes]
    for outcome in outcomes:
        if len(outcome) != 2 or outcome[0] not in CHAINS or not outcome[1]:
            raise UserError(f"expected PART=STATUS with one of {', '.join(CHAINS)}, found {'='.join(outcome)!r}")
    known, installed = read_list(args.list), read_packages(args.folder)
    results = judge(args.folder, outcomes, known, installed)
    print()
    for part, result, remark in results:
        print(f"{part}: {remark}" if result == PASSED else f"{part}: {result.replace(FAILED, 'FAILED')}: {remark}")
    for entry in known:
        if why := can_go(args.folder, entry, installed):
            print(f"note: {entry.place}: {entry.package} {entry.version}, {entry.step}: {why}; remove the line")
    return int(any(result == FAILED for _, result, _ in results))


if __name__ == "__main__":
    run_main(main)
