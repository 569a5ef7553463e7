"""The head of a step's log, which record.sh writes: lines `# key: value` at its very beginning.

Its keys are command, folder, versions, commit, tool, processor, started, and sometimes environment.
"""

import re

_LINE = re.compile(r"# (?P<key>[a-z]+): (?P<value>.*)")
_LONGEST = 1 << 20  # characters of a line that are read


def head_of(lines):
    """{key: value} of the first lines; what programs print further below, be it the head of another log, is none."""
    found = {}
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\n"))
        if not match:
            break
        found.setdefault(match["key"], match["value"])
    return found


def read_head(path):
    """The same of the file at `path`; {} for no path, and a file that is not there or cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return head_of(iter(lambda: stream.readline(_LONGEST), ""))
    except (OSError, TypeError):
        return {}
