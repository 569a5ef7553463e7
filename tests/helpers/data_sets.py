"""Data sets as folders, for the tests of those that make them."""

import subprocess
import sys

import cv2

from tests.helpers.scripts import ROOT


def read_list(folder, split):
    lines = (folder / f"{split}_list.txt").read_text(encoding="utf-8").splitlines()
    return [(path, int(label)) for path, label in (line.split(" ") for line in lines)]


def table_rows(path):
    """Cells of a Markdown file's table, without its head."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def layout_problems(folder, per_class=None, shape=None):
    """Everything that is wrong with an ImageNet-style folder, as a list of lines."""
    problems = []
    ids, names = zip(*(line.split(" ", 1) for line in (folder / "label_list.txt").read_text().splitlines()))
    if list(ids) != [str(i) for i in range(len(names))]:
        problems.append("label_list.txt: ids are not 0, 1, 2, ...")
    for split in ("train", "val"):
        rows = read_list(folder, split)
        listed = [path for path, _ in rows]
        found = {p.relative_to(folder).as_posix() for p in (folder / split).rglob("*") if p.is_file()}
        if len(set(listed)) != len(listed):
            problems.append(f"{split}: listed twice")
        problems += [f"{path}: listed and files differ" for path in sorted(set(listed) ^ found)]
        problems += [f"{path}: wrong class" for path, label in rows if path.split("/")[1] != names[label]]
        for label in range(len(names)):
            n = sum(1 for row in rows if row[1] == label)
            if per_class and n != per_class[split]:
                problems.append(f"{split}/{names[label]}: {n} images")
        for path in sorted(found):
            image = cv2.imread(str(folder / path))
            if image is None or (shape and image.shape[:2] != shape):
                problems.append(f"{path}: does not decode or has the wrong size")
    return problems


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def run_tool(name, *options, cwd, code=None):
    start = [sys.executable, str(ROOT / "tools/data" / f"{name}.py")] if code is None else [sys.executable, "-c", code]
    return subprocess.run([*start, *map(str, options)], cwd=cwd, capture_output=True, text=True, check=False)
