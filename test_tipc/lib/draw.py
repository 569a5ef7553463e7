"""Draw the curves of a training; needs Matplotlib.

It stands alone: `ppcls_lite/train/draw.py` is a link to it, so that a training and the chain draw the same.
"""

import math

TITLES = {"top1": "top-1", "recall1": "Recall@1"}


def draw_curves(log, path, title):
    """A PNG of the loss and of the evaluations over iterations (accuracy, AP, Recall@1); `path` or a binary stream."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=100)
    figure.subplots_adjust(left=0.08, right=0.92, top=0.92, bottom=0.2)  # Matplotlib's own layout takes twice the time
    axis = figure.subplots()
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
    figure.legend(lines, labels, loc="lower center", ncols=len(lines), frameon=False)  # there it hides no line
    figure.savefig(path, format="png")
