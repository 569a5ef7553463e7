"""Are the figures in the logs of a run what its config expects?

    python test_tipc/lib/expected.py test_tipc/output/small/whole_infer/provided_eval.log \\
        --figure top1 0.99444+-0.003 test_tipc/configs/small/train_infer_python.txt:52
    python test_tipc/lib/expected.py test_tipc/output/small/whole_infer/python_infer_cpu_*.log \\
        --speedup 'speedup(usemkldnn_True/usemkldnn_False)' '>=1' test_tipc/configs/small/train_infer_python.txt:53

--figure: the figure that was printed last under that name, in each log. --speedup: every pair of logs whose settings
differ in the named one only; the time of inference is that of the summary of times and memory (AutoLog's lines), and
both logs are of the same images. It is a ratio, because a time is that of one machine.
Exit code: 0 all is as expected, 1 something is not (one line: what was found, what was expected, and where that is
written), 77 there is no pair to compare (a setting was skipped here).
"""

import argparse
import math
import re
from pathlib import Path
from typing import NamedTuple

from figures import find_figure, read_lines
from script import UserError, run_main

SKIPPED = 77
_RULE = re.compile(r"(?P<middle>[^<>=±]+?)(?:±|\+-)(?P<tolerance>.+)|(?P<side>[<>]=)(?P<limit>.+)")
_SPEEDUP = re.compile(r"speedup\((\w+)/(\w+)\)")
_ROUNDING = 1e-9  # of the sums here


class Rule(NamedTuple):
    """The numbers that are allowed, both included, and the text that says so."""

    least: float
    most: float
    text: str

    def holds(self, number):
        """Whether the number is allowed; nan never is."""
        return self.least - _ROUNDING <= number <= self.most + _ROUNDING


def parse_rule(text):
    """The `Rule` that `0.9+-0.01`, `0.9±0.01`, `>=0.9` or `<=0.9` is; UserError for anything else."""
    match = _RULE.fullmatch(text)
    try:
        if match and match["side"]:
            limit = _finite(match["limit"])
            return Rule(limit, math.inf, text) if match["side"] == ">=" else Rule(-math.inf, limit, text)
        if match and _finite(match["tolerance"]) >= 0:
            middle, tolerance = _finite(match["middle"]), _finite(match["tolerance"])
            return Rule(middle - tolerance, middle + tolerance, text)
    except ValueError:
        pass
    raise UserError(f"expected NUMBER+-TOLERANCE, >=NUMBER or <=NUMBER, found {text!r:.80}")


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def check_figure(log, name, rule, place):
    """Print what was found; UserError where it is not there, or not as expected."""
    found, rule = find_figure(read_lines(log), name), parse_rule(rule)
    expected = f"expected {rule.text} ({place})"
    if found is None:
        raise UserError(f"{log}: there is no {name} in it; {expected}")
    if not rule.holds(found):
        raise UserError(f"{log}: {name} is {found:g}; {expected}")
    print(f"expected: {name} {found:g} is as expected, {rule.text} ({place})")


def check_speedup(logs, name, rule, place):
    """Print the ratio of each pair; UserError for one that is not as expected. Returns whether there was a pair."""
    rule = parse_rule(rule)
    fast, slow = _SPEEDUP.fullmatch(name).groups()
    pairs = [(log, partner_of(log, fast, slow)) for log in logs if fast in settings_of(log)]
    pairs = [(log, partner) for log, partner in pairs if partner in logs]
    for log, partner in pairs:
        ratio = time_of(partner) / time_of(log)
        between = f"{log.name} is {ratio:.2f} times as fast as {partner.name}"
        if not rule.holds(ratio):
            raise UserError(f"{name}: {between}; expected {rule.text} ({place})")
        print(f"expected: {name}: {between}, as expected, {rule.text} ({place})")
    return bool(pairs)


def settings_of(log):
    """{`usemkldnn_True`, `threads_1`, ...} of the name of an inference's log."""
    words = log.stem.split("_")
    return {f"{name}_{value}" for name, value in zip(words, words[1:])}


def partner_of(log, fast, slow):
    """The log of the same settings, with `slow` in the place of `fast`."""
    return log.with_name(re.sub(rf"(?<=_){re.escape(fast)}(?=[_.])", slow, log.name))


def time_of(log):
    """Seconds of inference of all images; UserError where the log has no summary of times."""
    lines = read_lines(log)
    mean, count = find_figure(lines, "inference_time(ms)"), find_figure(lines, "data_num")
    if not mean or not count or not math.isfinite(mean * count):
        raise UserError(f"{log}: expected the summary of times and memory, found no inference_time(ms) and data_num")
    return mean * count / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, nargs="+", metavar="LOG")
    for option in ("--figure", "--speedup"):
        parser.add_argument(option, nargs=3, action="append", default=[], metavar=("NAME", "RULE", "PLACE"))
    args = parser.parse_args()
    for log in args.logs:
        for figure in args.figure:
            check_figure(log, *figure)
    found = [check_speedup(args.logs, *speedup) for speedup in args.speedup]
    if found and not any(found):
        names = ", ".join(name for name, _, _ in args.speedup)
        print(f"no two inferences that passed are a pair of {names}")
        return SKIPPED
    return 0


if __name__ == "__main__":
    run_main(main)
