"""The keys of a YAML config by their dotted names: as much of YAML as configs of trainings use, without a package."""

import re

_LINE = re.compile(r"^( *)([A-Za-z_][\w-]*) *:(?: +(.*?))?\s*(?:#.*)?$")


def read_keys(text):
    """{"Global.epochs": "20", …} of the mappings of a YAML text; what is in lists is left out."""
    found, stack, item = {}, [], None  # item: the indent of the entries of a list, within one
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        if line.lstrip().startswith("- ") and (item is None or indent <= item):
            item = indent
        match = _LINE.match(line)
        if not match or (item is not None and indent > item):
            continue
        item = None
        while stack and stack[-1][0] >= indent:
            stack.pop()
        name = ".".join([*(key for _, key in stack), match[2]])
        found.setdefault(name, (match[3] or "").strip().strip("'\""))
        stack.append((indent, match[2]))
    return found


def included(text):
    """The files that a config of PaddleDetection or PaddleSeg includes, from its own folder."""
    block = re.search(r"^_(?:BASE|base)_ *: *(.*(?:\n *-? *['\"]?[\w./-]+['\"]?,?)*)", text, re.MULTILINE)
    return re.findall(r"[\w./-]+\.ya?ml", block[1]) if block else []
