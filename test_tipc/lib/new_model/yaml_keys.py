"""The keys of a YAML config by their dotted names: as much of YAML as configs of trainings use, without a package."""

import re

_LINE = re.compile(r"^( *)([A-Za-z_][\w-]*) *:(?: +(.*?))?\s*(?:#.*)?$")


def read_keys(text):
    """{"Global.epochs": "20", …} of the mappings of a YAML text; what is in lists is left out."""
    found, stack = {}, []
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        indent = len(match[1])
        while stack and stack[-1][0] >= indent:
            stack.pop()
        if indent and not stack:
            continue  # within a list
        name = ".".join([*(key for _, key in stack), match[2]])
        found.setdefault(name, (match[3] or "").strip().strip("'\""))
        stack.append((indent, match[2]))
    return found


def included(text):
    """The files that a config of PaddleDetection or PaddleSeg includes, from its own folder."""
    block = re.search(r"^_(?:BASE|base)_ *: *(.*(?:\n *-? *['\"]?[\w./-]+['\"]?,?)*)", text, re.MULTILINE)
    return re.findall(r"[\w./-]+\.ya?ml", block[1]) if block else []
