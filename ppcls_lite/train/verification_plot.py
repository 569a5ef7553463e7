"""The picture of a verification: true accept rate over false accept rate; needs Matplotlib."""

import numpy as np

_POINTS = 2000  # a wider figure could not show more


def draw_true_accepts(result, path, title):
    """A PNG of the `Verification` `result`: the curve, the chosen rates as dots, and where measuring ends.

    The axis of the false accept rates is logarithmic; left of one false accept nothing is drawn, since nothing is
    measured there. `path` is a path or a binary stream.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=100)
    figure.subplots_adjust(left=0.1, right=0.96, top=0.91, bottom=0.13)
    axis = figure.subplots()
    smallest = 1 / result.negatives
    far, tar = _thinned(result.far, result.tar)
    axis.plot(np.append(far, 1), np.append(tar, 1), drawstyle="steps-post", color="tab:blue")
    dots = [point for point in result.true_accepts if point.tar is not None]
    for point in dots:
        axis.plot([point.far], [point.tar], "o", color="tab:orange", markersize=5)
        below = -13 if point.tar > 0.1 else 7
        axis.annotate(f"{point.tar:.4f}", (point.far, point.tar), (7, below), textcoords="offset points")
    axis.axvspan(smallest / 10, smallest, color="0.93")
    axis.text(smallest / 3, 0.03, "not measured", rotation=90, ha="center", va="bottom", color="0.4", fontsize=9)
    axis.set(
        xscale="log",
        xlim=(smallest / 10, 1),
        ylim=(0, 1.02),
        title=title,
        xlabel=f"false accept rate (of {result.negatives:,} pairs of two identities)",
        ylabel=f"true accept rate (of {result.positives:,} pairs)",
    )
    axis.grid(alpha=0.3)
    label = f"ten-fold accuracy {result.accuracy:.4f} ± {result.std:.4f}"
    axis.text(0.98, 0.04, label, transform=axis.transAxes, ha="right", color="0.2")
    figure.savefig(path, format="png")


def _thinned(far, tar):
    """The measured points, at most _POINTS of them, evenly along the logarithmic axis."""
    far, tar = far[far > 0], tar[far > 0]
    if len(far) <= _POINTS:
        return far, tar
    wanted = np.geomspace(far[0], far[-1], _POINTS)
    keep = np.unique(np.minimum(np.searchsorted(far, wanted), len(far) - 1))
    return far[keep], tar[keep]
