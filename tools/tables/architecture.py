"""Draw which folder knows which from the imports themselves, and say which import is not allowed.

    python tools/tables/architecture.py
    python tools/tables/architecture.py --update docs/architecture.md

Who may know whom is stated in FOLDERS below, and nowhere else. Prints a Mermaid drawing and a table; --update puts them
between the markers in a document instead.
Exit code: 0, or 1 with one line for each reference that is not allowed, for each circle of files in ppcls_lite, and for
each folder that FOLDERS does not have.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import run_main
from ppcls_lite.utils.files import REPO, show_block
from tools.tables.graph import find_circles, without_shortcuts
from tools.tables.references import python_files, read_references

BEGIN, END = "<!-- architecture: begin -->", "<!-- architecture: end -->"
LIBRARY = "ppcls_lite/"


class Folder(NamedTuple):
    """What a folder holds, and which folders its files may import, and run or name, as words separated by spaces."""

    holds: str
    imports: str = ""
    runs: str = ""


# From what a user calls down to what everything uses. Names without a slash are folders of ppcls_lite where there
# is one of that name. A folder's own subfolders belong to it, unless they are listed themselves.
_PARTS = "infer/engines infer/gallery infer/model"
_INFER = f"infer infer/compare {_PARTS}"
FOLDERS = {
    "test_tipc": Folder(
        "the chains: Bash, and a config for each model", "", "test_tipc/lib tools tools/insightface tools/data deploy"
    ),
    "test_tipc/lib": Folder("what the chains share; works in any repository"),
    "tools": Folder(
        "commands for training: train, eval, infer, export, compare",
        f"arch data train {_INFER} serving utils",
        "deploy docs",
    ),
    "tools/insightface": Folder("InsightFace's own commands and options", f"arch data train {_INFER} utils"),
    "tools/data": Folder("commands that make the data sets", "data utils"),
    "tools/tables": Folder(
        "commands that make the tables of the documents",
        f"arch data train {_INFER} benchmark slim utils",
        "tools tools/data deploy test_tipc test_tipc/lib docs",
    ),
    "deploy/docker": Folder("images that certify and serve a model: they start the chains", "", "test_tipc deploy"),
    "deploy": Folder("commands for prediction and serving", f"data {_INFER} serving benchmark slim utils", "docs"),
    "ppcls_lite": Folder("settings that must be made before Paddle is imported; the package's command", "quick utils"),
    "ppcls_lite/quick": Folder("the command `ppcls_lite` and the class `PaddleClas`", f"arch data {_INFER} utils"),
    "ppcls_lite/serving": Folder("Paddle Serving's pipeline", f"data {_INFER} utils"),
    "ppcls_lite/benchmark": Folder("latency of the engines, and its report", f"arch {_INFER} utils"),
    "ppcls_lite/train": Folder("training loop, checkpoints, losses, metrics, optimizers", "arch data utils"),
    "ppcls_lite/infer/compare": Folder("do all engines predict the same?", f"data {_INFER} slim utils"),
    "ppcls_lite/infer": Folder("predicting images, exporting a network", f"arch data {_PARTS} slim utils"),
    "ppcls_lite/infer/gallery": Folder("embeddings with names, searched for the nearest", "data infer/model utils"),
    "ppcls_lite/infer/engines": Folder("one file per engine", "arch data infer/model utils"),
    "ppcls_lite/infer/model": Folder("the files of an exported model; top-k", "data utils"),
    "ppcls_lite/arch": Folder("the networks, one file per paper", "slim utils"),
    "ppcls_lite/slim": Folder("INT8 after training, training for INT8, pruning: needs no network's file", "utils"),
    "ppcls_lite/data": Folder("image lists, transforms, loaders", "utils"),
    "ppcls_lite/utils": Folder("configs, log, safe loading, checks"),
}
# Folders that belong to another one although that one's other subfolders do not.
PART_OF = {"tools/infer": "tools", "tools/suite": "tools", "test_tipc/configs": "test_tipc"}
PART_OF["tools/insightface/configs"] = "tools/insightface"
PART_OF |= {
    f"deploy/{name}": "deploy"
    for name in ("configs", "cpp", "images", "lite", "onnx_python", "paddle2onnx", "paddleserving", "python", "slim")
}
# Of infer, only what concerns the training engine knows the networks.
ONLY_IN = {
    ("ppcls_lite/infer", "ppcls_lite/arch"): ("export.py", "int8.py", "named_config.py", "tasks.py"),
    ("ppcls_lite/infer/engines", "ppcls_lite/arch"): ("training.py",),
}
_SPLIT = {folder.rpartition("/")[0] for folder in (*FOLDERS, *PART_OF)} - {""}  # their subfolders need an entry


def full_name(word):
    """`arch` -> `ppcls_lite/arch`; other folders as they are."""
    return LIBRARY + word if LIBRARY + word in FOLDERS else word


def may_know(folder, kind):
    """The folders that `folder` may import, or run or name."""
    return {full_name(word) for word in (FOLDERS[folder].imports if kind == "import" else FOLDERS[folder].runs).split()}


def folder_of(path):
    """The entry of FOLDERS that the file or folder `path` belongs to; None where there is none."""
    parts = Path(path).parts
    if Path(path).suffix:
        parts = parts[:-1]
    for end in range(len(parts), 0, -1):
        name = "/".join(parts[:end])
        if name in PART_OF:
            return PART_OF[name]
        if name in FOLDERS:
            return name if end == len(parts) or name not in _SPLIT else None
    return parts[0] if parts[:1] in (("docs",), ("tests",)) else None


def find_arrows(references):
    """{(folder, folder): "import" or "run"}; an import outweighs a command."""
    arrows = {}
    for reference in references:
        pair = (folder_of(reference.file), folder_of(reference.target))
        if pair[0] != pair[1] and set(pair) <= set(FOLDERS) and arrows.get(pair) != "import":
            arrows[pair] = reference.kind
    return arrows


# ---------------------------------------------------------------------------------------------------------- the faults


def find_faults(root):
    """One line for each fault: file, line, and what is wrong."""
    references = read_references(root)
    faults = [
        f"{path}: the folder {path.parent} is not in FOLDERS of tools/tables/architecture.py"
        for path in python_files(root)
        if not folder_of(path)
    ]
    for reference in references:
        faults += _faults_of(reference)
    return faults + list(_circles_of(references))


def _faults_of(reference):
    source, target = folder_of(reference.file), folder_of(reference.target)
    place = f"{reference.file}:{reference.line}"
    if reference.missing:
        yield f"{place}: imports {reference.missing}, which does not exist"
    elif source and target and source != target:
        verb = "imports" if reference.kind == "import" else "names"
        allowed = may_know(source, reference.kind)
        files = ONLY_IN.get((source, target))
        if target not in allowed:
            listed = ", ".join(folder for folder in FOLDERS if folder in allowed)
            listed = f"only {listed}" if listed else "no other folder"
            yield f"{place}: {verb} {reference.target}, but {source} may {verb[:-1]} {listed}"
        elif files and Path(reference.file).name not in files:
            yield f"{place}: {verb} {reference.target}, but in {source} only {', '.join(files)} may"


def _circles_of(references):
    """One line for each circle of imports between files of the library."""
    known = {}  # file -> {imported file: line}
    for reference in references:
        if reference.kind == "import" and reference.file.startswith(LIBRARY) and reference.file != reference.target:
            known.setdefault(reference.file, {}).setdefault(reference.target, reference.line)
    for circle in find_circles(known):
        steps = [f"{here}:{known[here][there]}" for here, there in zip(circle, circle[1:])]
        yield f"{steps[0]}: a circle of imports: {' -> '.join([*steps, circle[0]])}"


# --------------------------------------------------------------------------------------------------------- the drawing


def draw(arrows):
    """The drawing and the table as Markdown."""
    imports = {pair for pair, kind in arrows.items() if kind == "import"}
    commands = set(arrows) - imports
    shown = [folder for folder in FOLDERS if any(folder in pair for pair in arrows)]
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {_node(folder)}["{folder}"]' for folder in shown if not folder.startswith(LIBRARY)]
    lines += ['    subgraph library["ppcls_lite"]']
    lines += [f'        {_node(folder)}["{_short(folder)}"]' for folder in shown if folder.startswith(LIBRARY)]
    lines += ["    end"]
    for source, target in _in_order(without_shortcuts(imports) | commands):
        arrow = "-->" if (source, target) in imports else "-.->"
        lines.append(f"    {_node(source)} {arrow} {_node(target)}")
    lines += ["```", "", "| folder | holds | imports | runs or reads |", "|---|---|---|---|"]
    for folder in shown:
        known = [[_short(to) for source, to in _in_order(pairs) if source == folder] for pairs in (imports, commands)]
        cells = " | ".join(", ".join(names) or "-" for names in known)
        lines.append(f"| `{folder}` | {FOLDERS[folder].holds} | {cells} |")
    return "\n".join(lines) + "\n"


def _node(folder):
    return folder.replace("/", "_")


def _short(folder):
    return folder[len(LIBRARY) :] if folder.startswith(LIBRARY) else folder


def _in_order(pairs):
    order = {folder: number for number, folder in enumerate(FOLDERS)}
    return sorted(pairs, key=lambda pair: (order[pair[0]], order[pair[1]]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", type=Path, metavar="FILE", help="put the drawing between the markers in FILE")
    parser.add_argument("--root", type=Path, default=REPO, help="the repository to read; default: this one")
    args = parser.parse_args()
    block = draw(find_arrows(read_references(args.root)))
    show_block(args.update, BEGIN, END, block)
    faults = find_faults(args.root)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    run_main(main)
