"""Say what of this machine gets in the way of the chains, and what to do about it. doctor.sh calls it.

    python test_tipc/lib/examine.py --bash "$BASH_VERSION"

Runs on Python 3.6 and newer, changes nothing, and asks no server without --network.
Exit code: 0 no fault, 1 a fault.
"""

import argparse
import json

import doctor.gpu
import doctor.machine
import doctor.net
import doctor.packages
import doctor.pythons
import doctor.shell  # noqa: F401 registers its checks, as the others do
from doctor.around import Around
from doctor.registry import CHECKS, FAULT, LEVELS, OK, fault
from script import ROOT, counted, run_main

WIDTH = 20  # of the names of the checks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bash", default="", help="the version of the shell that asks")
    parser.add_argument("--project", default=str(ROOT), help="the folder that holds test_tipc/")
    parser.add_argument("--network", action="store_true", help="ask the package index, too")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    args = parser.parse_args()
    found = examine(Around(args.project, bash=args.bash, network=args.network))
    if args.json:
        counts = {level: sum(one.level == level for one in found) for level in LEVELS}
        print(json.dumps({"findings": [one._asdict() for one in found], **counts}, indent=1, ensure_ascii=False))
    else:
        for one in found:
            print(text_of(one))
        print(summary(found))
    return 1 if any(one.level == FAULT for one in found) else 0


def examine(around, checks=None):
    """The findings of the checks; one that cannot be made says so, and does not end the others."""
    found = []
    for check in CHECKS if checks is None else checks:
        try:
            found += list(check(around))
        except Exception as error:  # a strange machine must not hide what the other checks find
            name = check.__name__.replace("_", " ")
            found.append(fault(name, f"{type(error).__name__}: {error}", "this check could not be made"))
    return found


def text_of(one):
    """`NOTE   numpy               2.4.6: paddle.flops stops with it; do: pip install …`"""
    words = f"{one.level:6} {one.check:{WIDTH}} {one.found}"
    words += ": " + one.means if one.means else ""
    return words + ("; do: " + one.remedy if one.remedy else "")


def summary(found):
    red = [one for one in found if one.level != OK]
    words = counted(len(found), "check")
    if not red:
        return f"{words}, nothing in the way"
    words += ": " + ", ".join(f"{sum(one.level == level for one in found)} {level}" for level in LEVELS)
    faults = [one.check for one in red if one.level == FAULT]
    return words + (f" ({', '.join(faults)})" if faults else "")


if __name__ == "__main__":
    run_main(main)
