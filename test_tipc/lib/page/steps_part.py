"""Every step with its result, figure, time, command and log."""

from page.element import el
from page.frame import badge, copied, details, section, table
from page.source import listing, mapping, read, text

HEAD, TAIL = 8000, 12000  # characters of a log that are shown


def draw_steps(source):
    return section("steps", "Steps", "各步骤", [_step(view, place) for place, view in enumerate(source.steps, 1)])


def _step(view, place):
    about = el("div", el("h3", view.title), badge(view.result), el("span", f"{view.seconds:.1f} s"), class_="about")
    said = view.figure if view.figure and view.figure != view.reason else ""
    parts = [el("p", said, class_="figure") if said else None, el("p", view.reason, class_="figure") if view.reason else None]
    if view.command:
        parts.append(copied(view.command, f"command-{place}"))
        if view.folder not in ("", "."):
            parts.append(el("p", "in the folder ", el("code", view.folder), class_="note"))
    if view.engines:
        parts.append(_settings(view))
    if view.log:
        parts.append(_log(view))
    return el("article", about, parts, class_="step", id=f"step-{place}")


def _settings(view):
    rows = []
    for engine in view.engines:
        for one in map(mapping, listing(engine.get("settings"))):
            name, asked, found = (text(one.get(key)) for key in ("name", "requested", "in_effect"))
            mark = found if asked == found else f"≠ {found}"
            rows.append([text(engine.get("engine")), name, asked, mark, text(one.get("why"))])
    columns = ["engine", "setting", "requested", "in effect", "because"]
    return details("Settings in effect", table(f"Settings in effect in {view.title}", columns, rows)) if rows else None


def _log(view):
    written = read(view.log)
    size = f"{len(written.splitlines())} lines"
    log = el("pre", el("code", cut(written)), tabindex="0", aria_label=f"Log of {view.title}", role="region")
    return details(f"Log: {view.log.name}, {size}", log, class_="log")


def cut(written):
    """A log as it is shown: a long one without its middle, and a note that says so."""
    if len(written) <= HEAD + TAIL:
        return written
    left_out = len(written) - HEAD - TAIL
    return f"{written[:HEAD]}\n\n[… {left_out:,} characters in the middle are left out here; the file has them …]\n\n{written[-TAIL:]}"


