"""Read back a training log: loss, cost and accuracy of every line in the certification's format, or else the loss of
every line in the format of any other project (foreign_log.py).
"""

import re
from pathlib import Path
from typing import NamedTuple, Optional

from foreign_log import is_evaluation, iterations, place_of, read_foreign_log
from script import UserError

# our lines begin with the first part; the official format has only the second, with `[Epoch 1, iter: 10]` in models
_STEP = re.compile(r"\[Epoch (?P<epoch>\d+)/\d+\]\[Iter: (?P<step>\d+)/(?P<steps>\d+)\]")
_COST = re.compile(
    r"\bloss: (?P<loss>[^\s,]+),? avg_reader_cost: (?P<reader>[^\s,]+) sec,? avg_batch_cost: (?P<batch>[^\s,]+) sec"
)
_EVAL = re.compile(r"\[Eval\]\[Epoch (?P<epoch>\d+)\]")
_FIGURE = re.compile(r"\b(top1|AP|AP50): ([^\s,]+)")
_NUMBER = re.compile(r"[-+]?(nan|inf(inity)?|(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)", re.IGNORECASE)


FORMATS = "'loss: 0.1', 'loss=0.1', 'Loss 0.1' or '\"loss\": 0.1'"


class NoLoss(UserError):
    """The log can be read, and no line of it has a total loss of the training."""


class TrainPoint(NamedTuple):
    """One line of training; `iteration` counts from the training's first step, or is the line's number where the
    lines do not tell; costs are seconds a batch, and None in the format of another project.
    """

    iteration: int
    loss: float
    reader_cost: Optional[float] = None
    batch_cost: Optional[float] = None


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

    A log with lines in the certification's format has its points there, and no others. UserError when the file is
    missing, or has that format with a figure that is not a number or without a loss; `NoLoss` when no line of another
    format has one.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: the training log cannot be read ({error.strerror})") from None
    train, evals = _read_official(path, lines)
    if not train:
        points, others = read_foreign_log(lines)
        train = {iteration: TrainPoint(iteration, loss) for iteration, loss in points}
    if not train:
        found = f" (found: {', '.join(others[:4]):.200})" if others else ""
        official = any("avg_reader_cost: " in line and "avg_batch_cost: " in line for line in lines)
        raise (UserError if official else NoLoss)(f"{path}: no line with {FORMATS} of the training in it{found}")
    return TrainLog([train[key] for key in sorted(train)], [evals[key] for key in sorted(evals)])


def _read_official(path, lines):
    """({iteration: TrainPoint}, {iteration: EvalPoint}) of the lines in the certification's format."""
    train, evals, places, steps = {}, {}, [], 0
    for number, line in enumerate(lines, 1):
        if (match := _COST.search(line)) and not is_evaluation(line, match.start()):
            iteration = len(train) + 1
            if step := _STEP.search(line):
                steps = int(step["steps"])
                iteration = (int(step["epoch"]) - 1) * steps + int(step["step"])
            else:
                places.append(place_of(line))
            figures = (_figure(match[name], f"{path}:{number}", name) for name in ("loss", "reader", "batch"))
            train[iteration] = TrainPoint(iteration, *figures)
        elif (match := _EVAL.search(line)) and (figures := _FIGURE.findall(line)):
            iteration = int(match["epoch"]) * steps
            figures = {name: _figure(text, f"{path}:{number}", name) for name, text in figures}
            evals[iteration] = EvalPoint(iteration, figures)
    if places and len(places) == len(train):  # as other projects tell it
        points = zip(iterations(places), train.values())
        train = {iteration: point._replace(iteration=iteration) for iteration, point in points}
    return train, evals


def _figure(text, place, name):
    if not _NUMBER.fullmatch(text):
        raise UserError(f"{place}: {name}: expected a number, found {text!r:.40}")
    return float(text)
