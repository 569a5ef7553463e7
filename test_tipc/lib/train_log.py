"""Read back a training log in the certification's format: loss, cost and accuracy of every line."""

import re
from pathlib import Path
from typing import NamedTuple

from script import UserError

# our lines begin with the first part; the official format has only the second
_STEP = re.compile(r"\[Epoch (?P<epoch>\d+)/\d+\]\[Iter: (?P<step>\d+)/(?P<steps>\d+)\]")
_COST = re.compile(
    r"\bloss: (?P<loss>[^\s,]+),? avg_reader_cost: (?P<reader>[^\s,]+) sec,? avg_batch_cost: (?P<batch>[^\s,]+) sec"
)
_EVAL = re.compile(r"\[Eval\]\[Epoch (?P<epoch>\d+)\]")
_FIGURE = re.compile(r"\b(top1|AP|AP50): ([^\s,]+)")
_NUMBER = re.compile(r"[-+]?(nan|inf(inity)?|(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)", re.IGNORECASE)


class TrainPoint(NamedTuple):
    """One line of training; `iteration` counts from the training's first step, or is the line's number where the
    lines do not tell; costs are seconds a batch.
    """

    iteration: int
    loss: float
    reader_cost: float
    batch_cost: float


class EvalPoint(NamedTuple):
    """One evaluation, placed at the last iteration of its epoch; `figures` are those of "top1", "AP", "AP50"."""

    iteration: int
    figures: dict


class TrainLog(NamedTuple):
    """All points of a training, in order; lines that a resumed run wrote again take the place of the first."""

    train: list
    evals: list


def read_train_log(path):
    """The `TrainLog` in the file at `path`; losses may be nan or infinite.

    UserError when it is missing or holds no training line, and for a figure that is not a number.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: the training log cannot be read ({error.strerror})") from None
    train, evals, steps = {}, {}, 0
    for number, line in enumerate(lines, 1):
        if match := _COST.search(line):
            iteration = len(train) + 1
            if step := _STEP.search(line):
                steps = int(step["steps"])
                iteration = (int(step["epoch"]) - 1) * steps + int(step["step"])
            figures = (_figure(match[name], f"{path}:{number}", name) for name in ("loss", "reader", "batch"))
            train[iteration] = TrainPoint(iteration, *figures)
        elif (match := _EVAL.search(line)) and (figures := _FIGURE.findall(line)):
            iteration = int(match["epoch"]) * steps
            figures = {name: _figure(text, f"{path}:{number}", name) for name, text in figures}
            evals[iteration] = EvalPoint(iteration, figures)
    if not train:
        raise UserError(f"{path}: no line with 'loss: …, avg_reader_cost: …' in it")
    return TrainLog([train[key] for key in sorted(train)], [evals[key] for key in sorted(evals)])


def _figure(text, place, name):
    if not _NUMBER.fullmatch(text):
        raise UserError(f"{place}: {name}: expected a number, found {text!r:.40}")
    return float(text)
