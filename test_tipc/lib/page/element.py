"""Elements of HTML and SVG as functions: what is not `Markup` is escaped, wherever it is put.

    el("td", "a < b", class_="figure")    →    <td class="figure">a &lt; b</td>
"""

import html
import re
from urllib.parse import quote

_VOID = {"br", "col", "img", "input", "link", "meta", "wbr"}
# control characters end or hide things, and those that turn the direction of a text show another one than is there
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """A text that is HTML already. Only this module makes it of texts that come from outside."""


def plain(text):
    """`text` as a str without characters that cannot be seen."""
    return _UNSEEN.sub("\ufffd", str(text).replace("\r\n", "\n").replace("\r", "\n"))


def escape(text):
    """`Markup` that shows the text; of `Markup` itself."""
    return text if isinstance(text, Markup) else Markup(html.escape(plain(text), quote=True))


def join(parts):
    """`Markup` of all parts: texts, `Markup`, lists of them; None is nothing."""
    if parts is None:
        return Markup()
    if isinstance(parts, (list, tuple)):
        return Markup("".join(map(join, parts)))
    return escape(parts)


def el(tag, *children, **attributes):
    """An element as `Markup`. Attributes: `class_` is `class`, `aria_label` is `aria-label`; True is an attribute without
    a value, None and False are none.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    opened = f"<{tag}{written}>"
    return Markup(opened) if tag in _VOID else Markup(f"{opened}{join(children)}</{tag}>")


def _attribute(name, value):
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(value)}"'


def link(path, *children, **attributes):
    """A link to a file beside the page: whatever the path is, it is no address of another place, and no script."""
    return el("a", *children, href=quote(str(path)), **attributes)
