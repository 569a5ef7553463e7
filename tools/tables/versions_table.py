"""The tables of docs/versions.md: which pairs of Paddle and Python passed what, from the figures that were kept.

    python tools/tables/versions_table.py
    python tools/tables/versions_table.py --collect output/versions --update docs/versions.md 3.1.1_3.11

tools/tables/versions.sh calls the second form when it has tried these pairs. --collect replaces their figures in
docs/measured/versions.json, their logs in test_log/versions/, and the file that the chains know versions from,
test_tipc/lib/certified_versions.tsv. Without it the tables are made from the kept figures; --update puts them between
the markers in FILE, otherwise they are printed.
Exit code: 0, or 1 for a pair that was not tried or a file that cannot be used.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, atomic_write, show_block
from tools.tables.versions_pair import FAILED, PARTS, PASSED, read_pair, short_log

MEASURED = REPO / "docs/measured/versions.json"
FACTS = REPO / "test_tipc/lib/certified_versions.tsv"
EVIDENCE = REPO / "test_log/versions"
BEGIN, END = "<!-- versions: begin -->", "<!-- versions: end -->"
CERTIFIED, PARTLY, NONE = "certified", "partly", "none"
ENGINES = ("strict", "paddle", "training_export", "onednn", "openvino", "onnxruntime")
_FACTS_HEAD = (
    "# Paddle, Python, and how the pair fared: certified, partly (what failed), none (why it is not to be had).\n"
    "# Made by tools/tables/versions.sh; known_versions.py reads it.\n"
    "# document: docs/versions.md\n"
)


def kept(path=MEASURED):
    """{"<paddle>_<python>": figures} as an earlier --collect kept them; {} when there are none."""
    if not path.is_file():
        return {}
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))["pairs"]
        for name, pair in pairs.items():
            key_of(name)
            outcome_of(pair)
        return pairs
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read ({error!r}); restore it, or delete it and try all pairs") from error


def key_of(name):
    """A key to sort pairs by: `3.1.1_3.11` -> ((3, 1, 1), (3, 11)). ValueError for another form."""
    paddle, python = name.split("_")
    return tuple(map(int, paddle.split("."))), tuple(map(int, python.split(".")))


def outcome_of(pair):
    """(CERTIFIED, PARTLY or NONE; the remark that explains the last two) of a pair's figures."""
    if pair["reason"]:
        return NONE, pair["reason"]
    parts = [(name, pair["parts"][name]) for name in PARTS]
    bad = [f"{name}: {explain(part)}" for name, part in parts if part["result"] != PASSED]
    return (PARTLY, "; ".join(bad)) if bad else (CERTIFIED, "")


def explain(part):
    """Why a part did not pass: the verdict of its chain, and what the failed step said last."""
    words = [word for word in (part["verdict"], part["reason"]) if word]
    return ": ".join(words) or part["result"]


def as_facts(pairs):
    """The content of certified_versions.tsv."""
    lines = []
    for name in sorted(pairs, key=key_of):
        outcome, remark = outcome_of(pairs[name])
        lines.append("\t".join([*name.split("_"), outcome, " ".join(remark.split())]) + "\n")
    return _FACTS_HEAD + "".join(lines)


class Notes:
    """Remarks below a table, each with a number; the same remark has the same number."""

    def __init__(self):
        self.texts = []

    def mark(self, text):
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    def lines(self):
        return "".join(f"\n[{number}] {_plain(text)}\n" for number, text in enumerate(self.texts, 1))


def as_markdown(pairs):
    """The three tables, with the notes of all of them below."""
    if not pairs:
        return "Nothing has been tried yet.\n"
    notes = Notes()
    names = sorted(pairs, key=key_of)
    tables = [_overview(pairs, names, notes), _chains(pairs, names, notes), _engines(pairs, names, notes)]
    return "\n".join(tables) + notes.lines() + "\n" + _source(pairs) + "\n"


def _overview(pairs, names, notes):
    pythons = sorted({name.split("_")[1] for name in names}, key=lambda python: key_of(f"0_{python}"))
    paddles = list(dict.fromkeys(name.split("_")[0] for name in names))
    rows = []
    for paddle in paddles:
        cells = []
        for python in pythons:
            outcome, remark = outcome_of(pairs[f"{paddle}_{python}"]) if f"{paddle}_{python}" in pairs else ("-", "")
            words = {CERTIFIED: "certified", PARTLY: "**partly**", NONE: "not to be had", "-": "not tried"}[outcome]
            cells.append(f"{words} {notes.mark(remark)}" if outcome == NONE else words)
        rows.append([f"Paddle {paddle}", *cells])
    return _table(["", *(f"Python {python}" for python in pythons)], rows)


