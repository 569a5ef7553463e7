"""Read back `steps.tsv`, where a chain records each step as it ends (see record.sh)."""

import re

from script import UserError

COLUMNS = ("tag", "name", "result", "seconds", "log", "reason")


def read_steps(path):
    """The recorded steps in the order in which they ended, each a dict of COLUMNS; none where there is no file."""
    if not path.is_file():
        return []
    steps = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
        if line:
            steps.append(dict(zip(COLUMNS, line.split("\t"))))
            if line.count("\t") + 1 != len(COLUMNS) or not re.fullmatch(r"[\d.]+", steps[-1]["seconds"]):
                raise UserError(f"{path}:{number}: expected {', '.join(COLUMNS)} between tabs, found {line!r:.80}")
    return steps


def kind(step):
    """The first word of a step's name: `infer` of `infer cpu usemkldnn_True_…`."""
    return step["name"].split(" ")[0]
