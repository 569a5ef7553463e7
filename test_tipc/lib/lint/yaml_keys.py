"""The keys of a YAML file, as `-o a.b.0.c=…` names them: a reader of the plain block style that such files have.

What it does not understand (flow style over several lines, anchors, merged files) is opaque: all is allowed below.
"""

import functools
import re

OPAQUE = "opaque"  # a value of which nothing is known, or a scalar
_KEY = re.compile(r"""("[^"]*"|'[^']*'|[^\s#'"\[\]{}&*!|>%@`,-][^#:]*?|-[^\s:]+):(?:\s+(.*))?$""")
_BLOCK_TEXT = re.compile(r"[|>][-+0-9]*$")
_MERGES = re.compile(r"^\s*(?:_BASE_|_base_|<<)\s*:", re.MULTILINE)


class NotUnderstood(ValueError):
    """The text is not of the style that is read here."""


@functools.cache
def keys_of(path):
    """{key: …} and [ … ] of the file, nested, with OPAQUE for everything else; OPAQUE for a file not understood."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return OPAQUE
    if _MERGES.search(text) or "\t" in text or re.search(r"^---", text.lstrip("-\n"), re.MULTILINE):
        return OPAQUE
    try:
        lines = _lines_of(text)
        tree, rest = _node(lines, 0, lines[0][0] if lines else 0)
    except (NotUnderstood, RecursionError):
        return OPAQUE
    return tree if rest == len(lines) else OPAQUE


def _lines_of(text):
    """[(indent, content)] without remarks, empty lines and the texts of block scalars."""
    found, hidden = [], None
    for raw in text.splitlines():
        if not raw.strip() or raw.lstrip().startswith("#") or raw.strip() == "---":
            continue
        indent = len(raw) - len(raw.lstrip())
        if hidden is not None and indent > hidden:
            continue
        hidden = None
        content = re.sub(r"\s+#.*$", "", raw.strip())
        if _BLOCK_TEXT.search(content) and (": " in content or content.startswith("- ")):
            hidden = indent
        found.append((indent, content))
    return found


def _node(lines, at, indent):
    """(the node that begins at line `at`, the line behind it)"""
    if at >= len(lines):
        return OPAQUE, at
    if lines[at][1] == "-" or lines[at][1].startswith("- "):
        return _sequence(lines, at, indent)
    return _mapping(lines, at, indent)


def _sequence(lines, at, indent):
    items = []
    while at < len(lines) and lines[at][0] == indent and (lines[at][1] == "-" or lines[at][1].startswith("- ")):
        content = lines[at][1][1:]
        inner = indent + 1 + len(content) - len(content.lstrip())
        content = content.strip()
        if not content:
            item, at = _below(lines, at + 1, indent)
        elif _KEY.match(content):
            lines[at] = (inner, content)  # the item is a mapping that begins in this line
            item, at = _mapping(lines, at, inner)
        else:
            item, at = _skip(lines, at, indent)
        items.append(item)
    return items, at


def _mapping(lines, at, indent):
    found = {}
    while at < len(lines) and lines[at][0] == indent and not lines[at][1].startswith("- "):
        match = _KEY.match(lines[at][1])
        if not match:
            raise NotUnderstood(lines[at][1])
        key, value = match[1].strip("\"'").strip(), (match[2] or "").strip()
        if value:
            found[key], at = _skip(lines, at, indent)
        else:
            found[key], at = _below(lines, at + 1, indent, same=True)
    if at < len(lines) and lines[at][0] > indent:
        raise NotUnderstood(lines[at][1])
    return found, at


def _below(lines, at, indent, same=False):
    """The node of the lines further in, or, of a mapping's key, a list whose dashes are where the key is."""
    if at < len(lines) and lines[at][0] > indent:
        return _node(lines, at, lines[at][0])
    if same and at < len(lines) and lines[at][0] == indent and lines[at][1].startswith("- "):
        return _sequence(lines, at, indent)
    return OPAQUE, at


def _skip(lines, at, indent):
    """A value on the line of its key, and the lines that go on with it."""
    at += 1
    while at < len(lines) and lines[at][0] > indent:
        at += 1
    return OPAQUE, at
