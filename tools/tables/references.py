"""Which file of this repository imports, runs or names which other one; the reading part of architecture.py.

Python is parsed, never imported, and an import inside a function counts like one at the head. In Bash and in the chain
configs, the scripts that a line starts or sources are found; comments and messages are not looked at.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOTS = ("ppcls_lite", "tools", "deploy", "test_tipc")  # what is read; tests and documents may use everything
LEFT_OUT = ("output", "models", "__pycache__")  # made by runs
_PATH = r"(?:tools|deploy|test_tipc|tests)/[\w./]*\w"
_STARTER = r"\bpython3?|\{RUN\[python\]\}|\bbash|\bsource|\bfrom_serving_dir"
_STARTED = re.compile(rf'(?:{_STARTER})["\s]+(?:\$ROOT/)?({_PATH})')
_SOURCED_BESIDE = re.compile(r"""\bsource\s+"\$\(dirname "\$\{BASH_SOURCE\[0\]\}"\)/([\w./]+)\"""")
_CONFIG_WORD = re.compile(r"[\w./]+\.py\b")
_FILE_NAME = re.compile(r"(?:docs|tests|tools|deploy|test_tipc)/[\w./-]+")
_MODULE_NAME = re.compile(r"(?:ppcls_lite|tools)(?:\.\w+)+")


class Reference(NamedTuple):
    """`file`, at `line`, refers to `target` (both relative to the root), as `kind`: import or run.

    `missing` is the dotted name that an import asks for when there is no such module or name, and else empty.
    """

    file: str
    line: int
    target: str
    kind: str
    missing: str = ""


def read_references(root):
    """All references between the files below `root`, in the order of files and lines."""
    found = []
    for path in sorted(path for folder in ROOTS for path in (root / folder).rglob("*")):
        name = path.relative_to(root)
        if set(name.parts) & set(LEFT_OUT) or not path.is_file():
            continue
        if path.suffix == ".py":
            found += _of_python(root, name)
        elif path.suffix == ".sh":
            found += _of_bash(root, name)
        elif path.suffix == ".txt" and name.parts[:2] == ("test_tipc", "configs"):
            found += _of_config(root, name)
    return list(dict.fromkeys(found))


def python_files(root):
    """All Python files that are read, relative to `root`."""
    paths = (path.relative_to(root) for folder in ROOTS for path in sorted((root / folder).rglob("*.py")))
    return [path for path in paths if not set(path.parts) & set(LEFT_OUT)]


def _of_python(root, name):
    tree = ast.parse((root / name).read_text(encoding="utf-8"), str(name))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(root, name, node.lineno, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            package = name.parent.parts[: len(name.parent.parts) - node.level + 1] if node.level else ()
            base = [*package, *(node.module or "").split(".")] if node.module else list(package)
            for alias in node.names:
                yield from _module(root, name, node.lineno, [*base, alias.name])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from _text(root, name, node)


def _module(root, name, line, words):
    """The reference of one imported dotted name, if its module is one of ours."""
    if words[0] not in ROOTS:
        return
    for end in range(len(words), 0, -1):
        path = Path(*words[:end])
        if (root / path).with_suffix(".py").is_file():
            target, is_package = path.with_suffix(".py"), False
        elif (root / path).is_dir():
            target, is_package = path / "__init__.py", True
        else:
            continue
        rest = words[end:]
        lost = len(rest) > 1 or (is_package and rest and rest[0] not in _names(root / target) | {"*"})
        yield Reference(str(name), line, str(target), "import", ".".join(words) if lost else "")
        return
    yield Reference(str(name), line, words[0], "import", ".".join(words))


def _names(path):
    """What a package's __init__.py defines or imports."""
    if not path.is_file():
        return set()
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _text(root, name, node):
    """A text that is the name of a file or module of ours, and nothing else: it is run or read."""
    if _FILE_NAME.fullmatch(node.value) and (root / node.value).is_file():
        yield Reference(str(name), node.lineno, node.value, "run")
    elif _MODULE_NAME.fullmatch(node.value):
        path = Path(*node.value.split(".")).with_suffix(".py")
        if (root / path).is_file():
            yield Reference(str(name), node.lineno, str(path), "run")


def _of_bash(root, name):
    for number, line in enumerate((root / name).read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        line = line.partition(" # ")[0]
        for path in _STARTED.findall(line):
            yield Reference(str(name), number, path, "run")
        for path in _SOURCED_BESIDE.findall(line):
            target = (root / name.parent / path).resolve().relative_to(root.resolve())
            yield Reference(str(name), number, str(target), "run")


def _of_config(root, name):
    for number, line in enumerate((root / name).read_text(encoding="utf-8").splitlines(), 1):
        for word in _CONFIG_WORD.findall(line):
            for path in (Path(word), Path("deploy", word)):
                if (root / path).is_file():
                    yield Reference(str(name), number, str(path), "run")
                    break
