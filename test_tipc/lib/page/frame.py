"""The frame of a page: one file without any address of another, whose only script is the one that is known here."""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

from page.element import Markup, el, escape

_HERE = Path(__file__).parent
SYMBOLS = {"passed": "✓", "failed": "✗", "began": "✗", "skipped": "–", "not run": "○"}
WORDS = {"began": "did not end"}


@lru_cache(maxsize=None)
def _asset(name):
    return (_HERE / name).read_text(encoding="utf-8")


def document(title, body):
    """The whole page as a str. The policy in it keeps a browser from running or loading anything else."""
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", Markup(_asset("page.css"))),
    )
    toggle = el("button", "Dark or light", type="button", id="theme", class_="quiet", hidden=True)
    said = el("p", id="said", role="status", class_="unseen")
    skip = el("a", "Skip to the content", href="#main", class_="skip")
    page = el("html", head, el("body", skip, toggle, body, said, el("script", Markup(script))), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def section(identity, english, chinese, *children):
    """A part of the page with its heading in both languages; it can be linked to."""
    heading = el("h2", english, " ", el("span", chinese, lang="zh"), id=f"{identity}-title")
    return el("section", heading, *children, id=identity, aria_labelledby=f"{identity}-title")


def badge(result):
    """The result of a step: a sign and a word, so that nothing is said by colour alone."""
    class_ = {"began": "failed", "not run": "notrun"}.get(result, result)
    return el("span", el("span", SYMBOLS[result], aria_hidden="true"), f" {WORDS.get(result, result)}", class_=f"badge {class_}")


def table(caption, columns, rows, class_=None, hidden_caption=True):
    """A table with scopes; the first cell of a row is its heading. On a narrow screen it scrolls by itself.

    A cell is a text, `Markup`, or an element of `td` or `th` that is taken as it is.
    """
    head = el("tr", [el("th", column, scope="col") for column in columns])
    body = [el("tr", _heading(row[0]), [_cell(cell) for cell in row[1:]]) for row in rows]
    title = el("caption", caption, class_="unseen" if hidden_caption else None)
    inner = el("table", title, el("thead", head), el("tbody", body), class_=class_)
    return el("div", inner, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _heading(cell):
    return el("th", cell, scope="row")


def _cell(cell):
    return cell if isinstance(cell, Markup) and cell.startswith("<td") else el("td", cell)


def details(summary, *children, **attributes):
    """What is folded away until somebody opens it."""
    return el("details", el("summary", summary), *children, **attributes)


def breakable(text):
    """A long name, which may be broken behind `_`, `/` and `=`."""
    words = str(escape(text))
    for sign in "_/=":
        words = words.replace(sign, f"{sign}<wbr>")
    return Markup(words)


def definitions(pairs):
    """A list of names and what they are; those without a value are left out."""
    shown = [(name, value) for name, value in pairs if value not in ("", None)]
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in shown])


def copied(command, identity):
    """A command with a button that copies it."""
    button = el("button", "Copy", type="button", class_="copy quiet", data_copy=identity, hidden=True)
    return el("div", el("pre", el("code", command, id=identity), tabindex="0"), button, class_="command")
