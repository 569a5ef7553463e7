"""The lines of a training's log in the certification's format, each with all that it says."""

import re
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Optional

from figures import Printed
from foreign_log import is_evaluation

COSTS = ("avg_reader_cost", "avg_batch_cost", "avg_samples", "avg_ips")
_NUMBER = r"(?P<number>[-+\w.]+)"
# name, number and unit, as a training log line must carry them
FIELDS = {
    "loss": re.compile(rf"\bloss: {_NUMBER}(?=,|\s|$)"),
    "avg_reader_cost": re.compile(rf"\bavg_reader_cost: {_NUMBER} sec\b"),
    "avg_batch_cost": re.compile(rf"\bavg_batch_cost: {_NUMBER} sec\b"),
    "avg_samples": re.compile(rf"\bavg_samples: {_NUMBER}(?=,|\s|$)"),
    "avg_ips": re.compile(rf"\b(?:avg_)?ips: {_NUMBER} images/s(?:ec)?\b"),
}
_ANY = re.compile(r"\bavg_(?:reader|batch)_cost\b|\bavg_ips\b")
_PLACE = re.compile(r"\[Epoch (\d+)/\d+\]\[Iter: (\d+)/(\d+)\]")
_TIME = re.compile(r"^\[(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)\]")
_EVAL = re.compile(r"\[Eval\]\[Epoch (?P<epoch>\d+)\]")


class TrainLine(NamedTuple):
    """One line of training: its number in the log, place, clock, and `Printed` figures by name; None for a figure that
    is no number."""

    number: int
    epoch: Optional[int]
    step: Optional[int]
    steps: Optional[int]
    clock: Optional[datetime]
    figures: dict

    @property
    def iteration(self):
        """Counted from the training's first, None where the line does not say."""
        return None if self.epoch is None else (self.epoch - 1) * self.steps + self.step


@lru_cache(maxsize=4)  # each check of a training asks for the same
def read_lines_of(text):
    """[`TrainLine`] of a log; [] where it is in another format."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        any_cost = _ANY.search(line)
        if not any_cost or is_evaluation(line, any_cost.start()):
            continue
        place, clock = _PLACE.search(line), _TIME.match(line)
        matches = {name: pattern.search(line) for name, pattern in FIELDS.items()}
        figures = {name: _number(match["number"]) for name, match in matches.items() if match}
        found.append(
            TrainLine(
                number,
                *(map(int, place.groups()) if place else (None, None, None)),
                datetime.strptime(clock[1], "%Y/%m/%d %H:%M:%S") if clock else None,
                figures,
            )
        )
    return found


def read_evaluations(text):
    """{epoch: {name: `Printed`}} of the lines `[Eval][Epoch 4] loss: 1.9, top1: 0.2, ...`."""
    found = {}
    for line in text.splitlines():
        if match := _EVAL.search(line):
            pairs = re.findall(r"\b(\w+): (-?[\d.]+)", line[match.end() :])
            found[int(match["epoch"])] = {name: _number(number) for name, number in pairs}
    return found


def _number(text):
    try:
        return Printed(text)
    except ValueError:
        return None
