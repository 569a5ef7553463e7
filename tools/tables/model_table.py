"""Print the networks with their parameters, FLOPs and size as measured here, and what documents state about them.

    python tools/tables/model_table.py
    python tools/tables/model_table.py MixNet_S MixNet_M --markdown
    python tools/tables/model_table.py --update docs/models.md

Without names, the sixteen networks of the documents, and further ones. The stated figures come from
docs/measured/quoted.yaml. Measuring all takes a minute, so --measure keeps the results in docs/measured/models.json;
they are used again as long as the sources of the networks are the same, and measured again where not.
Exit code: 0, or 1 for an unknown network or a file that cannot be used.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.config import read_yaml
from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.files import REPO, atomic_write, replace_block
from ppcls_lite.utils.registered import registered_in

QUOTED = REPO / "docs/measured/quoted.yaml"
MEASURED = REPO / "docs/measured/models.json"
BEGIN, END = "<!-- model table: begin -->", "<!-- model table: end -->"
NETWORKS = (
    "MobileNetV1_x1_0",
    "MobileNetV3_large_x1_0",
    "MobileNetV3_small_x1_0",
    "ShuffleNetV2_x1_0",
    "ResNet50",
    "ResNet50_vd",
    *(f"MixNet_{size}" for size in "SML"),
    *(f"PPHGNetV2_B{number}" for number in range(7)),
)
# other widths of these families, and the teachers of SSLD
FURTHER = (
    *(f"MobileNetV1_{width}" for width in ("x0_25", "x0_5", "x0_75")),
    *(f"MobileNetV3_large_{width}" for width in ("x0_35", "x0_5", "x0_75", "x1_25")),
    *(f"MobileNetV3_small_{width}" for width in ("x0_35", "x0_5", "x0_75", "x1_25")),
    *(f"ShuffleNetV2_{width}" for width in ("x0_25", "x0_33", "x0_5", "x1_5", "x2_0", "swish")),
    *(f"PPHGNet_{size}" for size in ("tiny", "small", "base")),
)
ALL = (*NETWORKS, *FURTHER)
# sources that do not determine the structure of a network
_NO_STRUCTURE = (
    "__init__.py",
    "backbone.py",
    "centernet.py",  # a detector
    "features.py",  # these five of recognisers
    "margins.py",
    "mobilefacenet.py",
    "necks.py",
    "rec_model.py",
    "distillation.py",
    "from_config.py",
    "pretrained.py",
    "registry.py",
)
# key, heading, decimals
_MEASURED_COLUMNS = (("params_m", "parameters (M)", 3), ("flops_m", "FLOPs (M)", 3), ("file_mb", "weights (MB)", 1))
_QUOTED_COLUMNS = (
    ("params_m", "parameters (M)", 3),
    ("flops_m", "FLOPs (M)", 3),
    ("size_mb", "size (MB)", 0),
    ("top1", "top-1 (%)", 2),
    ("top5", "top-5 (%)", 2),
    ("latency_ms", "latency (ms)", 2),
)
_HOW = (
    "Measured here with {}: parameters are all numbers of the state dict, BatchNorm's statistics included; FLOPs are "
    "those of `paddle.flops` for one 224 x 224 image, a multiply-add counted once; weights take 4 bytes per parameter."
)


def structure_hash(folder=REPO / "ppcls_lite/arch"):
    """A hash of the sources that determine the structure of the networks."""
    digest = hashlib.sha256()
    names_in = {}
    for name, path in registered_in(folder).items():
        names_in.setdefault(path.name, set()).add(name)
    own = {file for file, names in names_in.items() if names.isdisjoint(ALL)}  # of networks that a reader has added
    for path in sorted(folder.glob("*.py")):
        if path.name not in _NO_STRUCTURE and path.name not in own:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def kept_measurements(path=MEASURED):
    """{"paddle", "networks"} as kept by --measure; without networks when the sources have changed since."""
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["structure"] == structure_hash():
                return kept
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: cannot be read ({error!r}); delete it, and run --measure") from error
    return {"paddle": None, "networks": {}}


def measure(names, kept):
    """`kept` with the figures of all `names`, those that are missing in it being measured now."""
    missing = [name for name in names if name not in kept["networks"]]
    if not missing:
        return kept
    import paddle  # costs over a second, and is only needed here

    from ppcls_lite.arch import summarize

    networks = dict(kept["networks"])
    for name in missing:
        figures = summarize(name)._asdict()
        networks[name] = {key: round(figures[key], 6) for key, _, _ in _MEASURED_COLUMNS}
    return {"structure": structure_hash(), "paddle": f"Paddle {paddle.__version__}", "networks": networks}


def build_rows(names, measured, quoted):
    """[{"name", "measured": {...}, "quoted": {...}}], figures that no document states being absent."""
    rows = []
    for name in names:
        stated = dict(quoted["networks"].get(name, {}))
        if stated:
            stated["source"] = quoted["sources"][stated["source"]]
        rows.append({"name": name, "measured": measured["networks"][name], "quoted": stated})
    return rows


def _cell(value, decimals):
    if value is None:
        return "-"
    return " / ".join(f"{number:.{decimals}f}" for number in (value if isinstance(value, list) else [value]))


def _table(rows, quoted):
    """(heading, lines) of texts; the column "source" names the quoted document."""
    marks = {source["title"]: f"[{number}]" for number, source in enumerate(quoted["sources"].values(), 1)}
    heading = ["network", *(f"{title}, measured" for _, title, _ in _MEASURED_COLUMNS)]
    heading += [f"{title}, quoted" for _, title, _ in _QUOTED_COLUMNS] + ["source"]
    lines = []
    for row in rows:
        line = [row["name"]]
        line += [_cell(row["measured"][key], decimals) for key, _, decimals in _MEASURED_COLUMNS]
        line += [_cell(row["quoted"].get(key), decimals) for key, _, decimals in _QUOTED_COLUMNS]
        lines.append([*line, marks[row["quoted"]["source"]["title"]] if row["quoted"] else "-"])
    return heading, lines


def _notes(measured, quoted):
    notes = [_HOW.format(measured["paddle"])]
    for number, source in enumerate(quoted["sources"].values(), 1):
        notes.append(f"[{number}] Quoted, not measured: {source['title']}; {source['note']}.")
    return notes


def as_text(rows, measured, quoted):
    heading, lines = _table(rows, quoted)
    # two lines of heading: the columns are narrow
    table = [[text.partition(", ")[0] for text in heading], [text.partition(", ")[2] for text in heading], *lines]
    widths = [max(len(line[column]) for line in table) for column in range(len(heading))]
    text = "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in table)
    return text + "\n" + "".join(f"{note}\n" for note in _notes(measured, quoted))


def as_markdown(rows, measured, quoted):
    heading, lines = _table(rows, quoted)
    heading = [text.replace(", ", "<br>") for text in heading]
    table = [heading, ["---", *["---:"] * (len(heading) - 2), "---"], *lines]
    text = "".join("| " + " | ".join(line) + " |\n" for line in table)
    return text + "".join(f"\n{note}\n" for note in _notes(measured, quoted))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; default: those of the table")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true")
    form.add_argument("--json", action="store_true")
    form.add_argument("--update", type=Path, metavar="FILE", help="renew the table between the markers in FILE")
    parser.add_argument("--measure", action="store_true", help=f"measure again and keep it in {MEASURED.name}")
    args = parser.parse_args()
    names = args.names or list(ALL)
    quoted = read_yaml(QUOTED)
    measured = measure(names, {"networks": {}} if args.measure else kept_measurements())
    if args.measure:
        with atomic_write(MEASURED) as stream:
            stream.write(json.dumps(measured, indent=2) + "\n")
    rows = build_rows(names, measured, quoted)
    if args.update:
        replace_block(args.update, BEGIN, END, as_markdown(rows, measured, quoted))
    elif args.json:
        print(json.dumps({"paddle": measured["paddle"], "networks": rows}, indent=2, ensure_ascii=False))
    else:
        print((as_markdown if args.markdown else as_text)(rows, measured, quoted), end="")


if __name__ == "__main__":
    run_main(main)
