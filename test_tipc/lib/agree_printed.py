"""Do two inferences print the same predictions of the same images?

    python test_tipc/lib/agree_printed.py paddle_infer_cpu.log paddle2onnx_infer_cpu.log

Numbers may be off by 1e-4, and by half a unit of the last printed decimal of each. Every image has to be in both logs.
Exit code: 0 they do, 1 they do not, or nothing was printed (one line says what was found and expected).
"""

import argparse
from pathlib import Path

from figures import read_lines
from predictions import difference, read_log
from script import UserError, counted, run_main

LIMIT = 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expected", type=Path, metavar="LOG", help="of the inference with Paddle")
    parser.add_argument("found", type=Path, metavar="LOG", help="of the inference with the ONNX file")
    args = parser.parse_args()
    expected, found = read_log(read_lines(args.expected)), read_log(read_lines(args.found))
    if not expected:
        raise UserError(f"{args.expected}: expected predictions, found none")
    if expected.keys() != found.keys():
        name = sorted(expected.keys() ^ found.keys())[0]
        raise UserError(
            f"{name}: expected in both logs, found in {args.expected if name in expected else args.found} only"
        )
    for name, prediction in expected.items():
        fault = difference(prediction, found[name], LIMIT, 0.0)
        if fault:
            raise UserError(f"{args.found}: {name}: {fault}")
    print(f"printed: the same predictions of {counted(len(expected), 'image')}: agrees")


if __name__ == "__main__":
    run_main(main)
