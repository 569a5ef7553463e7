"""The differences between engines that the comparing steps of a bundle found, by the stage where they would begin."""

import math
import re
from typing import NamedTuple, Optional

from figures import read_lines
from verdict import SERVING, SERVING_CPP

STAGES = ("preprocessing", "network", "engine", "service")
# `strict: largest difference 0 (bitwise equality required), …: agrees`, `network: bitwise equal for 32 images: agrees`
_LINE = re.compile(r"^(?P<name>[A-Za-z][^:]{0,120}): (?P<found>.*(?:largest difference|bitwise equal).*)$")
_LARGEST = re.compile(r"largest difference (?P<number>[-+.\dA-Za-z]+)")
_ALLOWED = re.compile(r"at most (?P<number>[-+.\deE]+) allowed")
_CLAUSE = re.compile(r"largest difference [^\s,]+(?: \([^)]*\))?,? ?|(?::? agrees)$")


class Difference(NamedTuple):
    """One comparison: `largest` is 0 for equality bit by bit, nan where it is not a number; `allowed` is None where
    nothing is said. `words` is what the step printed beside these.
    """

    stage: str
    name: str
    largest: Optional[float]
    allowed: Optional[float]
    agrees: bool
    words: str


def read_differences(source):
    """[Difference] of the logs of all comparing steps, in the order of the stages."""
    found = []
    for view in source.steps:
        if view.kind == "agree" and view.log:
            lines = read_lines(view.log)
            found += [one for one in (_difference(line, source.mode) for line in lines) if one]
    return sorted(found, key=lambda one: STAGES.index(one.stage))


def _difference(line, mode):
    match = _LINE.match(line)
    if not match:
        return None
    largest, allowed = _LARGEST.search(match["found"]), _ALLOWED.search(match["found"])
    if largest:
        value = _number(largest["number"])
    elif "bitwise equal" in match["found"]:
        value = 0.0
    else:
        return None
    if "bitwise equality" in match["found"]:
        limit = 0.0
    else:
        limit = _number(allowed["number"]) if allowed else None
    name = match["name"]
    agrees = ": agrees" in line and "DISAGREES" not in line
    beside = _CLAUSE.sub("", match["found"]).strip(" ,")
    return Difference(_stage(name, mode), name, value, limit, agrees, beside)


def _stage(name, mode):
    if mode in (SERVING, SERVING_CPP):
        return "service"
    first = name.split(" ")[0]
    if first in STAGES:
        return first
    return "network" if first == "strict" else "engine"


def _number(words):
    try:
        return float(words)
    except ValueError:
        return math.nan
