"""The plot of a load report."""


def draw(rows, knee, about, path):
    """Write latency (above) and throughput (below) against the offered load to a PNG, the knee marked."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    offered = [row.offered for row in rows]
    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 6.5), constrained_layout=True)
    above.plot(offered, [row.p99 for row in rows], marker="o", color="tab:red", label="p99 of accepted requests")
    above.plot(offered, [row.p50 for row in rows], marker="o", color="tab:blue", label="p50")
    above.axhline(3 * rows[0].p99, color="tab:red", linestyle=":", linewidth=1, label="3 times the quiet p99")
    above.set_yscale("log")
    above.set_ylabel("latency, ms")
    below.plot(offered, offered, color="0.7", linestyle="--", linewidth=1, label="all that is offered")
    below.plot(offered, [row.throughput for row in rows], marker="o", color="tab:green", label="answered")
    refused = [row.refused * row.offered for row in rows]
    below.plot(offered, refused, marker="o", color="tab:orange", label="refused at once (503)")
    below.set_ylabel("requests a second")
    below.set_xlabel("offered load, requests a second")
    for axis in (above, below):
        if knee is not None:
            axis.axvline(knee.offered, color="0.4", linewidth=1)
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right" if axis is above else "upper left", fontsize=9)
    if knee is not None:
        text = f"knee: {knee.offered:.0f}/s"
        above.annotate(text, (knee.offered, 1), xycoords=("data", "axes fraction"), xytext=(4, -12),
                       textcoords="offset points", fontsize=9)  # fmt: skip
    figure.suptitle(about, fontsize=9)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
