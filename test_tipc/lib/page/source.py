"""Read a bundle for its report: from bundle.json, or of older evidence from summary.json, and the logs.

Everything in a bundle may be damaged or hostile: what is not of the type that is expected counts as missing, and no
file outside the folder is read.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple, Optional

from log_head import read_head
from script import UserError
from steps import BEGAN, PASSED, RESULTS

BUNDLE, SUMMARY = "bundle.json", "summary.json"
LARGEST = 8 << 20  # bytes of a file that are read
# the names that logs have in older evidence, by the first words of the step
_KEPT = {
    "train": "log_train.txt",
    "evaluate": "evaluate.log",
    "predict": "predict_training_engine.log",
    "infer": "predict_inference_engine.log",
    "agree observed": "agree_observed.log",
    "agree": "agree.log",
    "server": "python_server.log",
}
_CHAINS = {
    "serving_infer": "serving",
    "serving_infer_cpp": "serving_infer_cpp",
    "paddle2onnx_infer": "paddle2onnx",
    "lite_arm_cpu_cpp": "lite_arm_cpu_cpp",
    "cpp_infer": "inference_cpp",
}
BASE = "train_inference_python"


class View(NamedTuple):
    """One step as it is shown. `log` is a file in the bundle, or None; `result` is one of `steps.RESULTS`."""

    name: str
    title: str
    tag: str
    result: str
    reason: str
    seconds: float
    figure: str
    command: str
    folder: str
    log: Optional[Path]
    engines: list

    @property
    def kind(self):
        """The first word of the name."""
        return self.name.split(" ")[0]


class Source(NamedTuple):
    """What a report is drawn from. `content` is that of bundle.json, or what older evidence has, in the same form."""

    folder: Path
    root: Path
    content: dict
    steps: list

    @property
    def model(self):
        return text(self.content.get("model")) or "(no name)"

    @property
    def mode(self):
        return text(self.content.get("mode"))

    @property
    def verdict(self):
        return mapping(self.content.get("verdict"))

    @property
    def passed(self):
        return self.verdict.get("passed") is True

    def file(self, name):
        """The path of a file of the bundle; None where there is none, or it lies outside."""
        return inside(self.folder, name)


# ------------------------------------------------------------------------------------------------- values of any type


def mapping(value):
    """`value` where it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value):
    """`value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value):
    """`value` as a text: "" of None, JSON of what is no text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number(value):
    """`value` as a float; nan where it is not a number."""
    return float(value) if type(value) in (int, float) else math.nan


# --------------------------------------------------------------------------------------------------------------- files


def inside(folder, name):
    """The path of the regular file `name` in the folder or below it; None where there is none."""
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
    except (OSError, RuntimeError):  # too long, a circle of links
        return None


def read(path):
    """The text of a file, of a large one its beginning; "" of None and of a file that cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(LARGEST).decode("utf-8", errors="replace")
    except (OSError, TypeError):
        return ""


def read_json(path):
    """The object in a file; UserError where it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON, found something else ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object of JSON, found {type(content).__name__}")
    return content


# ------------------------------------------------------------------------------------------------------------- reading


def read_source(folder, root=None):
    """The `Source` of a folder with bundle.json or summary.json; UserError where it has neither.

    `root` is the folder of the project, where its images are looked for: the working folder unless given.
    """
    folder, root = Path(folder), Path(root or ".")
    if (folder / BUNDLE).is_file():
        content = read_json(folder / BUNDLE)
        steps = [_bundled(folder, step) for step in listing(content.get("steps")) if isinstance(step, dict)]
    elif (folder / SUMMARY).is_file():
        content, steps = _older(folder)
    else:
        raise UserError(f"{folder}: expected {BUNDLE} or {SUMMARY} in it, found neither")
    return Source(folder, root, content, _titled(steps))


def _bundled(folder, step):
    log = inside(folder, step.get("log"))
    return _view(step, log, text(step.get("command")), text(step.get("folder")))


def _view(step, log, command="", place=""):
    seconds, result = number(step.get("seconds")), step.get("result")
    if log and not command:
        found = read_head(log)
        command, place = found.get("command", ""), found.get("folder", "")
    return View(
        name=text(step.get("name")) or "(no name)",
        title="",
        tag=text(step.get("tag")),
        result=result if result in RESULTS else BEGAN,
        reason=text(step.get("reason")),
        seconds=seconds if math.isfinite(seconds) else 0.0,
        figure=text(step.get("figure")),
        command=command,
        folder=place,
        log=log,
        engines=[one for one in listing(step.get("engines")) if isinstance(one, dict)],
    )


def _titled(steps):
    """The steps with their titles: the tag is in it where several trainings, or devices, have a step of that name."""
    names = Counter(view.name for view in steps)
    return [
        view._replace(title=f"{view.name} ({view.tag})" if names[view.name] > 1 and view.tag else view.name)
        for view in steps
    ]


def _older(folder):
    """(content, steps) of a folder without bundle.json."""
    summary = read_json(folder / SUMMARY)
    entries = [step for step in listing(summary.get("steps")) if isinstance(step, dict)]
    tags = list(dict.fromkeys(text(step.get("tag")) for step in entries if step.get("result") == PASSED))
    own = folder.name if folder.name in tags else next(filter(None, tags), "")
    kept = _kept_logs(folder, entries, own)
    steps = [_view(step, kept.get(text(step.get("log")))) for step in entries]
    first = next((read_head(step.log) for step in steps if step.log and step.log.suffix == ".log"), {})
    mode = text(summary.get("mode"))
    content = {
        "model": summary.get("model") or folder.name,
        "mode": mode,
        "chain": _CHAINS.get(mode, BASE),
        "verdict": {
            "passed": summary.get("passed"),
            "compared": summary.get("compared"),
            "whole": summary.get("whole"),
            "sentence": summary.get("verdict"),
        },
        "project": _commit(summary.get("commit")),
        "tool": {"words": summary.get("tool")},
        "versions": dict(part.rsplit(" ", 1) for part in text(summary.get("versions")).split(", ") if " " in part),
        "started": first.get("started"),
        "machine": {"processor": first.get("processor")},
    }
    return content, steps


def _kept_logs(folder, entries, own):
    """{log of a step: the file that holds it}: under its own name, or under that which older evidence has for its kind.

    Of several inferences, older evidence has the log that is first by its name.
    """
    kept, renamed = {}, {}
    for step in entries:
        path, name = text(step.get("log")), text(step.get("name"))
        if found := path and inside(folder, Path(path).name):
            kept[path] = found
        elif path and text(step.get("tag")) in ("", own):
            kind = next((kind for kind in _KEPT if name == kind or name.startswith(f"{kind} ")), None)
            renamed.setdefault(kind, []).append(path)
    for kind, paths in renamed.items():
        if found := kind and inside(folder, _KEPT[kind]):
            kept[min(paths)] = found
    return kept


def _commit(words):
    match = re.match(r"([0-9a-f]{7,40})\b(.*)", text(words))
    return {"commit": match[1], "clean": "clean" in match[2]} if match else None
