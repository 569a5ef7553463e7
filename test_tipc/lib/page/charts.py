"""Charts as SVG: lines over iterations, and bars. Nothing here knows what a bundle is."""

import math

from page.element import Markup, el

WIDTH, HEIGHT = 460, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 12, 38
_MOST_POINTS = 300  # more of them than a screen has columns
SMALLEST, LARGEST = -9, 0  # powers of ten of the scale of differences


def line_chart(identity, title, summary, lines, zero=True, top=None):
    """A chart of `lines`, [(label, [(x, y), ...], whether its points are marked)], over iterations.

    `summary` says in words what is seen. Points that are not finite are gaps. `zero`: the scale begins at 0 unless values
    lie below; `top`: it ends there, unless values lie above.
    """
    shown = [(x, y) for _, points, _ in lines for x, y in points if math.isfinite(y)]
    if not shown:
        return None
    right = max(x for x, _ in shown)
    lowest, highest = min(y for _, y in shown), max([y for _, y in shown] + ([top] if top is not None else []))
    ticks = nice_ticks(min(lowest, 0.0) if zero else lowest, highest)
    low, high = ticks[0], max(ticks[-1], highest)

    def place(x, y):
        across = _LEFT + (WIDTH - _LEFT - _RIGHT) * (x / right if right else 0)
        return across, HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * ((y - low) / (high - low or 1))

    parts = [el("title", title, id=f"{identity}-title"), el("desc", summary, id=f"{identity}-text")]
    for tick in ticks:
        y = f"{place(0, tick)[1]:.1f}"
        parts.append(el("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(el("text", f"{tick:.6g}", x=_LEFT - 7, y=y, dy="0.35em", text_anchor="end"))
    for tick in nice_ticks(0, right):
        if tick <= right:
            parts.append(_below(f"{tick:.6g}", place(tick, low)[0], HEIGHT - _BOTTOM + 16))
    parts.append(_below("iteration", (WIDTH + _LEFT) / 2, HEIGHT - 5))
    for number, (_, points, marked) in enumerate(lines):
        parts.append(el("path", d=_path(thinned(points), place), class_=f"line series{number}"))
        if marked:
            dots = [place(x, y) for x, y in points if math.isfinite(y)]
            parts += [el("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, class_=f"dot series{number}") for x, y in dots]
    return el(
        "svg",
        parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-text",
        class_="chart",
    )


def _below(words, x, y):
    return el("text", words, x=f"{x:.1f}", y=y, text_anchor="middle")


def _path(points, place):
    """The `d` of a path through the points, begun again behind a gap."""
    words, pen = [], "M"
    for x, y in points:
        if math.isfinite(y):
            across, down = place(x, y)
            words.append(f"{pen}{across:.1f} {down:.1f}")
            pen = "L"
        else:
            pen = "M"
    return Markup(" ".join(words))


def thinned(points):
    """At most about `_MOST_POINTS` of the points: of each stretch the lowest and the highest, so that no peak is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    stretch = math.ceil(2 * len(points) / _MOST_POINTS)
    kept = []
    for begin in range(0, len(points), stretch):
        part = points[begin : begin + stretch]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept


def nice_ticks(low, high, most=5):
    """Round numbers from `low` or below to `high` or above, `most` steps or fewer."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / most
    scale = 10.0 ** math.floor(math.log10(raw))
    step = scale * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * scale >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def share(value, largest):
    """How long a bar is, in percent."""
    return 100 * value / largest if largest > 0 and math.isfinite(value) else 0.0


def bar(percent, mark=None, class_="bar"):
    """A bar; `mark` is where a line across it stands, such as a limit. It says nothing that is not beside it as a number."""
    marked = None if mark is None else el("i", style=f"left:{mark:.1f}%")
    return el("span", el("b", style=f"width:{percent:.1f}%"), marked, class_=class_, aria_hidden="true")


def log_share(value):
    """Where a difference lies on the scale from 1e-9 to 1, in percent; 0 for equality bit by bit, 100 for nan."""
    if not math.isfinite(value):
        return 100.0
    if value <= 0:
        return 0.0
    return min(max(100 * (math.log10(value) - SMALLEST) / (LARGEST - SMALLEST), 1.5), 100.0)
