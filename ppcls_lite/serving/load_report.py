"""The figures of a load report: rows by offered load, the knee, a table."""

import statistics
from typing import NamedTuple

BEGIN, END = "<!-- serving load: begin -->", "<!-- serving load: end -->"
KEPT, SLOWER = 0.98, 3.0  # what the knee still answers of the offered load, and how much slower than the quiet p99


class Row(NamedTuple):
    """One offered load: medians over the rounds, rates in requests a second, latencies in ms."""

    part: float  # of the capacity
    offered: float
    throughput: float
    refused: float  # share of the requests
    p50: float
    p99: float
    refusal: float  # ms until a refusal arrives, p99

    def __str__(self):
        text = f"{self.offered:4.0f}/s offered, {self.throughput:4.0f}/s answered, p50 {self.p50:6.1f} ms, "
        return text + f"p99 {self.p99:6.1f} ms, {100 * self.refused:.0f} % refused"


def summarise(capacity, found):
    """A `Row` for each list of `open_loop.Load`, one for each round."""
    return [_row(capacity, loads) for loads in found]


def _row(capacity, loads):
    middle = statistics.median
    refusals = sorted(seconds for load in loads for seconds in load.refused)
    return Row(
        loads[0].rate / capacity,
        middle(load.offered for load in loads),
        middle(load.throughput for load in loads),
        middle(len(load.refused) / max(load.sent, 1) for load in loads),
        middle(load.percentile(0.5) for load in loads),
        middle(load.percentile(0.99) for load in loads),
        1000 * refusals[int(0.99 * (len(refusals) - 1))] if refusals else 0.0,
    )


def find_knee(rows):
    """The `Row` of the largest load that is answered well, None where there is none.

    Well is: KEPT of the offered requests, with a p99 of at most SLOWER times that of the first row.
    """
    found = None
    for row in rows:
        if row.throughput < KEPT * row.offered or row.p99 > SLOWER * rows[0].p99:
            break
        found = row
    return found


def as_markdown(rows, knee, about):
    """The lines of a document's table."""
    yield from (about + ".", "")
    yield "| offered, of the capacity | a second | answered | refused | p50, ms | p99, ms | p99, of the quiet one |"
    yield "| --- |" + " --- |" * 6
    for row in rows:
        mark = " (knee)" if row is knee else ""
        cells = (f"{row.part:.2f}{mark}", f"{row.offered:.0f}", f"{row.throughput:.0f}", f"{100 * row.refused:.0f} %")
        times = (f"{row.p50:.1f}", f"{row.p99:.1f}", f"{row.p99 / rows[0].p99:.1f}")
        yield "| " + " | ".join((*cells, *times)) + " |"
