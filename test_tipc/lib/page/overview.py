"""The top of a report: the verdict, the figures that are looked for first, and the matrix of steps by result."""

import math
import re

from page.element import el
from page.frame import badge, breakable, definitions, section, table
from page.source import mapping, number, text
from steps import BEGAN, FAILED, NOT_RUN, PASSED, SKIPPED
from verdict import SERVING, SERVING_CPP

WORST_FIRST = (FAILED, BEGAN, NOT_RUN, PASSED, SKIPPED)
_ACCURACY = re.compile(r"(top1|recall1|AP): ([.\d]+)")


def outcome(source):
    """`passed`, `failed` or `skipped`: what the verdict of the bundle says."""
    if source.passed:
        return PASSED
    return SKIPPED if text(source.verdict.get("sentence")).startswith("skipped") else FAILED


def accuracy(source):
    """`top1 0.35417`, `AP 0.23` of a detector or `recall1 0.9` of a recogniser, as evaluated; "" where nothing was."""
    evaluated = mapping(mapping(source.content.get("figures")).get("evaluate"))
    for name in ("top1", "recall1", "AP"):
        value = number(evaluated.get(name))
        if math.isfinite(value):
            return f"{name} {value:.5g}"
    figures = [view.figure for view in source.steps if view.kind == "evaluate" and view.result == PASSED]
    match = next(filter(None, map(_ACCURACY.search, figures)), None)
    return f"{match[1]} {match[2]}" if match else ""


def commit(source):
    """`28a4ff5a0102 (clean tree)`; "" where there is none."""
    project = mapping(source.content.get("project"))
    found = text(project.get("commit"))[:12]
    return found and f"{found} ({'clean tree' if project.get('clean') is True else 'tree with changes'})"


def date(source):
    """`2026-11-26`, when the run ended, or began where only that is known."""
    return text(source.content.get("ended") or source.content.get("started"))[:10]


def counts(source):
    """`10 passed, 2 skipped`."""
    results = [FAILED if view.result == BEGAN else view.result for view in source.steps]
    return ", ".join(f"{results.count(one)} {one}" for one in (FAILED, NOT_RUN, PASSED, SKIPPED) if one in results)


def draw_verdict(source):
    result, verdict = outcome(source), source.verdict
    names = {PASSED: "Passed · 通过", FAILED: "Failed · 未通过", SKIPPED: "Skipped · 跳过"}
    remarks = []
    if source.passed and verdict.get("compared") is False:
        remarks.append("Predictions were not all compared: it certifies no agreement.")
    if source.passed and verdict.get("whole") is False:
        remarks.append("The run is not whole: some steps of its mode are missing.")
    sentence = text(verdict.get("sentence")) or "The bundle has no verdict."
    return el(
        "div", el("strong", names[result]), sentence, [el("p", one) for one in remarks], class_=f"verdict {result}"
    )


def draw_key_figures(source, differences):
    largest = [one.largest for one in differences if one.largest is not None]
    worst = "" if not largest else "0, bitwise equal" if max(largest) == 0 else f"{max(largest):.3g}"
    return definitions(
        [
            ("Accuracy", accuracy(source)),
            ("Largest difference between engines", worst),
            ("Steps", counts(source)),
            ("Commit", commit(source)),
            ("Run", text(source.content.get("started"))[:19].replace("T", " ")),
            ("Processor", text(mapping(source.content.get("machine")).get("processor"))),
        ]
    )


def draw_matrix(source):
    """Kinds of steps by trainings (or devices); a cell leads to its step."""
    tags = list(dict.fromkeys(view.tag for view in source.steps if view.tag)) or [""]
    kinds = list(dict.fromkeys(view.kind for view in source.steps))
    rows = [[kind, *_cells(source, kind, tags)] for kind in kinds]
    head = "device" if source.mode in (SERVING, SERVING_CPP) else "training"
    columns = ["result"] if tags == [""] else [breakable(tag) for tag in tags]
    note = el("p", f"A column is a {head}; each result leads to its step below.", class_="note") if tags[0] else None
    matrix = table("Steps by result", ["step", *columns], rows, "matrix")
    return section("matrix", "Steps by result", "各步结果", note, matrix)


def _cells(source, kind, tags):
    views = [(place, view) for place, view in enumerate(source.steps, 1) if view.kind == kind]
    if all(not view.tag for _, view in views):
        return [el("td", _results(views), colspan=len(tags))]
    return [_results([pair for pair in views if pair[1].tag in (tag, "")]) for tag in tags]


def _results(views):
    """A link for each result that steps of a kind had, the worst first, with how many had it."""
    links = []
    for result in WORST_FIRST:
        places = [(place, view) for place, view in views if view.result == result]
        if places:
            times = f" ({len(places)})" if len(places) > 1 else ""
            label = f"{result}: {', '.join(view.title for _, view in places)}"
            links.append(el("a", badge(result), times, href=f"#step-{places[0][0]}", aria_label=label))
            links.append(" ")
    return links or "-"
