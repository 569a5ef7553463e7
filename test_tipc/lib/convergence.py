"""Check that a training's loss fell: the mean of its last tenth is below that of its first tenth.

    python test_tipc/lib/convergence.py output/small/log_train.txt

Exit code: 0 the loss fell, or the training was too short to tell (fewer than --min_iterations), 1 it did not.
"""

import argparse

from script import UserError, run_main
from train_log import read_train_log


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="log_train.txt")
    parser.add_argument("--min_iterations", type=int, default=100)
    args = parser.parse_args()
    points = read_train_log(args.log).train
    iterations = points[-1].iteration
    part = max(len(points) // 10, 1)
    first = sum(point.loss for point in points[:part]) / part
    last = sum(point.loss for point in points[-part:]) / part
    summary = f"loss: {first:.5f} at first, {last:.5f} at last, over {iterations} iterations"
    if iterations < args.min_iterations:
        print(f"{summary}: too few to judge (at least {args.min_iterations})")
    elif not last < first:
        raise UserError(f"{args.log}: {summary}: it did not fall")
    else:
        print(f"{summary}: it fell")


if __name__ == "__main__":
    run_main(main)
