"""Differences by stage, and figures of speed, as tables with bars."""

import math

from page.charts import SMALLEST, bar, log_share, share
from page.differences import STAGES
from page.element import el
from page.frame import breakable, section, table

_CHINESE = {"preprocessing": "预处理", "network": "网络", "engine": "引擎", "service": "服务"}


def draw_differences(differences):
    """The section, None where nothing was compared."""
    if not differences:
        return None
    rows = []
    for stage in STAGES:
        for one in [one for one in differences if one.stage == stage]:
            percent = log_share(one.largest)
            mark = log_share(one.allowed) if one.allowed else None
            drawn = bar(percent, mark, "bar" if one.agrees else "bar apart")
            where = el("small", stage, " ", el("span", _CHINESE[stage], lang="zh"), class_="beside")
            verdict = "✓ agrees" if one.agrees else "✗ disagrees"
            what = [where, breakable(one.name), el("small", one.words, class_="beside")]
            figure = [largest_words(one), el("small", f" {limit_words(one)}") if one.allowed is not None else None, drawn]
            rows.append([what, figure, el("span", verdict, class_="whole")])
    lead = f"The bars are on a logarithmic scale from 1e{SMALLEST} to 1; no bar is equality bit by bit. The line is the limit."
    columns = ["compared", "largest difference, and what is allowed", "verdict"]
    drawn = table("Differences between engines by stage", columns, rows)
    return section("differences", "Differences by stage", "各阶段差异", el("p", lead, class_="note"), drawn)


def largest_words(one):
    """`0 (bitwise)`, `8.94e-07`, or `nan`."""
    if one.largest == 0:
        return "0 (bitwise)"
    return f"{one.largest:.3g}" if math.isfinite(one.largest) else "not finite"


def limit_words(one):
    """What was allowed, in words."""
    if one.allowed is None:
        return "-"
    return f"at most {one.allowed:.3g}" if one.allowed else "must be bitwise"


def number(words):
    """A cell with a number."""
    return el("td", words, class_="number")


def draw_speeds(groups):
    """The section, None without figures."""
    if not groups:
        return None
    tables = []
    for title, speeds in groups.items():
        most = max(speed.value for speed in speeds)
        rows = [[breakable(one.name), number(f"{one.value:.4g}"), bar(share(one.value, most))] for one in speeds]
        tables.append([el("h3", title), table(title, ["what", "value", ""], rows)])
    lead = el("p", "As the logs have them; one run on a machine that other work may share is no benchmark.", class_="note")
    return section("speed", "Speed", "速度", lead, tables)
