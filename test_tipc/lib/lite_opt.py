"""Optimise a program for ARM or x86 with Paddle Lite's opt; run with the interpreter that has paddlelite.

    .venv-lite/bin/python test_tipc/lib/lite_opt.py program --target arm --output model_arm.nb

`program` is the folder that lite_program.py wrote. opt ends its process where it cannot go on, so it has one of its
own. Exit code: 0 written and read back, 1 Paddle Lite cannot take the model (one line names the operator), or a file
cannot be used.
"""

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from lite.nb import read_nb
from script import UserError, counted, run_main

TARGETS = ("arm", "x86")
_UNKNOWN = re.compile(r"unsupported ops are: (.*?)\.?$", re.MULTILINE)
_WORK = """
import sys
from paddlelite.lite import Opt
opt = Opt()
opt.set_model_file(sys.argv[1])
opt.set_param_file(sys.argv[2])
opt.set_valid_places(sys.argv[3])
opt.set_model_type("naive_buffer")
opt.set_optimize_out(sys.argv[4])
opt.run()
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="folder with model.pdmodel and model.pdiparams")
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.nb")
    args = parser.parse_args()
    fresh = args.output.with_suffix(".new.nb")
    began = time.monotonic()
    try:
        optimise(args.program, args.target, fresh)
        seconds = time.monotonic() - began
        model = read_nb(fresh)
        if not set(model.targets) <= {args.target}:
            raise UserError(f"{args.output}: opt chose kernels for {', '.join(model.targets)}, not for {args.target}")
        size = fresh.stat().st_size
        fresh.replace(args.output)
    finally:
        fresh.unlink() if fresh.exists() else None
    print(
        f"{args.target}: Paddle Lite {model.version}, {counted(len(model.kernels), 'operator')}, "
        f"{counted(len(model.weights), 'weight')}, {size} bytes, {seconds:.2f} seconds"
    )


def optimise(program, target, output):
    """Write `output` (its suffix is .nb); UserError says why Paddle Lite cannot."""
    files = [program / name for name in ("model.pdmodel", "model.pdiparams")]
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: missing; lite_program.py writes it")
    words = [sys.executable, "-c", _WORK, *map(str, files), target, str(output.with_suffix(""))]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode == 0 and output.is_file():
        return
    unknown = _UNKNOWN.search(done.stdout)
    if unknown:
        raise UserError(f"{files[0]}: Paddle Lite has no operator {unknown[1]} for {target}, which the model needs")
    said = [line.strip() for line in done.stdout.splitlines() if line.strip()] or ["it said nothing"]
    print("\n".join(said))
    raise UserError(f"{files[0]}: Paddle Lite's opt {_ending(done.returncode)} for {target}: {said[-1]:.200}")


def _ending(status):
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit code {status}"


if __name__ == "__main__":
    run_main(main)
