"""Everything of the library that some definitions need, as one text that imports nothing of the library.

The definitions are copied as they are written, remarks included, and only names are changed: where two modules use one
name for two things, and where a thing is reached through its module (`layers.ConvBN`).
"""

import ast
import graphlib
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError
from tools.suite.modules import LIBRARY, Definition, Imported, Module, used_names


class Piece(NamedTuple):
    """A definition to be copied: its module, its name there, and its statements with the names that they use."""

    module: Module
    name: str
    uses: dict  # {name: what Library.resolve says of it}


class Closure:
    """The pieces that `wanted` [Definition] need, themselves included.

    `left_out`: dotted names of modules whose things are not followed: decorators of them are dropped, and any other
    use is a UserError. `reserved`: names that the pieces must not have in the new text. `renamed`: {name in the first
    module: name that it is given}.
    """

    def __init__(self, library, wanted, left_out=(), reserved=(), renamed=()):
        self.library, self.left_out = library, set(left_out)
        self.pieces, self.outside = {}, {}
        for module, name in wanted:
            self._add(module, name)
        self._names = self._choose_names(wanted[0].module.name, set(reserved), dict(renamed))

    def name_of(self, module, name):
        """The name that a piece has in the new text."""
        return self._names[module.name, name]

    def imports(self):
        """The import lines that the pieces need, of other packages; an empty one behind the standard library's."""
        lines, members = [], {}
        for (module, attribute), name in self.outside.items():
            if attribute is None:
                lines.append(f"import {module}" + (f" as {name}" if name != module else ""))
            else:
                members.setdefault(module, []).append(attribute + (f" as {name}" if name != attribute else ""))
        lines += [f"from {module} import {', '.join(sorted(names))}" for module, names in members.items()]
        lines.sort(key=_import_order)
        standard = [line for line in lines if not _import_order(line)[0]]
        return [*standard, *([""] if standard else []), *lines[len(standard) :]]

    def texts(self):
        """[(Piece, its text)]: a module's pieces in their own order, behind those of the modules that it needs."""
        needs = {}
        for piece in self.pieces.values():
            known = {found[0].name for found in piece.uses.values() if isinstance(found, Definition)}
            known |= {found.name for found in piece.uses.values() if isinstance(found, Module)}
            needs.setdefault(piece.module.name, set()).update(known - {piece.module.name})
        try:
            order = list(graphlib.TopologicalSorter(needs).static_order())
        except graphlib.CycleError as error:
            raise UserError(f"modules that need one another cannot be one file: {', '.join(error.args[1])}") from None
        pieces = sorted(
            self.pieces.values(),
            key=lambda piece: (order.index(piece.module.name), piece.module.definitions[piece.name][0].lineno),
        )
        return [(piece, self._text(piece)) for piece in pieces]

    def _add(self, module, name):
        if (module.name, name) in self.pieces:
            return
        self.pieces[module.name, name] = None  # a circle of functions that call one another ends here
        uses = {}
        for statement in module.definitions[name]:
            _check_inner_imports(module, statement)
            outside, _ = used_names(self._source(module, statement))
            for used in sorted(outside - {name}):
                found = self.library.resolve(module, used)
                if found is not None:
                    uses[used] = found
        for used, found in uses.items():
            if isinstance(found, Imported):
                self._note_outside(found, used)
            elif isinstance(found, Module):
                for attribute in self._attributes(module, name, used):
                    self._add(*self._of_module(found, attribute, module, name))
            else:
                self._check_known(found[0], module, name, used)
                self._add(*found)
        del self.pieces[module.name, name]
        self.pieces[module.name, name] = Piece(module, name, uses)

    def _note_outside(self, found, name):
        while self.outside.get(found) is None and name in self.outside.values():
            name += "_"  # two modules use this name for two things
        self.outside.setdefault(found, name)

    def _check_known(self, source, module, name, used):
        if source.name in self.left_out:
            place = module.place(module.definitions[name][0])
            raise UserError(f"{place}: {name} uses {used} of {source.name}, which exists in this repository only")

    def _of_module(self, source, attribute, module, name):
        self._check_known(source, module, name, attribute)
        found = self.library.resolve(source, attribute)
        if not isinstance(found, Definition):
            place = module.place(module.definitions[name][0])
            raise UserError(f"{place}: {name} uses {source.name}.{attribute}; expected something that is defined there")
        return found

    def _attributes(self, module, name, used):
        """The attributes through which the statements of `name` use the module that is bound to `used`."""
        found, total = set(), 0
        for statement in module.definitions[name]:
            for node in ast.walk(statement):
                total += isinstance(node, ast.Name) and node.id == used
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == used:
                    found.add(node.attr)
                    total -= 1
        if total:
            place = module.place(module.definitions[name][0])
            raise UserError(f"{place}: {name} uses the module {used} as a value; expected only {used}.<name>")
        return sorted(found)

    def _choose_names(self, first, reserved, renamed):
        """{(module, name): name in the new text}; those of the module `first` keep theirs."""
        chosen, taken = {}, reserved | set(self.outside.values())
        for module, name in sorted(self.pieces, key=lambda key: key[0] != first):
            stem = module.rpartition(".")[2]
            new = renamed.get(name, name) if module == first else name
            while new in taken:
                new = f"_{stem}{name}" if name.startswith("_") else f"{stem}_{new}"
                stem += "_"
            chosen[module, name] = new
            taken.add(new)
        return chosen

    def _dropped(self, module, node):
        """Is this decorator one of a module that is left out?"""
        root = node
        while isinstance(root, (ast.Call, ast.Attribute)):
            root = root.func if isinstance(root, ast.Call) else root.value
        found = self.library.resolve(module, root.id) if isinstance(root, ast.Name) else None
        source = found[0] if isinstance(found, Definition) else found
        return isinstance(source, Module) and source.name in self.left_out

    def _dropped_lines(self, module, statement):
        """Line numbers of the decorators of a statement that do not come along."""
        decorators = [node for node in getattr(statement, "decorator_list", ()) if self._dropped(module, node)]
        return {line for node in decorators for line in range(node.lineno, node.end_lineno + 1)}

    def _lines(self, module, statement):
        """{line number: text} of a statement, decorators that do not come along left out."""
        first, text = module.text_of(statement)
        lines = dict(enumerate(text.splitlines(keepends=True), first + 1))
        dropped = self._dropped_lines(module, statement)
        return {number: line for number, line in lines.items() if number not in dropped}

    def _source(self, module, statement):
        return "".join(self._lines(module, statement).values())

    def _text(self, piece):
        """The statements of a piece with the new names."""
        texts = []
        for statement in piece.module.definitions[piece.name]:
            lines = self._lines(piece.module, statement)
            for number, start, end, old, new in sorted(self._edits(piece, statement), reverse=True):
                row = lines[number].encode()  # columns of a syntax tree are bytes
                if row[start:end].decode() != old:
                    raise UserError(f"{piece.module.path}:{number}: '{old}' cannot be renamed to '{new}' here")
                lines[number] = (row[:start] + new.encode() + row[end:]).decode()
            texts.append("".join(lines.values()))
        return "".join(texts)

    def _edits(self, piece, statement):
        """(line, first byte, last byte, old, new) of each name of a statement that changes."""
        new_names = {piece.name: self.name_of(piece.module, piece.name)}
        for used, found in piece.uses.items():
            if isinstance(found, Imported):
                new_names[used] = self.outside[found]
            elif not isinstance(found, Module):
                new_names[used] = self.name_of(*found)
        _, local = used_names(self._source(piece.module, statement))
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                source = piece.uses.get(node.value.id)
                if isinstance(source, Module):
                    found = self.library.resolve(source, node.attr)
                    old = f"{node.value.id}.{node.attr}"
                    yield node.lineno, node.col_offset, node.end_col_offset, old, self.name_of(*found)
            elif isinstance(node, ast.Name) and new_names.get(node.id, node.id) != node.id:
                if node.id in local:
                    raise UserError(
                        f"{piece.module.place(node)}: '{node.id}' is a local name too, and must be renamed: "
                        "give one of the two another name"
                    )
                yield node.lineno, node.col_offset, node.end_col_offset, node.id, new_names[node.id]
        if getattr(statement, "name", None) == piece.name and new_names[piece.name] != piece.name:
            keyword = "class " if isinstance(statement, ast.ClassDef) else "def "
            start = statement.col_offset + len(keyword)
            yield statement.lineno, start, start + len(piece.name), piece.name, new_names[piece.name]


def _check_inner_imports(module, statement):
    """UserError for an import of the library inside a function: it would be left in the new text."""
    for node in ast.walk(statement):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [LIBRARY if node.level else node.module]
        if any(name.split(".")[0] == LIBRARY for name in names):
            raise UserError(f"{module.place(node)}: an import of {LIBRARY} inside a function; expected it at the head")


def _import_order(line):
    """The standard library first, then `import`, then `from`."""
    return line.split()[1].split(".")[0] in ("paddle", "numpy"), line.startswith("from"), line
