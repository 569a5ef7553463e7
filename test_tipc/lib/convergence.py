"""Check that a training's loss fell, and by more than its own noise.

    python test_tipc/lib/convergence.py output/small/log_train.txt

Where the training left its history.jsonl there too, that is read, else the log.
Every line is a point; its loss should be of the iterations since the line before. The loss fell when
  trend   the Mann-Kendall test, one-sided, finds one: z of -3 or less, which noise reaches once in 700 logs. It is made
          of all points, and of those after the highest: a loss that explodes and goes on to fall has its trend there.
  fall    the median of the last tenth of the points (at least 3) lies below the beginning by more than 1 %, and by more
          than the noise: the scatter of a point, from the median absolute deviation of the steps between neighbours.
          The beginning is the first point or the median of the first tenth, whichever is lower: a loss that exploded
          and came back did not fall.
A loss that is nan or infinite anywhere is a failure.
The log of any project is read: `loss: 0.1`, `loss=0.1`, `Loss 0.1`, `"loss": 0.1` (foreign_log.py has the rules).
Exit code: 0 the loss fell, 1 it did not, 77 (a skipped test, as automake has it) it cannot be judged: the training was
too short, with fewer than --min_iterations, or than 8 points; or its log has no total loss; the last line says which.
"""

import argparse
import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from statistics import median

from script import UserError, counted, run_main
from train_log import NoLoss, read_train_log

NOT_JUDGED = 77
MIN_POINTS = 8  # the fewest with which noise can be told from a trend
LARGEST_Z = -3.0
SMALLEST_FALL = 0.01  # of the beginning
_NORMAL = 1.4826  # standard deviations in a median absolute deviation, of a normal distribution


def trend(values):
    """The z of the Mann-Kendall test (Mann 1945, Kendall 1975), corrected for ties: below 0 for values that fall."""
    before, score = [], 0
    for value in values:  # pairs that rise less pairs that fall
        score += bisect_left(before, value) - (len(before) - bisect_right(before, value))
        insort(before, value)
    variance = _pairs(len(values)) - sum(_pairs(count) for count in Counter(values).values())
    if variance <= 0:
        return 0.0
    return (score - (score > 0) + (score < 0)) / math.sqrt(variance / 18)


def _pairs(count):
    return count * (count - 1) * (2 * count + 5)


def steepest_trend(values):
    """The lower z of all values, and of those after the highest where these are enough."""
    rest = values[values.index(max(values)) + 1 :]
    return min(trend(part) for part in (values, rest) if len(part) >= MIN_POINTS)


def noise(values):
    """How much one value scatters around a slow curve, as a standard deviation."""
    steps = [second - first for first, second in zip(values, values[1:])]
    middle = median(steps)
    return _NORMAL * median(abs(step - middle) for step in steps) / math.sqrt(2)


def judge(losses):
    """(whether it fell, the figures and their limits in words) of at least `MIN_POINTS` finite losses."""
    part = max(len(losses) // 10, 3)
    begin, end = min(losses[0], median(losses[:part])), median(losses[-part:])
    z, fall, needed = steepest_trend(losses), begin - end, max(SMALLEST_FALL * abs(begin), noise(losses))
    found = (
        f"by {fall:.5f} from {begin:.5f}, more than {needed:.5f} is needed; "
        f"trend z {z:.1f}, {LARGEST_Z:g} or less is needed"
    )
    return z <= LARGEST_Z and fall > needed, found


def check_finite(path, points):
    """Raise UserError at the first loss that is not a finite number."""
    for point in points:
        if not math.isfinite(point.loss):
            raise UserError(f"{path}: the loss is {point.loss} at iteration {point.iteration}: the training diverged")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="log_train.txt")
    parser.add_argument("--min_iterations", type=int, default=100)
    args = parser.parse_args()
    try:
        points = read_train_log(args.log).train
    except NoLoss as error:
        print(f"no loss to judge: {error}")
        return NOT_JUDGED
    check_finite(args.log, points)
    losses, iterations = [point.loss for point in points], points[-1].iteration
    part = max(len(points) // 10, min(len(points), 3))
    first, last = median(losses[:part]), median(losses[-part:])
    summary = f"loss: {first:.5f} at first, {last:.5f} at last, over {counted(iterations, 'iteration')}"
    if iterations < args.min_iterations or len(points) < MIN_POINTS:
        print(summary)
        needed = f"at least {args.min_iterations} iterations in {MIN_POINTS} points are needed"
        found = f"{counted(iterations, 'iteration')} in {counted(len(points), 'point')}"
        print(f"too short to judge: {found} ({needed})")
        return NOT_JUDGED
    fell, found = judge(losses)
    if not fell:
        raise UserError(f"{args.log}: {summary}: it did not fall ({found})")
    print(f"{summary}: it fell ({found})")
    return 0


if __name__ == "__main__":
    run_main(main)
