"""Find figures by their names in the log of any project: `top1: 0.9`, `mIoU=0.87`, `Acc 0.5`, `"AP": 0.2`."""

import re
from pathlib import Path

from script import UserError

NUMBER = r"[-+]?(?:nan|inf(?:inity)?|(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)(?![\w.]*\w)"
_BAR = re.compile(r"^ *\d+%\|[^|]*\| *\d+/\d+ \[[^\]]*\]")  # of tqdm, which ends without a new line
_OWN = "# ", "expected: "  # what the chain writes around the output of a step, and what expected.py says


class Printed(float):
    """A number as a text has it; `half` is half a unit of its last digit: it may have been rounded by so much.

    A whole number is exact: `20`, but not `8e-05`, as a small number is printed whose further digits are none.
    """

    def __new__(cls, text):
        number = super().__new__(cls, text)
        mantissa, _, exponent = text.lower().partition("e")
        decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
        number.half = 0.5 * 10.0**-decimals if ("." in mantissa or exponent) and abs(decimals) < 40 else 0.0
        return number


def read_lines(path):
    """The lines of a step's own output; UserError where the file cannot be read."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return [_BAR.sub("", line) for line in re.split(r"[\r\n]+", text) if not line.startswith(_OWN)]


def find_figures(lines, name):
    """[`Printed`] that follow the name where it was printed last, `name: 0.1` or `name: [0.1 0.2]`; [] for none."""
    pattern = re.compile(
        rf"(?<![\w.@/-]){re.escape(name)}[\"']?(?:\s{{0,9}}[:=]\s{{0,9}}|\s{{1,9}})"
        rf"(?P<list>\[(?:\s*{NUMBER},?)+\s*\])?(?P<one>[\[(]{{0,2}}{NUMBER})?",
        re.IGNORECASE,
    )
    exact = [match for line in lines for match in pattern.finditer(line) if match[0].startswith(name)]
    found = [match["list"] or match["one"] for match in exact if match["list"] or match["one"]]
    return [Printed(text) for text in re.findall(NUMBER, found[-1], re.IGNORECASE)] if found else []


def find_figure(lines, name):
    """The last `Printed` of the name; None where it was not printed."""
    found = find_figures(lines, name)
    return found[0] if found else None
