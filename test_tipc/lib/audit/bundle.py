"""A bundle as it lies there: bundle.json, and the files beside it. See docs/bundle.md for what each of them is."""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Optional

from audit import schema
from audit.reading import MOST_BYTES, is_safe_name, read_json, read_text
from bundle_lineage import FILE, read_lines
from figures import find_figure
from log_head import head_of
from script import UserError
from steps import PASSED, read_steps

NAME = "bundle.json"
FORMAT = 1
NOT_LISTED = {NAME, "report.html", "report.md", "index.html", "summary.txt"}
_NOT_PRINTED = "# ", "expected: "  # by the step's program
_END = re.compile(r"^# ended: exit code (?P<code>\d+), (?P<seconds>\d+\.\d+) seconds$")


class StepLog(NamedTuple):
    """A step's log: its head as {key: value}, how it ended, and its lines."""

    head: dict
    code: Optional[int]
    seconds: Optional[float]
    lines: list


class Bundle:
    """A folder with a bundle.json. `hashes` is shared by all bundles of a run; `repository` is the folder of the
    project that it belongs to, None where there is none. `label` names it in the report."""

    def __init__(self, folder, hashes, repository=None, label=None, allow_stale=False):
        self.folder, self.hashes, self.repository = Path(folder), hashes, repository
        self.label, self.allow_stale = label or str(folder), allow_stale
        self._logs, self._contents, self._paths = {}, {}, {}
        self.predicted, self.pairs = {}, None  # what `predicted` has read, and `answers` compared

    @cached_property
    def content(self):
        """bundle.json, of the known format; UserError for anything else."""
        content = read_json(self.folder / NAME)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else type(content).__name__
            raise UserError(f"{NAME}: expected format {FORMAT}, found {found!r:.40}")
        faults = schema.faults_of(content, schema.BUNDLE)
        if faults:
            raise UserError(f"{NAME}: {'; '.join(faults[:4])}")
        return content

    def __getitem__(self, key):
        return self.content[key]

    @property
    def model(self):
        return self["model"]

    @property
    def mode(self):
        return self["mode"]

    # ------------------------------------------------------------------------------------------------------- files

    def path(self, name):
        """The path of a file that the bundle lists; UserError for one that it does not, or that is not in it."""
        if name not in self._paths:
            self._paths[name] = self._checked_path(name)
        return self._paths[name]

    def _checked_path(self, name):
        if name not in self["files"]:
            raise UserError(f"{name:.80}: expected in the bundle, not there")
        path = self.folder / name
        if not is_safe_name(name) or self.leads_out(path):
            raise UserError(f"{name:.80}: expected a file of the bundle, found a path that leads out of it")
        if not path.is_file():  # nor a pipe, which would be waited for
            raise UserError(f"{name}: expected a regular file of the bundle, found none")
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{name}: expected at most {MOST_BYTES >> 20} MiB, found {path.stat().st_size >> 20}")
        return path

    @cached_property
    def _inside(self):
        return os.path.join(os.path.realpath(self.folder), "")

    def leads_out(self, path):
        """Whether the path, seen through all links, is not below the folder."""
        return not os.path.realpath(path).startswith(self._inside)

    def text(self, name):
        """The text of a file of the bundle."""
        return read_text(self.path(name))

    def json(self, name):
        """The content of a JSON file of the bundle; it is read once."""
        if name not in self._contents:
            self._contents[name] = read_json(self.path(name))
        return self._contents[name]

    def named(self, name, tag=""):
        """The listed file of that name, in the folder of the training `tag` or not; None where there is none."""
        return next((one for one in (f"{tag}/{name}", name) if one in self["files"]), None)

    def matching(self, pattern):
        """The listed files whose last part the regular expression fits."""
        return [name for name in self["files"] if re.fullmatch(pattern, name.rpartition("/")[2])]

    @property
    def is_output(self):
        """Whether it is the output folder of a run, with its weights and models, and no evidence."""
        return (self.folder / ".began").exists()

    # ------------------------------------------------------------------------------------------------------- steps

    @cached_property
    def recorded(self):
        """The `Step`s of steps.tsv."""
        return read_steps(self.path("steps.tsv"))

    @property
    def own_steps(self):
        """The steps of bundle.json whose files are here: of its tag, or all of a whole run."""
        return [step for step in self["steps"] if not self["tag"] or step["tag"] in (self["tag"], "")]

    def passed(self, kind, tag=None):
        """The own steps of this kind that passed."""
        return [
            step
            for step in self.own_steps
            if step["name"].split(" ")[0] == kind and step["result"] == PASSED and tag in (None, step["tag"])
        ]

    @property
    def trainings(self):
        """The tags of the trainings that passed."""
        return list(dict.fromkeys(step["tag"] for step in self.passed("train")))

    def log_of(self, step):
        """The `StepLog` of a step of bundle.json; UserError where it has none."""
        name = step["log"]
        if not name:
            raise UserError(f"{step['name']}: expected its log in the bundle, found none")
        if name not in self._logs:
            self._logs[name] = parse_log(self.text(name))
        return self._logs[name]

    def local(self, text):
        """A text of a log with the paths of the repository as seen from there."""
        return text.replace(f"{self.repository.resolve()}/", "") if self.repository else text

    @property
    def logs(self):
        """[(step, StepLog)] of the own steps that have one."""
        return [(step, self.log_of(step)) for step in self.own_steps if step["log"]]

    # ------------------------------------------------------------------------------------------ the inputs, the figures

    @property
    def inputs_file(self):
        """The name of the list of all that the run depended on."""
        return (self["inputs"] or {}).get("file") or FILE

    @cached_property
    def input_lines(self):
        """[(path in the project, line)] of that list."""
        return read_lines(self.path(self.inputs_file))

    @cached_property
    def inputs(self):
        """{path in the project: SHA-256} of its files; {} for a bundle without such a list."""
        if self.inputs_file not in self["files"]:
            return {}
        return {path: line[:64] for path, line in self.input_lines if not line.startswith("#")}

    @cached_property
    def _lines_by_top(self):
        found = {}
        for path, line in self.input_lines:
            found.setdefault(path.partition("/")[0], []).append((path, line))
        return found

    def input_lines_of(self, place):
        """Those lines of a file, or of all below a folder; [] for a bundle without a list."""
        if self.inputs_file not in self["files"]:
            return []
        known, below = self._lines_by_top.get(place.partition("/")[0], []), f"{place}/"
        return [(path, line) for path, line in known if path == place or path.startswith(below)]

    def figure(self, step, *names):
        """The last `Printed` of the first of the names that the log of the step has, with that name; (None, None)."""
        lines = [line for line in self.log_of(step).lines if not line.startswith(_NOT_PRINTED)]
        found = ((name, find_figure(lines, name)) for name in names)
        return next(((name, figure) for name, figure in found if figure is not None), (None, None))

    def in_repository(self, path):
        """The file of the repository that a path names; None without a repository, or for a path that leads out."""
        if self.repository is None or not path or not is_safe_name(path):
            return None
        return self.repository / path


def parse_log(text):
    """The `StepLog` of a text."""
    lines = text.split("\n")
    head = head_of(lines)
    body = [line for line in lines if line.strip()]
    end = _END.match(body[-1]) if body else None
    return StepLog(
        head,
        int(end["code"]) if end else None,
        float(end["seconds"]) if end else None,
        lines[len(head) :],
    )
