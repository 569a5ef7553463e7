"""Print the audit of the documents as Markdown: what each asks for, where it is done, and what shows it.

    python tools/tables/specification.py
    python tools/tables/specification.py --update docs/specification.md

The rows are in docs/specification.yaml. Every file, test and option that a row names must be there, and every section
that docs/measured/sections.yaml lists must have a row.
Exit code: 0, or 1 with a line for each fault, and then nothing is written.
"""

import argparse
import functools
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import read_yaml
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, show_block

ROWS, HEADINGS = "docs/specification.yaml", "docs/measured/sections.yaml"
BEGIN, END = "<!-- specification: begin -->", "<!-- specification: end -->"
STATES = ("done", "partly", "not yet", "cannot")
KEYS = {"document", "section", "asks", "state", "where", "shows", "note"}
INPUTS = re.compile(
    r"(?:\./)?(?:test_tipc/configs|test_tipc/results|ppcls_lite|tools|tests|test_images|pretrain_models|docs)/"
)


# ------------------------------------------------------------------------------------------------------ the checks


def find_faults(content, headings, root=REPO):
    """What is wrong with the rows, as lines `docs/specification.yaml: DOCUMENT SECTION: …`."""
    faults = []
    for row in content["rows"]:
        place = f"{ROWS}: {row.get('document')} {row.get('section')}"
        faults += [f"{place}: {fault}" for fault in faults_of_row(row, content["documents"], Path(root))]
    covered = {(row.get("document"), row.get("section")) for row in content["rows"]}
    faults += [
        f"{ROWS}: {document} {section} {title}: has no row"
        for document, sections in headings.items()
        for section, title in sections.items()
        if (document, section) not in covered
    ]
    keys = Counter((row.get("document"), row.get("section"), row.get("asks")) for row in content["rows"])
    return faults + [f"{ROWS}: {key[0]} {key[1]}: two rows for '{key[2]}'" for key, count in keys.items() if count > 1]


def faults_of_row(row, documents, root):
    """What is wrong with one row, as texts."""
    for name in ("document", "section", "asks", "state"):
        if not isinstance(row.get(name), str) or not row[name]:
            return [f"'{name}': expected a text, found {row.get(name)!r}"]
    faults = [f"unknown key '{name}'" for name in sorted(set(row) - KEYS)]
    if row["document"] not in documents:
        faults.append("the document is not in the list at the head")
    if row["state"] not in STATES:
        faults.append(f"state: expected one of {', '.join(STATES)}, found '{row['state']}'")
    elif row["state"] == "done" and not (row.get("where") and row.get("shows")):
        faults.append("a row that is done says where, and what shows it")
    elif row["state"] != "done" and not row.get("note"):
        faults.append(f"a row that is '{row['state']}' says why in its note")
    faults += [f"no file {path}" for path in row.get("where", []) if not (root / path).exists()]
    for shown in row.get("shows", []):
        check = fault_of_test if shown.startswith("tests/") else fault_of_command
        fault = check(shown, root)
        if fault:
            faults.append(f"{fault}, in: {shown}")
    return faults


def fault_of_test(name, root):
    """Why `file::function` is no test, or an empty string."""
    path, _, function = name.partition("::")
    if not (root / path).is_file():
        return f"no file {path}"
    found = re.search(rf"^def {re.escape(function)}\(", (root / path).read_text(encoding="utf-8"), re.MULTILINE)
    return "" if function and found else f"no test '{function}' in {path}"


def fault_of_command(command, root):
    """Why the command cannot be called so, or an empty string: its script, the files it reads, its options."""
    program, *words = shlex.split(command)
    if program not in ("bash", "python"):
        return f"expected bash, python or a test, found '{program}'"
    if words[:1] == ["-m"] and len(words) > 1:  # a package of the library, whose options have tests of their own
        return "" if (root / words[1] / "__main__.py").is_file() else f"no package {words[1]} that can be run"
    if not words or not (root / words[0]).is_file():
        return f"no script {words[0] if words else ''}"
    for word in words[1:]:
        path = word.rpartition("=")[2]
        if INPUTS.match(path) and not path.startswith("output/") and not (root / path).exists():
            return f"no file {path}"
    known = usage_of(root / words[0], program)
    options = [word.partition("=")[0] for word in words[1:] if word.startswith("-")]
    unknown = [option for option in options if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known)]
    return f"{words[0]} has no option {unknown[0]}" if unknown else ""


@functools.cache
def usage_of(script, program):
    """What a Python script prints with --help, or the comment at the head of a shell script."""
    if program == "bash":
        lines = script.read_text(encoding="utf-8").splitlines()
        return "\n".join(
            line for line in lines[: next((i for i, line in enumerate(lines) if not line.startswith("#")), 0)]
        )
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=False)
    return done.stdout


# ------------------------------------------------------------------------------------------------------- the tables


def tables(content):
    """The Markdown between the markers: how many rows are in which state, then a table for each document."""
    counts = Counter((row["document"], row["state"]) for row in content["rows"])
    lines = [f"| document | {' | '.join(STATES)} |", "|---|" + "---:|" * len(STATES)]
    for name, title in content["documents"].items():
        lines.append(f"| {title} | {' | '.join(str(counts[name, state]) for state in STATES)} |")
    totals = [str(sum(counts[name, state] for name in content["documents"])) for state in STATES]
    lines.append(f"| all | {' | '.join(totals)} |")
    for name, title in content["documents"].items():
        lines += ["", f"## {title}", "", "| section | asks | where | shown by | state |", "|---|---|---|---|---|"]
        lines += [line_of(row) for row in content["rows"] if row["document"] == name]
    return "\n".join(lines) + "\n"


def line_of(row):
    """One line of a table."""
    where = "<br>".join(f"[{path}](../{path})" for path in row.get("where", []))
    shows = "<br>".join(link_of(shown) for shown in row.get("shows", []))
    state = row["state"] + (f": {row['note']}" if row.get("note") else "")
    cells = [row["section"], row["asks"], where or "-", shows or "-", state]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def link_of(shown):
    """A test as a link to its file, a command as code."""
    path, colons, function = shown.partition("::")
    return f"[{function}](../{path})" if colons and path.startswith("tests/") else f"`{shown}`"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", metavar="FILE", help="replace the part between the markers of this document")
    args = parser.parse_args()
    content = read_yaml(REPO / ROWS)
    faults = find_faults(content, read_yaml(REPO / HEADINGS))
    if faults:
        for fault in faults[:-1]:
            print(f"error: {fault}", file=sys.stderr)
        raise UserError(faults[-1])
    show_block(args.update, BEGIN, END, tables(content))


if __name__ == "__main__":
    run_main(main)
