"""Read a training's history.jsonl: one JSON object per line, each with the key `event` (start, train, eval, end, ...).

It stands alone, with the standard library only: `ppcls_lite/train/history_file.py`, beside what writes the file, is a
link to it.
"""

import json
from pathlib import Path
from typing import NamedTuple, Optional

NAME = "history.jsonl"
SHOWN = ("top1", "AP", "AP50", "recall1", "mAP")  # figures of an evaluation that are shown
_START = ("epochs", "iterations", "first_epoch")  # whole numbers that every start has


class HistoryError(Exception):
    """The file cannot be used; the message is one line: which file and line, what was found."""


class TrainPoint(NamedTuple):
    """One line of training; `iteration` counts from the training's first step, or is the line's number where the
    lines of a log do not tell; costs are seconds a batch, and None in the format of another project.
    """

    iteration: int
    loss: float
    reader_cost: Optional[float] = None
    batch_cost: Optional[float] = None


class EvalPoint(NamedTuple):
    """One evaluation, placed at the last iteration of its epoch; `figures` are those of `SHOWN`."""

    iteration: int
    figures: dict


class TrainLog(NamedTuple):
    """All points of a training, in order; what a resumed run did again takes the place of the first."""

    train: list
    evals: list


def read_events(path):
    """The list of the events (dicts) in the file at `path`, in their order; what a kill left unfinished is dropped.

    Raises HistoryError when there is no such file, or a line of it is not an event.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise HistoryError(f"{path}: no such history of a training") from error
    except (OSError, UnicodeDecodeError) as error:
        raise HistoryError(f"{path}: cannot be read ({error})") from error
    events = []
    for number, line in enumerate(text.split("\n")[:-1], 1):
        event = _parse(line)
        if event is None:
            raise HistoryError(f"{path}:{number}: expected a JSON object with an event, found {line!r:.80}")
        events.append(event)
    return events


def _parse(line):
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def is_history(path):
    """Whether the file at `path` begins as a history does; other projects write other things under that name."""
    try:
        with open(path, encoding="utf-8") as stream:
            event = _parse(stream.readline(1 << 16))
    except (OSError, UnicodeDecodeError):
        return False
    return event is not None and event["event"] == "start" and all(type(event.get(key)) is int for key in _START)


def read_points(path):
    """The `TrainLog` of the history at `path`; a loss that is null there, as it was not finite, is nan.

    Raises HistoryError as `read_events` does, for a figure that is not a number, and when nothing was trained.
    """
    train, evals, length, last = {}, {}, {}, None
    for number, event in enumerate(read_events(path), 1):
        kind = event["event"]
        if kind == "start":
            last = _numbers(path, number, event, _START)
            for points in (train, evals, length):  # a resumed training does these epochs again
                for key in [key for key in points if _epoch(key) >= last["first_epoch"]]:
                    del points[key]
        elif kind in ("train", "eval") and last is None:
            raise HistoryError(f"{path}:{number}: expected an event 'start' before it, found {kind!r}")
        elif kind == "train":
            found = _numbers(path, number, event, ("epoch", "iteration"))
            length[found["epoch"]] = last["iterations"]
            costs = [_number(path, number, event, key) for key in ("loss", "avg_reader_cost", "avg_batch_cost")]
            train[found["epoch"], found["iteration"]] = costs
        elif kind == "eval":
            epoch = _numbers(path, number, event, ("epoch",))["epoch"]
            evals[epoch] = {name: _number(path, number, event, name) for name in SHOWN if name in event}
    if not train:
        raise HistoryError(f"{path}: expected an event 'train', found none")
    return _placed(train, {epoch: figures for epoch, figures in evals.items() if figures}, length)


def _epoch(key):
    return key[0] if isinstance(key, tuple) else key


def _placed(train, evals, length):
    """The `TrainLog` of points by epoch and iteration, where `length` has the iterations of each epoch."""
    begins, total, last = {}, 0, 0
    for epoch in sorted(length):
        begins[epoch] = total + (epoch - last - 1) * length[min(length)]  # those between are not in the file
        total, last = begins[epoch] + length[epoch], epoch
    points = [TrainPoint(begins[epoch] + iteration, *train[epoch, iteration]) for epoch, iteration in sorted(train)]
    judged = [EvalPoint(begins[epoch] + length[epoch], evals[epoch]) for epoch in sorted(evals) if epoch in length]
    return TrainLog(points, judged)


def _numbers(path, line, event, keys):
    for key in keys:
        if type(event.get(key)) is not int or event[key] < 1:
            found = f"{event['event']}.{key}: expected a whole number of at least 1, found {event.get(key)!r:.80}"
            raise HistoryError(f"{path}:{line}: {found}")
    return {key: event[key] for key in keys}


def _number(path, line, event, key):
    value = event.get(key, "")
    if value is None:
        return float("nan")
    try:
        return float(value if type(value) in (int, float) else "")
    except (ValueError, OverflowError):
        found = f"{event['event']}.{key}: expected a number, found {value!r:.80}"
        raise HistoryError(f"{path}:{line}: {found}") from None
