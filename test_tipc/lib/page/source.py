"""Read a bundle for its report: bundle.json and the logs beside it.

Everything in a bundle may be damaged or hostile: what is not of the type that is expected counts as missing, and no
file outside the folder is read.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple, Optional

from script import UserError
from steps import BEGAN, RESULTS

BUNDLE = "bundle.json"
LARGEST = 8 << 20  # bytes of a file that are read
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
    """What a report is drawn from. `content` is that of bundle.json."""

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
    """The `Source` of a folder with bundle.json; UserError where it has none.

    `root` is the folder of the project, where its images are looked for: the working folder unless given.
    """
    folder, root = Path(folder), Path(root or ".")
    if not (folder / BUNDLE).is_file():
        raise UserError(f"{folder}: expected {BUNDLE} in it, found none")
    content = read_json(folder / BUNDLE)
    steps = [_view(folder, step) for step in listing(content.get("steps")) if isinstance(step, dict)]
    return Source(folder, root, content, _titled(steps))


def _view(folder, step):
    seconds, result = number(step.get("seconds")), step.get("result")
    return View(
        name=text(step.get("name")) or "(no name)",
        title="",
        tag=text(step.get("tag")),
        result=result if result in RESULTS else BEGAN,
        reason=text(step.get("reason")),
        seconds=seconds if math.isfinite(seconds) else 0.0,
        figure=text(step.get("figure")),
        command=text(step.get("command")),
        folder=text(step.get("folder")),
        log=inside(folder, step.get("log")),
        engines=[one for one in listing(step.get("engines")) if isinstance(one, dict)],
    )


def _titled(steps):
    """The steps with their titles: the tag is in it where several trainings, or devices, have a step of that name."""
    names = Counter(view.name for view in steps)
    return [
        view._replace(title=f"{view.name} ({view.tag})" if names[view.name] > 1 and view.tag else view.name)
        for view in steps
    ]
