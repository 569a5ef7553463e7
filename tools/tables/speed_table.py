"""Print the images per second of a training step on a CPU, before and after what makes it faster.

    python tools/tables/speed_table.py MobileNetV3_small_x1_0
    python tools/tables/speed_table.py --measure --rounds 5 --update docs/training_speed.md

Without --measure the table is made of docs/measured/training_speed.json; with it, the networks named (all, by default)
are measured and kept there, each after it is done, so that a stopped measurement goes on where it was; --again measures
those that are kept already.

A step is forward, backward and update of a batch of 8, with 10 classes. Before: one thread, as Paddle comes. After: the
threads that tools/train.py takes, and those with Global.to_static. All take turns in one process, a step each; the
fastest of the rounds counts, since other processes can only make a step slower.
Exit code: 0, or 1 for an unknown network or a file that cannot be used.
"""

import argparse
import ctypes
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, quick_import, run_main
from ppcls_lite.utils.files import REPO, atomic_write, show_block
from ppcls_lite.utils.machine import describe, use_cores

MEASURED = REPO / "docs/measured/training_speed.json"
BEGIN, END = "<!-- speed table: begin -->", "<!-- speed table: end -->"
SIZES = (128, 224)
BATCH, CLASSES = 8, 10
BEFORE, THREADS, STATIC = "before", "threads", "static"
_HEAD = [f"{setting}, {size} px" for size in SIZES for setting in ("before", "threads", "with `to_static`")]


class Stepper:
    """Steps of a training of the network `name` with images of `size` pixels."""

    def __init__(self, name, size, threads):
        import paddle

        from ppcls_lite.arch.registry import build_model

        self.paddle, self.threads = paddle, {BEFORE: 1, THREADS: threads, STATIC: threads}
        paddle.seed(0)
        self.model = build_model(name, class_num=CLASSES)
        self.static = paddle.jit.to_static(build_model(name, class_num=CLASSES))
        self.images = paddle.randn([BATCH, 3, size, size])
        self.labels = paddle.arange(BATCH) % CLASSES
        self.optimizers = {
            network: paddle.optimizer.Momentum(0.001, 0.9, parameters=network.parameters(), weight_decay=2e-5)
            for network in (self.model, self.static)
        }
        (library,) = Path(paddle.__file__).parent.glob("libs/libmklml_*.so")
        self.mkl = ctypes.CDLL(str(library))

    def seconds(self, setting):
        """One step."""
        self.mkl.MKL_Set_Num_Threads(self.threads[setting])
        network = self.static if setting == STATIC else self.model
        began = time.perf_counter()
        loss = self.paddle.nn.functional.cross_entropy(network(self.images), self.labels)
        loss.backward()
        self.optimizers[network].step()
        self.optimizers[network].clear_grad()
        return time.perf_counter() - began


def measure(name, size, rounds, threads):
    """{setting: images per second} of the fastest of `rounds` steps; one more of each warms up."""
    stepper = Stepper(name, size, threads)
    taken = [{setting: stepper.seconds(setting) for setting in (BEFORE, THREADS, STATIC)} for _ in range(rounds + 1)]
    return {setting: round(BATCH / min(one[setting] for one in taken[1:]), 2) for setting in taken[0]}


def measure_all(names, rounds, again):
    """Measure what is not kept yet, and keep each network at once."""
    threads = int(use_cores())
    with quick_import():
        import paddle
    measured = kept() if MEASURED.is_file() else {"networks": {}}
    for name in names:
        if name in measured["networks"] and not again:
            continue
        measured["networks"][name] = {str(size): measure(name, size, rounds, threads) for size in SIZES}
        machine = describe()
        measured["where"] = f"{machine['cpu']}, {machine['cores']} cores, Paddle {paddle.__version__}"
        measured["threads"] = threads
        print(name, measured["networks"][name], file=sys.stderr)
        with atomic_write(MEASURED) as stream:
            stream.write(json.dumps(measured, indent=2) + "\n")


def kept():
    """The figures that --measure kept; UserError when there are none."""
    try:
        return json.loads(MEASURED.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{MEASURED}: cannot be read ({error}); run --measure") from error


def gains(rows, setting):
    """The ratio of a setting to the first one, of each network and size."""
    return [row[str(size)][setting] / row[str(size)][BEFORE] for row in rows for size in SIZES]


def as_markdown(measured, names):
    """The table, with images per second before and ratios to it."""
    rows = {name: measured["networks"][name] for name in names}
    lines = [["network", *_HEAD], ["---", *["---:"] * len(_HEAD)]]
    for name, row in rows.items():
        cells = []
        for size in map(str, SIZES):
            before = row[size][BEFORE]
            cells += [f"{before:.3g}", *(f"{row[size][setting] / before:.2f}" for setting in (THREADS, STATIC))]
        lines.append([name, *cells])
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    threads, static = (_spread(gains(rows.values(), setting)) for setting in (THREADS, STATIC))
    return (
        f"{table}\n`before` is images per second with one thread of MKL; the other columns are ratios to it, above 1 "
        f"where a step is faster. With {measured['threads']} threads: {threads}; with these threads and `to_static`: "
        f"{static}. {measured['where']}, batches of {BATCH}, the fastest of several steps in turns.\n"
    )


def _spread(ratios):
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    return f"{mean:.2f} on average (geometric mean), {min(ratios):.2f} to {max(ratios):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; default: all")
    parser.add_argument("--measure", action="store_true", help=f"measure, and keep it in {MEASURED.name}")
    parser.add_argument("--again", action="store_true", help="measure what is kept already, too")
    parser.add_argument("--rounds", type=int, default=3, help="steps of each setting (default: 3)")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew the table between the markers in FILE")
    args = parser.parse_args()
    if args.rounds < 1:
        raise UserError(f"--rounds: expected at least 1, found {args.rounds}")
    if args.measure:
        os.environ.pop("MKL_NUM_THREADS", None)
        measure_all(args.names or networks(), args.rounds, args.again)
    measured = kept()
    names = args.names or [name for name in networks() if name in measured["networks"]]
    missing = [name for name in names if name not in measured["networks"]]
    if missing:
        raise UserError(f"{MEASURED}: has no {', '.join(missing)}; run --measure {' '.join(missing)}")
    show_block(args.update, BEGIN, END, as_markdown(measured, names))


def networks():
    """The names of all classifiers."""
    with quick_import():
        from ppcls_lite.arch.registry import ARCH
    import ppcls_lite.arch  # noqa: F401 (its modules register)

    return ARCH.names()


if __name__ == "__main__":
    run_main(main, trains=True)