def _chains(pairs, names, notes):
    heading = ["Paddle", "Python", "packages", "NumPy", "OpenCV", "protobuf", "exports"]
    rows = []
    for name in names:
        pair = pairs[name]
        if not pair["reason"]:
            versions = [pair["versions"].get(key, "-") for key in ("numpy", "opencv-python-headless", "protobuf")]
            format_ = f"`.{pair['format']}`" if pair["format"] else "-"
            cells = [_cell(key, pair["parts"][key], notes) for key in PARTS if key != "engines"]
            rows.append([pair["paddle"], pair["python"], pair["packages"], *versions, format_, *cells])
    return _table([*heading, *(part for part in PARTS if part != "engines")], rows)


def _cell(name, part, notes):
    if part["result"] == PASSED:
        return " ".join([PASSED, *(notes.mark(f"{name}: {step}") for step in part.get("skipped", ()))])
    words = f"**{part['result']}**" if part["result"] == FAILED else part["result"]
    return f"{words} {notes.mark(f'{name}: {explain(part)}')}"


def _engines(pairs, names, notes):
    rows = []
    for name in names:
        pair = pairs[name]
        if not pair["reason"]:
            part = pair["parts"]["engines"]
            cells = [_engine_cell(engine, part, notes) for engine in ENGINES]
            rows.append([pair["paddle"], pair["python"], *cells])
    return _table(["Paddle", "Python", *(f"`{engine}`" for engine in ENGINES)], rows)


def _engine_cell(engine, part, notes):
    figure = part.get("largest", {}).get(engine)
    if figure:
        text = f"{figure['largest']:.3g}"
        return text if figure["agrees"] else f"**{text}**, disagrees"
    if engine in part.get("not_compared", {}):
        return f"- {notes.mark(part['not_compared'][engine])}"
    return f"- {notes.mark(f'engines: {explain(part)}')}"


def _table(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _plain(text):
    """A program's words inside a document, where they are no markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _source(pairs):
    commits = sorted({pair["commit"] for pair in pairs.values()})
    dates = sorted({pair["date"] for pair in pairs.values()})
    machines = sorted({pair["processor"] for pair in pairs.values()})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return (
        f"Made by `bash tools/tables/versions.sh`, {when}, commit {', '.join(commits)}; {'; '.join(machines)}. The "
        "logs are in `test_log/versions/`."
    )


def collect(folder, names, measured, facts, evidence):
    """Replace what is kept of these pairs by what was tried in `folder`."""
    found = {name: read_pair(folder / name) for name in names}
    pairs = {**kept(measured), **found}
    ordered = {name: pairs[name] for name in sorted(pairs, key=key_of)}
    for name, pair in found.items():
        with atomic_write(evidence / f"{name}.log") as stream:
            stream.write(short_log(folder / name, pair))
    for path, text in ((measured, json.dumps({"pairs": ordered}, indent=1) + "\n"), (facts, as_facts(ordered))):
        with atomic_write(path) as stream:
            stream.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PAIR", help="pairs to collect, such as 3.1.1_3.11")
    parser.add_argument("--collect", type=Path, metavar="FOLDER", help="where versions.sh tried the pairs")
    parser.add_argument("--measured", type=Path, default=MEASURED, help="the figures that are kept")
    parser.add_argument("--facts", type=Path, default=FACTS, help="what the chains know versions from")
    parser.add_argument("--evidence", type=Path, default=EVIDENCE, help="where the logs are kept")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew the tables between the markers in FILE")
    args = parser.parse_args()
    if bool(args.names) != bool(args.collect):
        raise UserError("--collect FOLDER and the names of pairs: expected both or none, found one of them")
    for name in args.names:
        try:
            key_of(name)
        except ValueError:
            raise UserError(f"{name}: expected a pair such as 3.1.1_3.11") from None
    if args.collect:
        collect(args.collect, args.names, args.measured, args.facts, args.evidence)
    block = as_markdown(kept(args.measured))
    show_block(args.update, BEGIN, END, block)


if __name__ == "__main__":
    run_main(main)
