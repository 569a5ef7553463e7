"""The options of a script: the calls of `add_argument` in it, and in what it imports from its own project."""

import ast
import re
import subprocess
from typing import Any, NamedTuple, Optional

_FLAG = re.compile(r"--?[A-Za-z][A-Za-z0-9_.-]*")
_HELP = re.compile(r"^ {1,4}(?:-\w(?: \S+)?, )?(--?[A-Za-z][\w.-]*)(?:[ =,]|$)", re.MULTILINE)
_SWITCHES = ("store_true", "store_false", "store_const", "count", "help", "version")
LARGEST_HELP = 200_000  # bytes of what --help prints
_IMPORTS = 3  # how far imports are followed
_ADDING = ("add_argument", "option")
_UNSAID = ("parse_known_args", "add_arg")  # calls that take options which no _ADDING names
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
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
    for nodes in _parts(project, path):
        for name, call in _calls(nodes or ()):
            option = _option(call) if name in _ADDING else None
            if option is not None:
                found.setdefault(option.flag, option)
    return list(found.values())


def all_spellings(project, path):
    """{"--epochs", "-c", "--help", ...}: whatever the script takes as an option; None where its source does not say all
    of them: they are computed, let through, made in another way, or in a file that cannot be read."""
    found = set()
    for nodes in _parts(project, path):
        if nodes is None:
            return None
        for name, call in _calls(nodes):
            spellings = _spellings(call) if name in _ADDING else ()
            if spellings is None or name in _UNSAID:
                return None
            found.update(spellings)
    return frozenset(found | {"-h", "--help"}) if found else None


def _spellings(call):
    """Those of the option that a call adds, () of a positional argument; None where one is computed."""
    words = [word.value if isinstance(word, ast.Constant) else None for word in call.args]
    if words and isinstance(words[0], str) and not words[0].startswith("-"):
        return ()
    return words if words and all(isinstance(word, str) and word.startswith("-") for word in words) else None


def options_of_help(project, path, python, seconds=120):
    """[Option] from what `SCRIPT --help` prints. This runs the script; [] where that fails."""
    command = [python, path, "--help"]
    try:
        done = subprocess.run(command, cwd=project.root, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return []
    text = done.stdout[:LARGEST_HELP].decode(errors="replace")
    return [Option(flag) for flag in dict.fromkeys(_HELP.findall(text)) if flag not in ("-h", "--help")]


def _parts(project, path, names=None, depth=0, seen=None):
    """The nodes of a file, or of what defines `names` in it, and of what they use of other files of the project: a list
    a file; None for a file that cannot be read."""
    seen = set() if seen is None else seen
    if (path, names) in seen:
        return
    seen.add((path, names))
    tree = project.source(path).tree
    if tree is None:
        yield None
        return
    nodes = tree.body if names is None else _definitions(tree, names)
    yield nodes
    if depth == _IMPORTS:
        return
    folder = path.rpartition("/")[0]
    used = frozenset(_words(nodes) | (names or frozenset()))
    for module, name, alias, level in _imports(tree):
        inner = alias.partition(".")[0] in used and project.module(f"{module}.{name or ''}", folder, level)
        if inner:  # a whole module: what is used of it
            wanted, place = frozenset(_attributes(nodes, alias)), inner
        else:
            wanted = used if name == "*" else frozenset({name} if name and alias in used else ())
            place = project.module(module, folder, level) if wanted else None
        if place and wanted:
            yield from _parts(project, place, wanted, depth + 1, seen)


def _definitions(tree, names):
    """The functions and classes with these names, and those of the same file that they use; with the other statements
    of the file where a name is set there."""
    by_name = {node.name: node for node in tree.body if isinstance(node, _DEFINITIONS)}
    others = [node for node in tree.body if not isinstance(node, _DEFINITIONS)]
    is_set = {word.id for node in others for word in ast.walk(node) if _is_set(word)}
    chosen, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in chosen:
            chosen[name] = [by_name[name]]
        elif name in is_set and "" not in chosen:
            chosen[""], name = others, ""
        else:
            continue
        waiting += _words(chosen[name])
    return [node for nodes in chosen.values() for node in nodes]


def _is_set(word):
    return isinstance(word, ast.Name) and isinstance(word.ctx, ast.Store)


def _calls(nodes):
    """(name of what is called, call) of all calls."""
    for node in nodes:
        for call in ast.walk(node):
            if isinstance(call, ast.Call):
                yield _name_of(call.func), call


def _imports(tree):
    """(module, name or None, the name in this file, dots before the module) of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, alias.asname or alias.name, 0
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module or "", alias.name, alias.asname or alias.name, node.level


def _words(nodes):
    return {word.id for node in nodes for word in ast.walk(node) if isinstance(word, ast.Name)}


def _attributes(nodes, name):
    """What of the module `name` is used: {"parse_args"} for `config.parse_args()`."""
    for node in nodes:
        for word in ast.walk(node):
            if isinstance(word, ast.Attribute) and _dotted(word.value) == name:
                yield word.attr


def _dotted(node):
    """`a.b` of such an expression, "" of any other."""
    if isinstance(node, ast.Attribute):
        above = _dotted(node.value)
        return above and f"{above}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


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
