"""The picture of a diagnosis: the difference by stage, and by operator as a curve; needs Matplotlib."""

from diagnosis.stage import DIFFERS, NOT_REACHED, SAME

_COLOURS = {SAME: "tab:green", DIFFERS: "tab:red"}
_LEAST, _MOST = 1e-9, 1e4  # where no bit differs: a logarithmic scale has no 0; and what is not finite


def draw(stages, path, title):
    """A PNG of all stages, and of the operators where they were compared; `path` or a binary stream."""
    from matplotlib.figure import Figure

    curve = next((stage.more["operators"] for stage in stages if stage.more.get("operators")), None)
    figure = Figure(figsize=(10, 9 if curve else 5), dpi=100, layout="constrained")
    axes = figure.subplots(2 if curve else 1, 1, squeeze=False)[:, 0]
    _draw_stages(axes[0], stages)
    axes[0].set_title(title)
    if curve:
        _draw_operators(axes[1], curve)
    figure.savefig(path, format="png")


def _draw_stages(axis, stages):
    """A bar a stage, from the top, with what is allowed as a line across it."""
    for place, stage in enumerate(stages):
        width = _LEAST / 10
        if stage.largest is not None and stage.result in _COLOURS:
            width = min(max(stage.largest, _LEAST), _MOST)
            axis.barh(place, width - _LEAST / 10, left=_LEAST / 10, color=_COLOURS[stage.result], height=0.6)
        if stage.allowed:
            axis.plot([stage.allowed] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.5)
        axis.text(width * 1.6, place, _words(stage), va="center", fontsize=9)
    axis.set(xscale="log", xlabel="largest difference (black: what is allowed)", yticks=range(len(stages)))
    axis.set_yticklabels([stage.name for stage in stages])
    axis.set_xlim(_LEAST / 10, _MOST * 1e4)
    axis.set_ylim(len(stages) - 0.5, -0.5)
    axis.grid(axis="x", alpha=0.3)


def _words(stage):
    if stage.result == NOT_REACHED:
        return "not reached"
    if stage.result not in _COLOURS:
        return "not compared"
    figure = "" if stage.largest is None else f" {stage.largest:.2g}"
    named = f": {stage.cause}" if stage.result == DIFFERS and stage.cause else ""
    return f"{stage.result}{figure}{named}"


def _draw_operators(axis, curve):
    """By which share of the scale each operator of the export differs from the network's, in the program's order."""
    numbers = [one["number"] for one in curve]
    shares = [max(one["share"], _LEAST) for one in curve]
    axis.plot(numbers, shares, color="tab:blue", marker="o", markersize=3)
    first = next((one for one in curve if one["share"] > 1e-5), None)
    if first:
        axis.axvline(first["number"], color="tab:red", linewidth=1)
        label = f"{first['number']}: {first['type']} '{first['name']}'"
        late = first["number"] > (numbers[0] + numbers[-1]) / 2
        side = {"xytext": (-8, 0), "ha": "right"} if late else {"xytext": (8, 0), "ha": "left"}
        axis.annotate(label, (first["number"], first["share"]), textcoords="offset points", va="center",
                      color="tab:red", **side)  # fmt: skip
    axis.set(yscale="log", xlabel="operator of the exported program",
             ylabel="difference, share of the output's scale", ylim=(_LEAST / 3, max(shares) * 10))  # fmt: skip
    axis.set_title(f"by operator: {sum(one['share'] == 0 for one in curve)} of {len(curve)} equal bit by bit "
                   f"(drawn at {_LEAST:g})", fontsize=10)  # fmt: skip
    axis.grid(alpha=0.3)
