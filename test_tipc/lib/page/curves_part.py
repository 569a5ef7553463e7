"""The curves of a training: its loss, and the accuracy, AP or Recall@1 of its evaluations."""

import math

from history_file import NAME as HISTORY
from page.charts import line_chart
from page.element import el
from page.frame import details, section, table
from script import UserError
from train_log import LOG, read_train_log

_TITLES = {"top1": "top-1", "recall1": "Recall@1"}


def read_curve(source):
    """The `TrainLog` of the bundle's training; None where there is none, or it has no loss that can be read."""
    places = [source.folder / HISTORY, source.folder / LOG]
    for view in source.steps:
        if view.kind == "train" and view.log:
            places += [view.log.with_suffix("") / HISTORY, view.log.with_suffix("") / LOG, view.log]
    for place in places:
        if place.is_file():
            try:
                return read_train_log(place)
            except (UserError, OSError):
                continue
    return None


def draw_curves(curve):
    """The section, None without a curve."""
    loss = curve and _loss(curve)
    if not loss:
        return None
    charts = [loss, _evaluations(curve)]
    return section(
        "curves", "Loss and accuracy", "损失与精度曲线", el("div", charts, class_="charts"), _as_tables(curve)
    )


def _loss(curve):
    points = [(point.iteration, point.loss) for point in curve.train]
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    if not finite:
        return None
    least = min(finite, key=lambda point: point[1])
    words = (
        f"Training loss over {points[-1][0]} iterations: {finite[0][1]:.5g} at first, {finite[-1][1]:.5g} at last, "
        f"lowest {least[1]:.5g} at iteration {least[0]}"
    )
    if len(finite) < len(points):
        words += f"; {len(points) - len(finite)} of {len(points)} values are not finite"
    chart = line_chart("loss", "Training loss", words, [("loss", points, len(points) < 3)])
    return el("figure", chart, el("figcaption", f"{words}."))


def _evaluations(curve):
    names = list(dict.fromkeys(name for point in curve.evals for name in point.figures))
    lines = [(_TITLES.get(name, name), _points(curve, name), True) for name in names]
    said = [f"{name} {values[-1][1]:.5g} at last, {max(y for _, y in values):.5g} at best" for name, values, _ in lines]
    words = f"Validation: {'; '.join(said)}"
    chart = lines and line_chart("accuracy", "Accuracy on the validation set", words, lines, top=1.0)
    if not chart:
        return None
    several = len(lines) > 1
    keys = [el("span", f"{'━╍┅'[at % 3]} {name} ", class_=f"key{at}") for at, (name, _, _) in enumerate(lines)]
    return el("figure", chart, el("figcaption", keys if several else None, f"{words}."))


def _points(curve, name):
    return [(point.iteration, point.figures[name]) for point in curve.evals if name in point.figures]


def _as_tables(curve):
    """The same in numbers: every evaluation, and about twenty losses."""
    every = max(1, math.ceil(len(curve.train) / 20))
    chosen = curve.train[::every]
    if chosen[-1] is not curve.train[-1]:
        chosen = [*chosen, curve.train[-1]]
    losses = [[str(point.iteration), f"{point.loss:.5f}"] for point in chosen]
    parts = [table("Training loss", ["iteration", "loss"], losses)]
    names = list(dict.fromkeys(name for point in curve.evals for name in point.figures))
    if names:
        rows = [
            [str(point.iteration), *(f"{point.figures[name]:.5f}" if name in point.figures else "-" for name in names)]
            for point in curve.evals
        ]
        parts.append(table("Evaluations", ["iteration", *names], rows))
    return details("The curves as tables", parts)
