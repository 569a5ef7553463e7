"""Run an optimised model (.nb) of Paddle Lite on this machine; run with the interpreter that has paddlelite.

    .venv-lite/bin/python test_tipc/lib/lite_run.py model_x86.nb --inputs program/inputs.npz --save outputs.npz

Paddle Lite loads a .nb of another processor without an error and then returns stray memory, so the kernels in the file
are looked at first. The Python interface of Paddle Lite sets no number of threads for a .nb on x86: it is 1.
Exit code: 0 all images computed, 1 the model cannot be run here, or a file cannot be used (one line says why).
"""

import argparse
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lite.nb import read_nb
from lite.samples import read_arrays
from script import UserError, atomic_write, run_main

PROCESSORS = {"x86_64": "x86", "AMD64": "x86", "aarch64": "arm", "arm64": "arm"}
_CHILD = "--child"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the .nb file")
    parser.add_argument("--inputs", type=Path, required=True, metavar="FILE", help="{name: [N, ...]} as .npz")
    parser.add_argument("--batch_size", type=int, default=1, help="images at a time (default: 1)")
    parser.add_argument("--save", type=Path, required=True, metavar="FILE", help="{name: [N, ...]} of the outputs")
    parser.add_argument(_CHILD, action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run(args)
        return
    check_processor(args.model)
    done = subprocess.run([sys.executable, *sys.argv, _CHILD])
    if done.returncode < 0:  # Paddle Lite ends its process where it cannot go on
        raise UserError(f"{args.model}: Paddle Lite was ended by {signal.Signals(-done.returncode).name} (see above)")
    return done.returncode


def check_processor(path):
    """UserError for a damaged file, and for one with kernels that this machine does not have."""
    here = PROCESSORS.get(platform.machine(), platform.machine())
    foreign = [target for target in read_nb(path).targets if target != here]
    if foreign:
        raise UserError(
            f"{path}: optimised for {', '.join(foreign)}; this machine is {here}: Paddle Lite would load it without an "
            "error and return stray memory"
        )


def run(args):
    from paddlelite.lite import MobileConfig, create_paddle_predictor

    inputs = read_arrays(args.inputs)
    config = MobileConfig()
    config.set_model_from_file(str(args.model))
    predictor = create_paddle_predictor(config)
    names = predictor.get_input_names()
    if sorted(names) != sorted(inputs):
        raise UserError(f"{args.inputs}: expected arrays of the inputs {names}, found {sorted(inputs)}")
    outputs, seconds = {}, 0.0
    count = len(inputs[names[0]])
    for first in range(0, count, args.batch_size):
        batch = {name: inputs[name][first : first + args.batch_size] for name in names}
        for name, array in batch.items():
            predictor.get_input_by_name(name).from_numpy(np.ascontiguousarray(array))
        began = time.monotonic()
        predictor.run()
        seconds += time.monotonic() - began
        size = len(batch[names[0]])
        for number, name in enumerate(predictor.get_output_names()):
            outputs.setdefault(name, []).append(_rows(name, predictor.get_output(number).numpy(), size))
    with atomic_write(args.save, "wb") as stream:
        np.savez(stream, **{name: np.concatenate(parts) for name, parts in outputs.items()})
    print(f"ran {count} images, batch size {args.batch_size}, {1000 * seconds / count:.2f} milliseconds per image")


def _rows(name, array, size):
    """An output of a batch as [size, 1, ...]: each image's part, as it is for a batch of one."""
    if array.ndim == 0 or array.shape[0] % size:
        raise UserError(f"the output {name} {list(array.shape)} cannot be split into the {size} images of its batch")
    return np.array(array).reshape(size, array.shape[0] // size, *array.shape[1:])


if __name__ == "__main__":
    run_main(main)
