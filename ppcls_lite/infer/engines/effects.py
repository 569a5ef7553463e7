"""What an engine was requested, and what is in effect: Paddle ignores some settings without a word."""

from typing import NamedTuple

from ppcls_lite.utils.errors import UserError

ON, OFF, UNKNOWN = "on", "off", "unknown"


class NotInEffect(UserError):
    """Something that was requested cannot be had here, so nothing was done in its place."""

    status = 77  # the exit code with which test suites skip


class Effect(NamedTuple):
    """One setting: what was requested, what is in effect, and how that is known, or why it differs."""

    name: str
    asked: str
    found: str
    why: str = ""

    def __str__(self):
        text = f"{self.name} {self.found}" if self.asked == self.found else f"{self.name} {self.asked} -> {self.found}"
        return f"{text} ({self.why})" if self.why else text


def word(switch):
    """`on` or `off`."""
    return ON if switch else OFF


def listed(effects):
    """All on one line: `oneDNN on (95 of 96 results); threads 4 -> 2`; an arrow stands where asked and found differ.

    test_tipc/lib/step_figures.py reads it from the logs.
    """
    return "; ".join(map(str, effects))
