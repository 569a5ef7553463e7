"""Read back a training: from its history.jsonl, where it left one. Else from its log: loss, cost and accuracy of every
line in the certification's format, or the loss of every line in the format of any other project (foreign_log.py).
"""

import re
from pathlib import Path

from foreign_log import is_evaluation, iterations, place_of, read_foreign_log
from history_file import NAME as HISTORY
from history_file import SHOWN, EvalPoint, HistoryError, TrainLog, TrainPoint, is_history, read_points
from script import UserError

# our lines begin with the first part; the official format has only the second, with `[Epoch 1, iter: 10]` in models
_STEP = re.compile(r"\[Epoch (?P<epoch>\d+)/\d+\]\[Iter: (?P<step>\d+)/(?P<steps>\d+)\]")
_COST = re.compile(
    r"\bloss: (?P<loss>[^\s,]+),? avg_reader_cost: (?P<reader>[^\s,]+) sec,? avg_batch_cost: (?P<batch>[^\s,]+) sec"
)
_EVAL = re.compile(r"\[Eval\]\[Epoch (?P<epoch>\d+)\]")
_FIGURE = re.compile(rf"\b({'|'.join(SHOWN)}): ([^\s,]+)")
_NUMBER = re.compile(r"[-+]?(nan|inf(inity)?|(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)", re.IGNORECASE)

LOG = "log_train.txt"  # what a training calls its log, beside its history
FORMATS = "'loss: 0.1', 'loss=0.1', 'Loss 0.1' or '\"loss\": 0.1'"


class NoLoss(UserError):
    """The log can be read, and no line of it has a total loss of the training."""


def read_train_log(path):
    """The `TrainLog` of the output folder, the history or the log `path`; losses may be nan or infinite.

    Where a history.jsonl lies beside a log_train.txt, that is read, and no log. A log with lines in the certification's
    format has its points there, and no others. UserError when the file is missing, or has that format with a figure
    that is not a number or without a loss; `NoLoss` when no line of another format has one.
    """
    path = Path(path)
    if history := history_of(path):
        try:
            return read_points(history)
        except HistoryError as error:
            raise UserError(str(error)) from None
    path = path / LOG if path.is_dir() else path
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


def history_of(path):
    """The path of the history that belongs to the folder, the history or the log `path`; None where there is none."""
    if path.is_dir():
        path = path / HISTORY
    elif path.name == LOG:
        path = path.with_name(HISTORY)
    return path if path.suffix == ".jsonl" and is_history(path) else None


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
