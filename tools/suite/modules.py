"""A module of the library as source text: what its top level defines, imports and uses. Nothing is imported or run."""

import ast
import symtable
from pathlib import Path
from typing import NamedTuple, Optional

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO

LIBRARY = "ppcls_lite"


class Imported(NamedTuple):
    """What a name is bound to by an import: a module (`attribute` None) or something of a module."""

    module: str
    attribute: Optional[str]


class Definition(NamedTuple):
    """A name that the top level of a module of the library defines."""

    module: "Module"
    name: str


class Module:
    """A parsed module.

    Attributes:
        name: dotted; path: of the file; lines: its text, in lines with their ends.
        definitions: {name: [top-level statements that bind or change it]}, in their order.
        imports: {name: Imported}
    """

    def __init__(self, name, path):
        self.name, self.path = name, path
        text = Path(path).read_text(encoding="utf-8")
        self.lines = text.splitlines(keepends=True)
        self.tree = ast.parse(text, str(path))
        self.definitions, self.imports = {}, {}
        for statement in self.tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._note_import(statement)
            else:
                for bound in _bound(statement):
                    self.definitions.setdefault(bound, []).append(statement)

    @property
    def docstring(self):
        return ast.get_docstring(self.tree) or ""

    def place(self, node):
        """`file:line` of a node, relative to the repository where it is in it."""
        path = Path(self.path)
        return f"{path.relative_to(REPO) if path.is_relative_to(REPO) else path}:{node.lineno}"

    def text_of(self, statement):
        """(first line from 0, text) of a top-level statement: whole lines, with decorators and the remarks above."""
        first = min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", ()))]) - 1
        while first and self.lines[first - 1].startswith("#"):
            first -= 1
        return first, "".join(self.lines[first : statement.end_lineno])

    def _note_import(self, statement):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                module = alias.name if alias.asname else alias.name.partition(".")[0]
                self.imports[alias.asname or module] = Imported(module, None)
            return
        package = self.name.split(".")
        if Path(self.path).name != "__init__.py":
            package = package[:-1]
        base = package[: len(package) - statement.level + 1] if statement.level else []
        module = ".".join([*base, *filter(None, [statement.module])])
        for alias in statement.names:
            if alias.name == "*":
                raise UserError(f"{self.place(statement)}: 'import *' hides what is used; expected names")
            self.imports[alias.asname or alias.name] = Imported(module, alias.name)


def _bound(statement):
    """The names that a top-level statement binds, or whose value it changes."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [_root(node) for target in targets for node in getattr(target, "elts", [target])]
    elif isinstance(statement, ast.Expr):  # `_TABLE.update(...)`
        names = [_root(statement.value)]
    else:  # `if`, `for`, `try`, ...: whatever they bind
        found = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        names = [node.id for node in found if isinstance(node.ctx, ast.Store)]
    return list(dict.fromkeys(filter(None, names)))


def _root(node):
    """The name that an expression such as `name.part[0]()` begins with."""
    while not isinstance(node, ast.Name):
        node = getattr(node, "value", None) or getattr(node, "func", None)
        if not isinstance(node, ast.AST):
            return None
    return node.id


def used_names(text):
    """(names that a statement takes from outside itself, names that some function in it binds for itself)."""
    outside, local = set(), set()
    tables = [symtable.symtable(text, "statement", "exec")]
    top = tables[0]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_global() or (table is top and symbol.is_referenced()):
                outside.add(symbol.get_name())
            elif table.get_type() == "function" and (symbol.is_local() or symbol.is_parameter()):
                local.add(symbol.get_name())
    return outside, local


class Library:
    """The modules of the library by dotted name, each read once."""

    def __init__(self, root=REPO):
        self.root, self._modules = Path(root), {}

    def module(self, name):
        """The Module `name`; None where the library has no such module."""
        if name not in self._modules:
            self._modules[name] = None
            if name.split(".")[0] == LIBRARY:
                path = self.root.joinpath(*name.split("."))
                for file in (path.with_suffix(".py"), path / "__init__.py"):
                    if file.is_file():
                        self._modules[name] = Module(name, file)
                        break
        return self._modules[name]

    def resolve(self, module, name):
        """What `name` means in `module`: a Definition, a Module, an Imported of another package, or
        None for what the module does not bind (a builtin)."""
        if name in module.definitions:
            return Definition(module, name)
        found = module.imports.get(name)
        if found is None:
            return None
        target = found.module if found.attribute is None else f"{found.module}.{found.attribute}"
        if self.module(target):
            return self.module(target)
        source = self.module(found.module)
        if source is None:
            return found
        resolved = self.resolve(source, found.attribute)
        if resolved is None:
            raise UserError(f"{module.path}: imports {found.attribute} of {found.module}, which has no such name")
        return resolved
