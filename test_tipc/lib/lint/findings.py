"""A finding, and the registry of the checks that make them."""

import difflib
from typing import NamedTuple, Optional

ERROR, WARNING = LEVELS = ("error", "warning")
CHECKS = []  # functions (Config) -> iterable of Finding, in the order of their registration


class Finding(NamedTuple):
    """Something wrong with a line of a config."""

    line: int  # from 1
    key: str  # of the line; "" where the line has none
    level: str  # one of LEVELS
    check: str  # its kind, in one word
    found: str
    expected: str
    suggestion: str = ""  # what to do, or what was probably meant
    fixed: Optional[str] = None  # the whole line as --fix writes it; None: it is for a person

    def text(self, path):
        """One line: PATH:LINE: level: key: found …; expected …; suggestion [check]"""
        words = f"{path}:{self.line}: {self.level}: {self.key + ': ' if self.key else ''}{self.found}"
        if self.expected:
            words += f"; expected {self.expected}"
        return f"{words}{'; ' + self.suggestion if self.suggestion else ''} [{self.check}]"


def check(function):
    """Register a check."""
    CHECKS.append(function)
    return function


def nearest(word, words, cutoff=0.75):
    """The one of `words` that `word` is probably meant to be; "" where none is near."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=cutoff)
    return found[0] if found else ""


def did_you_mean(word, words, cutoff=0.75):
    """`did you mean X?`, or ""."""
    near = nearest(word, words, cutoff)
    return f"did you mean {near}?" if near else ""
