"""The options of a script: the calls of `add_argument` in it, and in what it imports from its own project."""

import ast
import re
import subprocess
from typing import Any, NamedTuple, Optional

_FLAG = re.compile(r"--?[A-Za-z][A-Za-z0-9_.-]*")
_HELP = re.compile(r"^ {1,4}(?:-\w(?: \S+)?, )?(--?[A-Za-z][\w.-]*)(?:[ =,]|$)", re.MULTILINE)
_SWITCHES = ("store_true", "store_false", "store_const", "count", "help", "version")
_IMPORTS = 3  # how far imports are followed
UNKNOWN = "(computed)"


class Option(NamedTuple):
    """One option of a command line."""

    flag: str  # its longest spelling
    default: Any = None  # UNKNOWN where it is not a literal
    switch: bool = False  # takes no value
    several: bool = False  # takes all words that follow, as PaddleDetection's -o
    converter: str = ""  # the name of its `type`
    required: bool = False
    choices: Optional[tuple] = None
    flags: tuple = ()

    @property
    def key(self):
        """`--Batch-size` -> `batch_size`"""
        return self.flag.lstrip("-").replace("-", "_").lower()


def options_of(project, path):
    """[Option] that the script `path` of a Project takes, in the order in which they are written."""
    found = {}
    for call in _calls(project, path, None, 0, set()):
        option = _option(call)
        if option is not None:
            found.setdefault(option.flag, option)
    return list(found.values())


def options_of_help(project, path, python, seconds=120):
    """[Option] from what `SCRIPT --help` prints. This runs the script; [] where that fails."""
    command = [python, path, "--help"]
    try:
        done = subprocess.run(command, cwd=project.root, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return []
    text = done.stdout[:LARGEST_HELP].decode(errors="replace")
    return [Option(flag) for flag in dict.fromkeys(_HELP.findall(text)) if flag not in ("-h", "--help")]


LARGEST_HELP = 200_000  # bytes


def _calls(project, path, names, depth, seen):
    """The calls that add options, in a file or in its functions and classes `names`, and in what they import."""
    source = project.source(path)
    if source.tree is None or (path, names) in seen:
        return
    seen.add((path, names))
    nodes = source.tree.body if names is None else _definitions(source.tree, names)
    folder = path.rpartition("/")[0]
    imports, used = list(_imports(source.tree)), _words(nodes)
    yield from _adding_calls(nodes)
    if depth == _IMPORTS:
        return
    for module, name, alias in imports:
        if alias not in used:
            continue
        inner = project.module(f"{module}.{name}" if name else module, folder)
        if inner:  # a whole module: what is used of it
            attributes = frozenset(_attributes(nodes, alias))
            if attributes:
                yield from _calls(project, inner, attributes, depth + 1, seen)
        elif name:
            outer = project.module(module, folder)
            if outer:
                yield from _calls(project, outer, frozenset({name}), depth + 1, seen)


def _definitions(tree, names):
    """The functions and classes with these names, and those of the same file that they use."""
    by_name = {node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    chosen, waiting = {}, [name for name in names if name in by_name]
    while waiting:
        name = waiting.pop()
        chosen[name] = by_name[name]
        waiting += [word for word in _words([by_name[name]]) if word in by_name and word not in chosen]
    return list(chosen.values())


def _adding_calls(nodes):
    for node in nodes:
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and _name_of(call.func) in ("add_argument", "option"):
                yield call


def _imports(tree):
    """(module, name or None, the name in this file) of each import; relative ones as if they were absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, alias.asname or alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module or "", alias.name, alias.asname or alias.name


def _words(nodes):
    return {word.id for node in nodes for word in ast.walk(node) if isinstance(word, ast.Name)}


def _attributes(nodes, name):
    """What of the module `name` is used: {"parse_args"} for `config.parse_args()`."""
    for node in nodes:
        for word in ast.walk(node):
            if isinstance(word, ast.Attribute) and isinstance(word.value, ast.Name) and word.value.id == name:
                yield word.attr


def _name_of(function):
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _option(call):
    """The Option of one call, or None: a positional argument, or one whose name is computed."""
    words = [word.value for word in call.args if isinstance(word, ast.Constant)]
    flags = [word for word in words if isinstance(word, str) and _FLAG.fullmatch(word)]
    if not flags:
        return None
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    nargs = _literal(given.get("nargs"))
    is_remainder = _name_of(given["nargs"]) == "REMAINDER" if "nargs" in given else False
    choices = _literal(given.get("choices"))
    return Option(
        flag=max(flags, key=len),
        default=_literal(given.get("default")),
        switch=_literal(given.get("action")) in _SWITCHES or bool(_literal(given.get("is_flag"))),
        several=nargs in ("*", "+") or is_remainder,
        converter=_name_of(given["type"]) if "type" in given else "",
        required=_literal(given.get("required")) is True,
        choices=tuple(choices) if isinstance(choices, (list, tuple)) else None,
        flags=tuple(flags),
    )


def _literal(node):
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN
