"""The names that are registered in the files of networks, read without importing any: that would import Paddle."""

import ast
from pathlib import Path

from ppcls_lite.utils.errors import UserError


def read_registered(root, tables=("ARCH", "DETECTORS")):
    """{name: path of its file} of all in these tables of the library below `root`."""
    return registered_in(Path(root, "ppcls_lite/arch"), tables)


def registered_in(folder, tables=("ARCH", "DETECTORS")):
    """`read_registered` for the folder of the networks itself. UserError for a file that is no Python."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError) as error:
            raise UserError(f"{path}: cannot be read as Python: {error}") from None
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and is_registered(node, tables):
                found[node.name] = path
    return found


def is_registered(node, tables=("ARCH",)):
    """Whether a function or class is under `@ARCH.register`, or `register` of another of the `tables`."""
    return any(
        isinstance(decorator, ast.Attribute)
        and decorator.attr == "register"
        and getattr(decorator.value, "id", None) in tables
        for decorator in node.decorator_list
    )
