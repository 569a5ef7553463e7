"""A checkout of PaddleClas: which networks it has, and how the files of a pull request are put into it.

Nothing that is there is overwritten; lists are changed by adding lines.
"""

import ast
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write

BACKBONE = "ppcls/arch/backbone"
INDEX = f"{BACKBONE}/__init__.py"
_KNOWN = Path(__file__).with_name("paddleclas_networks.tsv")
SNAPSHOT = "its commit d178931 of 2024-10-18"
_ASK = """
import json, sys
sys.path.insert(0, ".")
from importlib import import_module
try:  # some of their networks write to their log, which a script of theirs has set up
    from ppcls.utils import logger
    logger.init_logger()
except (ImportError, AttributeError):
    pass
build = getattr(import_module(sys.argv[1]), sys.argv[2])
state = build(**json.loads(sys.argv[3])).state_dict()
print("entries " + json.dumps({name: list(tensor.shape) for name, tensor in state.items()}))
"""


def known_networks(checkout=None):
    """{name: its file below ppcls/arch/backbone} of a checkout, or of the snapshot that this repository keeps."""
    if checkout is None:
        with open(_KNOWN, encoding="utf-8", newline="") as stream:
            return {row["network"]: row["file"] for row in csv.DictReader(stream, delimiter="\t")}
    path = Path(checkout, INDEX)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected the root of a checkout of PaddleClas") from None
    return {
        alias.asname or alias.name: f"{(node.module or '').replace('.', '/')}.py"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def import_line(file, names):
    """The line of ppcls/arch/backbone/__init__.py for networks of model_zoo/`file`."""
    return f"from .model_zoo.{Path(file).stem} import {', '.join(names)}"


def add_import(text, line):
    """ppcls/arch/backbone/__init__.py with `line` behind the last import of model_zoo; None where there is none."""
    lines = text.splitlines(keepends=True)
    last = [number for number, row in enumerate(lines) if row.startswith("from .model_zoo.")]
    if not last:
        return None
    lines.insert(last[-1] + 1, line + "\n")
    return "".join(lines)


def entries_of(checkout, file, name, options):
    """({entry: shape} of their network `name`, ""), or (None, why it cannot be built here).

    Runs their code in a process of its own, from the checkout.
    """
    module = f"ppcls.arch.backbone.{file[:-3].replace('/', '.')}"
    done = subprocess.run(
        [sys.executable, "-c", _ASK, module, name, json.dumps(options)],
        cwd=checkout,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("entries ")]
    if done.returncode or not found:
        return None, (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return json.loads(found[-1].removeprefix("entries ")), ""


def place_files(folder, files, edits=()):
    """Write `files` {path: text} and `edits` {path: text} below `folder`: the paths (written, kept as they differ).

    A file of `files` that is there already stays as it is.
    """
    written, kept = [], []
    for path, text in files.items():
        target = Path(folder, path)
        if target.exists() or target.is_symlink():
            if not target.is_file() or target.read_text(encoding="utf-8", errors="replace") != text:
                kept.append(path)
            continue
        with atomic_write(target) as stream:
            stream.write(text)
        written.append(path)
    for path, text in dict(edits).items():
        if Path(folder, path).read_text(encoding="utf-8") != text:
            with atomic_write(Path(folder, path)) as stream:
                stream.write(text)
            written.append(path)
    return written, kept
