"""Say what is known about a Paddle on a Python, without importing either; nothing where the pair is certified.

    python test_tipc/lib/known_versions.py 2.5.2 3.10

Reads certified_versions.tsv beside this script, the pairs that were tried. `--gpu` is for the package paddlepaddle-gpu.
Exit code: 0, whatever is known; 1 when it cannot be printed.
"""

import argparse
import re
from pathlib import Path
from typing import NamedTuple

from script import ROOT, run_main

TABLE = Path(__file__).with_name("certified_versions.tsv")
_DOCUMENT = "# document: "  # begins the line of the table that names what explains it
CERTIFIED, PARTLY, NONE = OUTCOMES = ("certified", "partly", "none")
# what is known of versions that were not tried: the first and the last of them, and the remark
REMARKS = (
    ("0.0.0", "0.0.0", "0.0.0 is a build from Paddle's sources, whose age its number does not tell"),
    ("0.0.1", "2.6.1", "the package index has wheels from 2.6.2 on only, so that no older one could be tried"),
    ("3.3.0", "3.3.0", "its oneDNN stops on some .json models, as that of 3.3.1 does (issue 77340 of Paddle)"),
)
_UNKNOWN = (0, 0, 0)


class Pair(NamedTuple):
    """One line of the table."""

    paddle: str
    python: str
    outcome: str
    remark: str


def read_table(path=TABLE):
    """The `Pair`s that were tried; ValueError names a line that is none."""
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        cells = line.split("\t")
        if len(cells) != len(Pair._fields) or cells[2] not in OUTCOMES or not all(map(numbers, cells[:2])):
            expected = ", ".join(Pair._fields)
            raise ValueError(f"{path.name}:{number}: expected {expected} between tabs, found {line!r:.80}")
        pairs.append(Pair(*cells))
    return pairs


def numbers(version):
    """(3, 1, 1) of `3.1.1`, `3.1.1rc2` or `3.1.1.post117`; () of anything else."""
    found = re.match(r"\d+(\.\d+){0,2}", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def note_on(paddle, python, gpu=False, table=TABLE):
    """One line on a Paddle (`3.1.1`) and a Python (`3.11`), "" when the pair is certified or no table is there."""
    try:
        pairs = read_table(table) if table.is_file() else []
    except (ValueError, OSError) as error:
        return f"which versions are certified cannot be said: {error}"
    known = {(pair.paddle, pair.python): pair for pair in pairs}.get((paddle, python))
    document = document_of(table)
    certified = [pair for pair in pairs if pair.outcome == CERTIFIED]
    name = f"Paddle {paddle} on Python {python}"
    if not certified:
        return ""
    if known and known.outcome == PARTLY:
        return f"{name}: not everything has passed{_in_brackets(document)}: {known.remark}"
    if known and known.outcome == CERTIFIED and not gpu:
        return ""
    name += " is not among the certified pairs"
    if known and known.outcome == CERTIFIED:
        return f"GPU build of {name}{_in_brackets(document)}: only the CPU build of this version is"
    ranges = f"Paddle {_range(pair.paddle for pair in certified)}, Python {_range(pair.python for pair in certified)}"
    reasons = [f"when it was tried: {known.remark}"] if known else _reasons(paddle, python, certified)
    return f"{name}{_in_brackets(ranges, document)}: {'; '.join(reasons)}"


def _reasons(paddle, python, certified):
    """Where the versions are among those that are certified, and what is known of them."""
    paddles, pythons = ({getattr(pair, key) for pair in certified} for key in ("paddle", "python"))
    reasons = []
    for name, version, tried in (("Paddle", paddle, paddles), ("Python", python, pythons)):
        newest, oldest = max(tried, key=numbers), min(tried, key=numbers)
        if version in tried or numbers(version) == _UNKNOWN:
            continue
        if numbers(version) > numbers(newest):
            reasons.append(f"{name} {version} is newer than any that was tried; the newest certified is {newest}")
        elif numbers(version) < numbers(oldest):
            reasons.append(f"{name} {version} is older than any that was tried; the oldest certified is {oldest}")
        else:
            below = max((one for one in tried if numbers(one) <= numbers(version)), key=numbers)
            reasons.append(f"{name} {version} was not tried; the nearest older one that is certified is {below}")
    reasons += [remark for first, last, remark in REMARKS if numbers(first) <= numbers(paddle) <= numbers(last)]
    return reasons or ["both are certified, but not together"]


def _range(versions):
    """`3.9 to 3.13`."""
    ordered = sorted(set(versions), key=numbers)
    return " to ".join(dict.fromkeys((ordered[0], ordered[-1])))


def document_of(table):
    """The document that the table names, "" where this repository has none: this folder is copied into others."""
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    named = [line[len(_DOCUMENT) :] for line in lines if line.startswith(_DOCUMENT)]
    return named[0] if named and (ROOT / named[0]).is_file() else ""


def _in_brackets(*parts):
    text = "; ".join(filter(None, parts))
    return f" ({text})" if text else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paddle", help="version, such as 3.1.1")
    parser.add_argument("python", help="version, such as 3.11")
    parser.add_argument("--gpu", action="store_true")
    args = parser.parse_args()
    note = note_on(args.paddle, args.python, args.gpu)
    if note:
        print(note)


if __name__ == "__main__":
    run_main(main)
