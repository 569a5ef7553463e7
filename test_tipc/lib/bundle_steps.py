"""The steps of a bundle: how each ended, and the command and the times that the head of its log has (see record.sh)."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

from log_head import read_head
from step_figures import FIGURES, INT8, engines, figure, titles
from steps import BEGAN, PASSED

_NUMBER = re.compile(r"\b([A-Za-z][\w@]*)\"?[:=\s]\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)(?![\w.]*\w)")
_LOSS = re.compile(r"loss: (\S+) at first, (\S+) at last, over (\d+) iterations")


def describe(steps, names, began):
    """The `steps` of a bundle; `names` maps the paths of logs to names in the bundle, `began` is that of `began_at`."""
    found, seen = [], {""}
    for step, title in zip(steps, titles(steps)):
        # a server's log is that of the step that ends it, too, and its head is of the first
        head = {} if step.log in seen else read_head(step.log)
        found.append(_describe(step, title, names, head, began.get((step.tag, step.name))))
        seen.add(step.log)
    return found


def began_at(path):
    """{(tag, name): when the step began, in ISO 8601} of those in a steps.tsv that say it."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
        cells = line.split("\t")
        if len(cells) > 4 and cells[2] == BEGAN and (match := re.search(r"(?:^| )started=(\S+)", cells[4])):
            found[cells[0], cells[1]] = match[1]
    return found


def _describe(step, title, names, head, began):
    started = moment(began or head.get("started", ""))
    ended = started and started + timedelta(seconds=step.seconds)
    return {
        "name": step.name,
        "title": title,
        "tag": step.tag,
        "result": step.result,
        "reason": step.reason,
        "seconds": step.seconds,
        "started": written(started),
        "ended": written(ended),
        "command": head.get("command"),
        "folder": head.get("folder"),
        "log": names.get(step.log) if step.log else None,
        "facts": dict(step.facts),
        "figure": figure(step),
        "engines": engines(step),
    }


def flags_of(steps):
    """{variable: value} that single steps were given, as the heads of their logs say."""
    found = {}
    for step in steps:
        said = read_head(step.log).get("environment")
        found.update([said.split("=", 1)] if said and "=" in said else [])
    return found


def moment(text):
    """A `datetime`, with the offset of this machine where the text has none; None for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.astimezone()


def written(time):
    """ISO 8601 with the offset, to the second."""
    return time and time.replace(microsecond=0).isoformat()


def span(described):
    """(started, ended) of a run: the first and the last time of its steps."""
    times = [(step["started"], step["ended"]) for step in described if step["started"]]
    if not times:
        return None, None
    ends = [end for _, end in times if end]
    by_time = datetime.fromisoformat
    return min((start for start, _ in times), key=by_time), max(ends, key=by_time) if ends else None


def figures(steps, folder, tag):
    """Figures of the steps of a tag: {agree, agree_observed, converge, evaluate, ...}, as far as they are known."""
    found = {}
    for step in steps:
        log = Path(step.log) if step.log else None
        if step.tag != tag or step.result != PASSED or not log or not log.is_file():
            continue
        text = log.read_text(encoding="utf-8", errors="replace")
        if step.kind == "evaluate":
            found["evaluate"] = _evaluated(text)
        elif step.kind == "converge" and (match := _LOSS.search(text)):
            found["converge"] = {"first": _float(match[1]), "last": _float(match[2]), "iterations": int(match[3])}
        elif step.kind == "train" and (match := re.search(r"[\d.]+", figure(step))):
            found["train"] = {"loss": _float(match[0])}
        elif step.kind == "agree" and (content := saved_by(step)) is not None:
            found[_key(step)] = content
        elif step.name == "agree int8":
            found[_key(step)] = {name: _float(number) for name, number in INT8.findall(text)}
    return found


def _key(step):
    """`agree_observed` of the step "agree observed"; `agree` of that of a device or client, "agree cpu"."""
    return re.sub(r"\W+", "_", step.name.removesuffix(f" {step.tag}") if step.tag else step.name)


def saved_by(step):
    """The content of the JSON file that the step's command wrote with --save; None where there is none."""
    path = saved_file(step)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError, RecursionError):
        return None


def saved_file(step):
    """The path of that file: beside the log, with its name."""
    path = Path(step.log).with_suffix(".json") if step.log else None
    return path if path and path.is_file() else None


def _evaluated(text):
    """{name: number} of the last line with a figure of an evaluation."""
    lines = [line for line in text.splitlines() if not line.startswith("# ") and FIGURES["evaluate"].search(line)]
    return {name: _float(number) for name, number in _NUMBER.findall(lines[-1])} if lines else {}


def _float(text):
    try:
        return float(text)
    except ValueError:
        return None
