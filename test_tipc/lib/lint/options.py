"""Which options a script has, from its source: nothing is run or imported."""

import ast
import functools
import re
from pathlib import Path

MOST_FILES = 60  # of a project that are read for one script
_OF_OPTIONS = re.compile(r"arg|pars|opt|conf|cfg|cli|util|tool", re.IGNORECASE)


@functools.cache
def options_of(script, project):
    """The options (`--epochs`, `-c`) that a script's ArgumentParser is given, there and in the modules of the project
    that it takes it from; None where the source does not say all of them."""
    waiting, seen, found = [Path(script)], set(), set()
    while waiting:
        path = waiting.pop()
        if path in seen or len(seen) >= MOST_FILES:
            continue
        seen.add(path)
        tree = _tree_of(path)
        if tree is None:
            return None
        own = _declared_in(tree)
        if own is None and (path == Path(script) or not found):
            return None
        found |= own or set()
        waiting += _modules_of(tree, path, Path(project))
    return frozenset(found | {"-h", "--help"}) if found else None


@functools.cache
def _tree_of(path):
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _declared_in(tree):
    """The options in calls of add_argument; None where one of them is computed, or unknown ones are let through."""
    found = set()
    for node in ast.walk(tree):
        name = _called(node)
        if name == "parse_known_args":
            return None
        if name not in ("add_argument", "add_arg"):
            continue
        words = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
        starred = any(isinstance(word, ast.Starred) for word in node.args)
        if starred or not words or name == "add_arg" or not isinstance(node.args[0], ast.Constant):
            return None
        found |= {word for word in words if word.startswith("-")}
    return found


def _called(node):
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _modules_of(tree, path, project):
    """The files of the project from which the tree imports what may make a parser."""
    files = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if _OF_OPTIONS.search(node.module or "") or any(map(_OF_OPTIONS.search, names)):
                files += _places(node.module or "", names, node.level, path, project)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _OF_OPTIONS.search(alias.name):
                    files += _places(alias.name, [], 0, path, project)
    return files


def _places(module, names, level, path, project):
    """The files that `from module import names` may lead to."""
    parts = module.split(".") if module else []
    if level:
        roots = [path.parents[level - 1]]
    else:
        roots = [path.parent, *(parent for parent in path.parents if parent == project or project in parent.parents)]
    found = []
    for root in roots:
        base = root.joinpath(*parts)
        candidates = [base.with_suffix(".py") if parts else None, base / "__init__.py"]
        candidates += [base / f"{name}.py" for name in names]
        found += [each for each in candidates if each is not None and each.is_file()]
        if found:
            break
    return found
