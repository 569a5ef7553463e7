"""Compare the predictions in the logs of a run with reference predictions, as the official script of this name does.

    python test_tipc/compare_results.py --gt_file=./test_tipc/results/python_*.txt \\
        --log_file=./test_tipc/output/*/whole_infer/python_*.log --atol=1e-3 --rtol=1e-3

Patterns may be in quotes or not. A reference file is python_<model>_<precision>.txt; where there are several, a log is
compared with that of the model whose name one of its folders has, and of the precision in its own name (`False` is
fp32). Every image of the reference must be in the log. A number may be off by atol + rtol * |expected|, and by half
a unit of its last printed decimal.
--update makes the reference file from one log in place of comparing: from that of the training engine, whose scores
have five decimals, of a run in the mode whole_infer:
    python test_tipc/compare_results.py --gt_file=./test_tipc/results/python_small_fp32.txt \\
        --log_file=./test_tipc/output/small/whole_infer/provided_predict.log --update
Exit code: 0 all logs agree, 1 one does not, or there is nothing to compare (one line says what was found and expected).
"""

import argparse
import glob
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from figures import read_lines
from predictions import difference, read_log, read_reference, write_reference
from script import UserError, atomic_write, counted, run_main

PRECISIONS = ("fp32", "fp16", "int8")
_SWITCHES = {"true": "fp16", "false": "fp32", "null": "fp32", "paddle": "fp32"}
_PRECISION = re.compile(r"precision_(?:trt_)?(fp32|fp16|int8|true|false|null|paddle)(?![a-z0-9])", re.IGNORECASE)
_REFERENCE = re.compile(r"(?:[a-z]+_)?(?P<model>.+?)(?:_results)?_(?P<precision>fp32|fp16|int8)")


def main():
    args = parse()
    references, logs = find_files(args.gt_file, "--gt_file", args.update), find_files(args.log_file, "--log_file")
    if args.update:
        return update(references, logs)
    read = {path: read_reference(path) for path in references}
    failures, compared = [], 0
    for log in logs:
        path = reference_of(log, references, args.precision)
        if path is None:
            print(f"{log}: not compared: no reference of its model in {precision_of(log, args.precision)}")
            continue
        compared += 1
        fault = compare(log, read[path], args)
        if fault:
            failures.append(f"The results of {log} and the results of {path} are inconsistent! {fault}")
            print(failures[-1])
        else:
            print(f"Assert allclose passed! The results of {log} and {path} are consistent!")
    if not compared:
        raise UserError(f"--log_file: nothing was compared: {counted(len(logs), 'log')}, none with a reference")
    if failures:
        more = f" ({len(failures)} of {compared} logs)" if len(failures) > 1 else ""
        raise UserError(failures[0] + more)
    return 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gt_file", nargs="+", required=True, metavar="PATTERN", help="reference files")
    parser.add_argument("--log_file", nargs="+", required=True, metavar="PATTERN", help="logs of a run")
    parser.add_argument("--atol", type=float, default=1e-3, help="default: 1e-3")
    parser.add_argument("--rtol", type=float, default=1e-3, help="default: 1e-3")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32",
                        help="of logs whose name does not say it; default: fp32")  # fmt: skip
    parser.add_argument("--update", action="store_true", help="make the reference file from the log")
    args = parser.parse_args()
    for name in ("atol", "rtol"):
        if not 0 <= getattr(args, name) < float("inf"):
            parser.error(f"--{name}: expected a number of 0 or more, found {getattr(args, name)}")
    return args


def find_files(patterns, option, may_be_new=False):
    """The files that fit; UserError where a pattern fits none."""
    found = []
    for pattern in patterns:
        paths = sorted(glob.glob(pattern)) or ([pattern] if may_be_new or Path(pattern).is_file() else [])
        if not paths:
            raise UserError(f"{option}: no file fits {pattern}")
        found += map(Path, paths)
    return list(dict.fromkeys(found))


def precision_of(log, default):
    """The precision that the log's name states."""
    match = _PRECISION.search(log.stem)
    return _SWITCHES.get(match[1].lower(), match[1].lower()) if match else default


def reference_of(log, references, default):
    """The file that a log is compared with; None where there is none. UserError where several fit."""
    precision, fitting = precision_of(log, default), []
    for path in references:
        match = _REFERENCE.fullmatch(path.stem)
        if precision == (match["precision"] if match else default):
            fitting.append((path, match["model"] if match else path.stem))
    named = [path for path, model in fitting if model in log.absolute().parts]
    if len(named) > 1:
        names = ", ".join(str(path) for path in named)
        raise UserError(f"{log}: expected one reference file of {precision}, found {len(named)}: {names}")
    if not named and len(references) == 1:
        named = [path for path, _ in fitting]
    return named[0] if named else None


def compare(log, reference, args):
    """The first difference in words, "" for none."""
    found = read_log(read_lines(log), reference)
    for name, expected in reference.items():
        if name not in found:
            return f"{name}: found no prediction in the log"
        fault = difference(expected, found[name], args.atol, args.rtol)
        if fault:
            return f"{name}: {fault} (atol {args.atol:g}, rtol {args.rtol:g})"
    return ""


def update(references, logs):
    """Write the reference file from the log; UserError unless there is one of each, with predictions."""
    if len(references) != 1 or len(logs) != 1:
        raise UserError(f"--update: expected one --gt_file and one --log_file, found {len(references)}, {len(logs)}")
    ((path,), (log,)) = references, logs
    found = read_log(read_lines(log))
    if not found:
        raise UserError(f"{log}: expected predictions, found none")
    with atomic_write(path) as stream:
        write_reference(stream, found)
    print(f"{path}: {counted(len(found), 'prediction')} of {log}")
    return 0


if __name__ == "__main__":
    run_main(main)
