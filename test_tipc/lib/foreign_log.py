"""Read the total training loss of each line of a log in the format of any Paddle project.

A loss is a key and a number, however they are joined: `loss: 0.1`, `loss=0.1`, `Loss 0.1`, `"loss": 0.1`, `loss:[0.1]`;
of `loss: 0.8 (1.2)`, a value and its mean, it is the first. The key is `loss`, alone or with words that keep it the
total of the training: `total_loss`, `train_loss`, `Train Loss`, `train/loss`, `avg_loss`. Parts (`loss_vfl`, `G_loss`,
`CELoss`, `box loss`) are not read, nor losses of an evaluation: behind a word such as `val` or `[Eval]`, in a JSON line
whose mode says so, or between the lines `Eval begin` and `Eval samples` of paddle.Model.

The iteration is told by `iter: 10/100`, `step 10`, `batch_id: 10`, `[ 10/100]` or a progress bar's `| 10/100 [`, with
the epoch where these begin again in each. Where the lines do not tell it, they are counted.
"""

import json
import re
from bisect import bisect_right
from collections import Counter
from typing import NamedTuple, Optional

_OF_INTEREST = re.compile(r"loss|epoch|eval", re.IGNORECASE)
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # colours
_NUMBER = r"[-+]?(?:nan|inf(?:inity)?|(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)(?![\w%])(?![.,]\d)"
_PAIR = re.compile(
    r"(?<![\w/.@-])(?P<key>[a-z_][\w/.@-]*)[\"']?(?:\s{0,40}[:=]\s{0,40}|\s{1,40})[\[(]{0,2}(?P<value>" + _NUMBER + ")",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")  # of snake_case, CamelCase and paths
_WORD_BEFORE = re.compile(r"(?<!\w)([a-z]\w*)\s{1,40}$", re.IGNORECASE)
_PHASE = re.compile(
    r"(?<!\w)(?:(?P<train>train|training)|val|valid|validate|validation|validating|eval|evaluate|evaluation|evaluating"
    r"|test|testing|dev|predict|infer)(?!\w)",
    re.IGNORECASE,
)
_EVAL_BEGINS, _EVAL_ENDS = re.compile(r"\W*Eval begin"), re.compile(r"\W*(Eval samples|Epoch)\b")
_EPOCH = re.compile(r"(?<![a-z])epoch(?:_?(?:id|idx))?\W{1,6}(\d{1,9})(?!\.?\d)(?:\s{0,4}/\s{0,4}\d+)?", re.IGNORECASE)
_EPOCH_BEGINS = re.compile(r"[^a-z]*(?:info[^a-z]*)?epoch\b", re.IGNORECASE)  # a line of its own before its steps
_COUNT = r"\W{1,6}(\d{1,12})(?!\.?\d)(?:\s{0,4}/\s{0,4}(\d{1,12}))?"
_STEPS = (
    re.compile(r"(?<![a-z_])(?:(?:global|train|training|cur)[ _]?)?(?:iters?|iteration|step)" + _COUNT, re.IGNORECASE),
    re.compile(r"(?<![a-z_])batch(?:_?(?:id|idx))?" + _COUNT, re.IGNORECASE),
    re.compile(r"(?:^|[\[(|])\s{0,8}(\d{1,12})\s{0,4}/\s{0,4}(\d{1,12})\s{0,8}[\])\[]"),
)
# words of the key beside `loss` that leave it the total, and those that may stand before it: all others make it a part
_TOTAL = {"total", "sum"}
_MEAN = {"avg", "average", "mean", "overall", "running"}
_TRAIN = {"train", "training"}
_OF_THE_TOTAL = {*_TOTAL, *_MEAN, *_TRAIN, "batch", "current", "step", "iter", "epoch"}
_UNITS = {"s", "sec", "secs", "seconds", "ms", "it", "images", "samples", "mb", "gb"}
_MAY_STAND_BEFORE = {*_OF_THE_TOTAL, *_UNITS, "the", "and", "info", "debug"}
_JSON_MODES = ("mode", "phase", "split", "stage")
_JSON_STEPS = ("global_step", "step", "iter", "iteration")
_EVALUATION = "losses of an evaluation"


class Place(NamedTuple):
    """What a line tells of its epoch, its step and how many steps there are; None for each that it does not tell."""

    epoch: Optional[int]
    step: Optional[int]
    steps: Optional[int]


class Row(NamedTuple):
    """A line of a log: its place, whether it names the training, and its total losses, {"total_loss", "loss" or
    "mean_loss": value}, which are none for most lines.
    """

    place: Place
    is_train: bool
    losses: dict


class ForeignLog(NamedTuple):
    """`points`: [(iteration, loss)] in order; `others`: what was found of losses that are not read, in words."""

    points: list
    others: list


def read_foreign_log(lines):
    """The `ForeignLog` in the lines of a log; of equal iterations, which a resumed run writes, the last counts."""
    others = {}  # as a set that keeps the order
    rows = _in_one_form(list(_rows_with_loss(lines, others)))
    names = Counter(name for row in rows for name in row.losses)
    if not names:
        return ForeignLog([], list(others))
    # one loss for the whole log: the most frequent, and the total where all lines have several
    name = max(("total_loss", "loss", "mean_loss"), key=lambda name: names[name])
    rows = [row for row in rows if name in row.losses]
    points = dict(zip(iterations([row.place for row in rows]), (row.losses[name] for row in rows)))
    return ForeignLog(sorted(points.items()), list(others))


def is_evaluation(text, end):
    """Whether the last word in text[:end] that names a phase of the work, if any, names another one than training."""
    phases = list(_PHASE.finditer(text, 0, end))
    return bool(phases) and not phases[-1]["train"]


# -------------------------------------------------------------------------------------------------- lines of losses


def _rows_with_loss(lines, others):
    epoch, evaluating = None, False
    for line in lines:
        if not _OF_INTEREST.search(line):
            continue
        line = _ESCAPE.sub("", line)
        if _EVAL_BEGINS.match(line):
            evaluating = True
        elif _EVAL_ENDS.match(line):
            evaluating = False
        row = _json_row(line, others) or _text_row(line, others)
        if row.losses and evaluating:
            others[_EVALUATION] = True
        elif row.losses:
            yield row if row.place.epoch is not None else row._replace(place=row.place._replace(epoch=epoch))
        elif row.place.epoch is not None and _EPOCH_BEGINS.match(line):
            epoch = row.place.epoch


def _text_row(line, others):
    losses, is_train = {}, False
    phases = [(phase.end(), bool(phase["train"])) for phase in _PHASE.finditer(line)]
    pairs = [pair for pair in _PAIR.finditer(line) if "loss" in pair["key"].lower()]
    for pair in pairs:
        start = pair.start()
        before = _WORD_BEFORE.search(line, max(0, start - 80), start)
        phase = bisect_right(phases, (start, True))  # how many there are before
        if phase and not phases[phase - 1][1]:
            others[_EVALUATION] = True
        elif name := _name_of(pair["key"], before and before[1].lower()):
            losses.setdefault(name, float(pair["value"]))
            is_train = is_train or phase > 0 or bool(_TRAIN & _words(pair["key"]))
        else:
            others[line[before.start() if before else start : pair.end("key")]] = True
    return Row(place_of(line), is_train, losses)


def _json_row(line, others):
    """The row of a line that is a JSON object; None for another line."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    mode = next((entry[key] for key in _JSON_MODES if isinstance(entry.get(key), str)), "")
    losses = {}
    for key, value in entry.items():
        number = _json_number(value)
        if number is None or "loss" not in key.lower():
            continue
        if is_evaluation(mode, len(mode)):
            others[_EVALUATION] = True
        elif name := _name_of(key):
            losses.setdefault(name, number)
        else:
            others[key] = True
    step = next((entry[key] for key in _JSON_STEPS if _is_count(entry.get(key))), None)
    epoch = entry.get("epoch") if _is_count(entry.get("epoch")) else None
    return Row(Place(epoch, step, None), bool(_PHASE.search(mode)), losses)


def _json_number(value):
    """The number that a JSON value is, in a text or a list of one too; None for others."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    match = re.fullmatch(_NUMBER, str(value), re.IGNORECASE)
    return float(str(value)) if match else None


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12


def _words(key):
    return {word.lower() for word in _WORDS.findall(key)}


def _name_of(key, before=None):
    """ "total_loss", "loss" or "mean_loss" for a key of the total with the word before it; None for a part's key."""
    words = _words(key)
    if "loss" not in words or not words - {"loss"} <= _OF_THE_TOTAL or (before and before not in _MAY_STAND_BEFORE):
        return None
    words.add(before)
    return "total_loss" if words & _TOTAL else "mean_loss" if words & _MEAN else "loss"


def place_of(line):
    """The `Place` of a line of text."""
    epoch = _EPOCH.search(line)
    rest = line[: epoch.start()] + line[epoch.end() :] if epoch else line
    found = next(filter(None, (pattern.search(rest) for pattern in _STEPS)), None)
    step, steps = found.groups() if found else (None, None)
    return Place(*(None if text is None else int(text) for text in (epoch and epoch[1], step, steps)))


# ------------------------------------------------------------------------------------------------ the rows together


def _in_one_form(rows):
    """Without the rows of another form: sums of an epoch, and what a log that names the training does not name so."""
    if any(row.place.step is not None for row in rows):
        rows = [row for row in rows if row.place.step is not None]
    if any(row.is_train for row in rows):
        rows = [row for row in rows if row.is_train]
    return rows


def iterations(places):
    """The iteration of each line, from 1 on: its step, or that and the steps of the epochs before; else its number."""
    if any(place.step is None for place in places):
        return range(1, len(places) + 1)
    steps = [place.step for place in places]
    from_0 = int(min(steps) == 0)
    epochs = [place.epoch for place in places]
    if None in epochs:  # a step that falls begins an epoch
        epochs = [1]
        for former, step in zip(steps, steps[1:]):
            epochs.append(epochs[-1] + (step < former))
    moves = list(zip(zip(epochs, steps), zip(epochs[1:], steps[1:])))
    if not any(epoch > former[0] and step <= former[1] for former, (epoch, step) in moves):
        return [step + from_0 for step in steps]  # the steps of an epoch go on where those of the former ended
    length = max(max(steps) + from_0, *(place.steps or 0 for place in places))
    first = min(1, *epochs)
    return [(epoch - first) * length + step + from_0 for epoch, step in zip(epochs, steps)]
