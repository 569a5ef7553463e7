"""The figure of the benchmark: accuracy over latency, as in the document on PP-HGNetV2, and latency over FLOPs."""

from ppcls_lite.benchmark.report import at_batch_one, best_engines
from ppcls_lite.utils.files import atomic_write

_FAMILIES = ("MobileNetV1", "MobileNetV3", "ShuffleNetV2", "ResNet", "MixNet", "PPHGNetV2")


def draw(path, rows, conditions, flops, quoted, threads):
    """Write a PNG to `path`: latency is measured (batch 1, fp32, `threads`), accuracy is quoted."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
    _accuracy(left, best_engines(rows, threads), quoted)
    _flops(right, rows, flops, threads)
    figure.suptitle(f"{conditions['cpu']}, threads: {threads}, batch 1, FP32; medians", fontsize=11)
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, dpi=110, format="png", metadata={"Software": None})
    pyplot.close(figure)


def _accuracy(axes, found, quoted):
    for family in _FAMILIES:
        points = sorted(
            (best.ms, quoted["networks"][name]["top1"], name)
            for name, best in found.items()
            if name.startswith(family) and quoted["networks"].get(name, {}).get("top1")
        )
        if points:
            axes.plot([point[0] for point in points], [point[1] for point in points], "o-", label=family)
        for ms, top1, name in points:
            short = name[len(family) :].strip("_") or name
            axes.annotate(short, (ms, top1), textcoords="offset points", xytext=(5, -11), fontsize=8)
    axes.set(
        xscale="log", xlabel="latency of the best engine, measured here (ms)", ylabel="top-1, as documents state (%)"
    )
    _finish(axes, axes.xaxis)


def _flops(axes, rows, flops, threads):
    engines = {}
    for row in at_batch_one(rows, threads):
        if row["network"] in flops:
            engines.setdefault(row["engine"], []).append((flops[row["network"]], row["median_ms"]))
    for name, points in engines.items():
        axes.plot(*zip(*sorted(points)), "o-", linewidth=0.8, markersize=4, label=name)
    axes.set(xscale="log", yscale="log", xlabel="FLOPs of one image (M)", ylabel="latency, measured here (ms)")
    _finish(axes, axes.xaxis, axes.yaxis)


def _finish(axes, *logarithmic):
    """Ticks at 1, 2 and 5 of each decade, in plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for axis in logarithmic:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", alpha=0.3)
    axes.legend(loc="best", fontsize=9)
