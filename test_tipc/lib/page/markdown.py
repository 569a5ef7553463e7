"""The report in Markdown, as a pull request shows it: verdict, steps, figures, predictions, differences."""

import html
import re

from page.answers import TOP, best
from page.element import plain
from page.frame import SYMBOLS, WORDS
from page.measures_part import largest_words, limit_words
from page.overview import accuracy, commit, date, outcome
from page.predictions_part import agreement, choose, label_of, score
from page.source import mapping, text

_SPECIAL = re.compile(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))")
_REFERENCE = re.compile(r"(?<!\w)([@#])(?=\w)|(?<=://)|(?<=www)(?=\.)")  # of people and issues, and links of themselves


def escape(words):
    """A text as Markdown shows it, in one line: without a meaning of its own, and without mentions and links."""
    line = " ".join(plain(words).split())
    line = _SPECIAL.sub(r"\\\1", html.escape(line, quote=False))
    return _REFERENCE.sub(lambda match: f"{match[0]}<!-- -->", line)


def fenced(content):
    """A block of code, behind a fence that is not in it."""
    longest = max((len(run) for run in re.findall("`{3,}", content)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{plain(content)}\n{fence}\n"


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(escape(cell) or "-" for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def write_markdown(source, differences, predicted):
    """The text of report.md, with what `read_differences` and `read_answers` found."""
    parts = [_head(source), _steps(source), _differences(differences), _predictions(*predicted), _commands(source)]
    return "\n".join(filter(None, parts))


def _head(source):
    result = outcome(source)
    lines = [f"## {SYMBOLS[result]} {escape(source.model)}, {escape(source.mode)}: {result}", ""]
    lines += [escape(text(source.verdict.get("sentence")) or "the bundle has no verdict"), ""]
    machine = text(mapping(source.content.get("machine")).get("processor"))
    versions = mapping(source.content.get("versions"))
    named = " ".join(
        f"{name} {text(versions[name])}" for name in ("paddlepaddle", "paddlepaddle-gpu") if name in versions
    )
    facts = [accuracy(source), f"commit {commit(source)}" if commit(source) else "", date(source), named, machine]
    return "\n".join([*lines, escape(" · ".join(filter(None, facts))), ""])


def _steps(source):
    rows = []
    for view in source.steps:
        result = f"{SYMBOLS[view.result]} {WORDS.get(view.result, view.result)}"
        said = view.reason if view.reason else view.figure
        rows.append([view.title, result, f"{view.seconds:.1f}", said[:200]])
    return table(["step", "result", "seconds", "figure or reason"], rows)


def _differences(found):
    rows = [
        [one.stage, one.name, largest_words(one), limit_words(one), "✓ agrees" if one.agrees else "✗ disagrees"]
        for one in found
    ]
    return table(["stage", "compared", "largest difference", "allowed", "verdict"], rows) if rows else ""


def _predictions(answers, labels):
    if not answers:
        return ""
    rows = []
    for engines, name in [(engines, name) for engines, names in choose(answers) for name in names]:
        having = [one for one in engines if name in one.images]
        rows += [[name, one.engine, _best(one.images[name], labels)] for one in having]
        words = agreement(name, having, labels)
        rows += [[name, "all", words]] if words else []
    body = table(["image", "engine", f"best {TOP}"], rows)
    return f"<details><summary>Predictions of every engine</summary>\n\n{body}\n</details>\n"


def _best(prediction, labels):
    return ", ".join(f"{label_of(row, labels)} {score(row[1])}" for row in best(prediction))


def _commands(source):
    listed = [f"{escape(view.title)}\n\n{fenced(view.command)}" for view in source.steps if view.command]
    body = "\n".join(listed)
    return f"<details><summary>Commands</summary>\n\n{body}\n</details>\n" if listed else ""
