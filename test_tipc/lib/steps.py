"""Read back `steps.tsv`, where a chain notes that each step began, and then how it ended (see record.sh)."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from script import UserError

PASSED, FAILED, SKIPPED, NOT_RUN, BEGAN = RESULTS = ("passed", "failed", "skipped", "not run", "began")
_COLUMNS = ("tag", "name", "result", "seconds", "facts", "log", "reason")


class Step(NamedTuple):
    """One step of a chain, as the last line about it says.

    `tag` names the training (or the device of a service) that it belongs to, "" where it belongs to all of them.
    `result` is one of RESULTS; what began and did not end is BEGAN. `facts` maps a kind of input or result
    ("inputs", "commit", "weights", "model") to the hash that the step saw. `log` is a path, or "".
    """

    tag: str
    name: str
    result: str
    seconds: float = 0.0
    facts: Mapping = MappingProxyType({})
    log: str = ""
    reason: str = ""

    @property
    def kind(self):
        """The first word of the name: `infer` of `infer cpu usemkldnn_True_…`."""
        return self.name.split(" ")[0]

    @property
    def ran(self):
        """Whether the step was begun, however it ended."""
        return self.result in (PASSED, FAILED, BEGAN)


def read_steps(path):
    """The `Step`s recorded in the file at `path`, in the order in which they ended; none where there is no file.

    The last line about a step counts. UserError names a line that is not a record.
    """
    if not path.is_file():
        return []
    steps = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
        if line:
            step = _parse(line)
            if step is None:
                raise UserError(f"{path}:{number}: expected {', '.join(_COLUMNS)} between tabs, found {line!r:.80}")
            steps.pop((step.tag, step.name), None)
            steps[step.tag, step.name] = step
    return list(steps.values())


def _parse(line):
    """The `Step` of one line, None when it is not one."""
    cells = line.split("\t")
    if len(cells) != len(_COLUMNS):
        return None
    tag, name, result, seconds, facts, log, reason = cells
    pairs = [fact.split("=") for fact in facts.split()]
    if result not in RESULTS or not re.fullmatch(r"\d+(\.\d+)?", seconds) or any(len(pair) != 2 for pair in pairs):
        return None
    return Step(tag, name, result, float(seconds), dict(pairs), log, reason)
