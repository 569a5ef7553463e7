"""Read back a training log in the certification's format: loss, cost and accuracy of every line."""

import re
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError

_TRAIN = re.compile(
    r"\[Epoch (?P<epoch>\d+)/\d+\]\[Iter: (?P<step>\d+)/(?P<steps>\d+)\].*?"
    r"\bloss: (?P<loss>[-+.\dinfa]+), avg_reader_cost: (?P<reader>[.\d]+) sec, avg_batch_cost: (?P<batch>[.\d]+) sec"
)
_EVAL = re.compile(r"\[Eval\]\[Epoch (?P<epoch>\d+)\].*?\btop1: (?P<top1>[.\d]+)")


class TrainPoint(NamedTuple):
    """One line of training; `iteration` counts from the training's first step, costs are seconds a batch."""

    iteration: int
    loss: float
    reader_cost: float
    batch_cost: float


class EvalPoint(NamedTuple):
    """One evaluation, placed at the last iteration of its epoch."""

    iteration: int
    top1: float


class TrainLog(NamedTuple):
    """All points of a training, in order; lines that a resumed run wrote again take the place of the first."""

    train: list
    evals: list


def read_train_log(path):
    """The `TrainLog` in the file at `path`; UserError when it is missing or holds no training line."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{path}: the training log cannot be read ({error.strerror})") from None
    train, evals, steps = {}, {}, 0
    for line in lines:
        if match := _TRAIN.search(line):
            steps = int(match["steps"])
            iteration = (int(match["epoch"]) - 1) * steps + int(match["step"])
            train[iteration] = TrainPoint(
                iteration, float(match["loss"]), float(match["reader"]), float(match["batch"])
            )
        elif match := _EVAL.search(line):
            iteration = int(match["epoch"]) * steps
            evals[iteration] = EvalPoint(iteration, float(match["top1"]))
    if not train:
        raise UserError(f"{path}: no line with 'loss: …, avg_reader_cost: …' in it")
    return TrainLog([train[key] for key in sorted(train)], [evals[key] for key in sorted(evals)])
