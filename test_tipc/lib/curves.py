"""Draw the loss, and the accuracy where the log has it, of a training as curves.

    python test_tipc/lib/curves.py log_train.txt curves.png "title of the figure"

Needs Matplotlib. Exit code: 0 drawn, 1 the log cannot be read or the image cannot be written.
"""

import argparse
import math

from script import run_main
from train_log import read_train_log

TITLES = {"top1": "top-1"}


def draw_curves(log, path, title):
    """A PNG of the loss and of the evaluations' accuracy or AP over iterations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 4.5), dpi=100, layout="constrained")
    axis.plot([p.iteration for p in log.train], [p.loss for p in log.train], color="tab:blue", label="training loss")
    lowest = min((p.loss for p in log.train if math.isfinite(p.loss)), default=0)
    axis.set(title=title, xlabel="iteration", ylabel="training loss", ylim=(0 if lowest >= 0 else None, None))
    axis.grid(alpha=0.3)
    lines = axis.get_lines()
    if log.evals:
        right = axis.twinx()
        names = list(log.evals[-1].figures)
        for name, colour in zip(names, ("tab:orange", "tab:green")):
            points = [(p.iteration, p.figures[name]) for p in log.evals if name in p.figures]
            label = f"validation {TITLES.get(name, name)}"
            lines += right.plot(*zip(*points), color=colour, marker="o", markersize=4, label=label)
        right.set(ylabel=" and ".join(TITLES.get(name, name) for name in names), ylim=(0, 1))
    labels = [line.get_label() for line in lines]
    figure.legend(lines, labels, loc="outside lower center", ncols=len(lines), frameon=False)  # there it hides no line
    figure.savefig(path)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("image")
    parser.add_argument("title")
    args = parser.parse_args()
    draw_curves(read_train_log(args.log), args.image, args.title)


if __name__ == "__main__":
    run_main(main)
