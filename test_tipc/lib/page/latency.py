"""Figures of speed in the logs of a bundle."""

import math
import re
from statistics import median
from typing import NamedTuple

from page.source import read

_PER_IMAGE = re.compile(r"\b([\d.]+) milliseconds per image")
_AUTOLOG = re.compile(r"\b((?:pre(?:proce(?:ss)?)?|inference|post(?:process)?)_time)\(ms\): ([\d.]+)")
_COMPARED = re.compile(r"^(threads \d+, \w+|latency: [^:\n]+): (.* ms\b.*)$", re.MULTILINE)
_ONE = re.compile(r"([A-Za-z+0-9 ]*?[A-Za-z+0-9]+) ([\d.]+) ms\b")
_WHOLE_STEPS = ("predict", "infer", "client", "agree")


class Speed(NamedTuple):
    """A bar: what took how long, in the unit of its group."""

    name: str
    value: float


def read_speeds(source, curve):
    """{title of the group: [Speed]} of what the bundle has figures of; `curve` is the `TrainLog` of its training or None."""
    groups = {"milliseconds": [], "seconds a batch, training": _training(curve), "seconds a step, its start included": []}
    for view in source.steps:
        log = read(view.log) if view.log and view.kind in ("infer", "agree") else ""
        groups["milliseconds"] += [Speed(f"{view.title}{name}", value) for name, value in _in_log(log)]
        if view.kind in _WHOLE_STEPS and view.seconds:
            groups["seconds a step, its start included"].append(Speed(view.title, view.seconds))
    return {title: speeds for title, speeds in groups.items() if speeds}


def _in_log(log):
    found = [("", text) for text in _PER_IMAGE.findall(log)[-1:]]
    found += [(f", {name}", text) for name, text in _AUTOLOG.findall(log)[-3:]]
    for where, rest in _COMPARED.findall(log):
        found += [(f", {where}: {name.strip()}", text) for name, text in _ONE.findall(rest)]
    for name, value in found:
        try:
            yield name, float(value)
        except ValueError:  # 1.2.3 is no number
            continue


def _training(curve):
    points = curve.train if curve else []
    found = []
    for name, costs in (
        ("a step with its data, median", [point.batch_cost for point in points]),
        ("of it waiting for data, median", [point.reader_cost for point in points]),
    ):
        finite = [cost for cost in costs if cost is not None and math.isfinite(cost)]
        if finite:
            found.append(Speed(name, median(finite)))
    return found
