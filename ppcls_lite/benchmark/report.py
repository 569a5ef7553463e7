"""Measured rows as a text table, as CSV and as the tables of a document; quoted figures are kept apart."""

import csv
import io

from ppcls_lite.benchmark.rivals import RIVALS

# heading, key, decimals (None: text)
COLUMNS = (
    ("network", "network", None),
    ("engine", "engine", None),
    ("precision", "precision", None),
    ("batch", "batch_size", 0),
    ("threads", "threads", 0),
    ("runs", "runs", 0),
    ("median (ms)", "median_ms", 2),
    ("p95 (ms)", "p95_ms", 2),
    ("images/s", "images_per_s", 1),
    ("memory (MB)", "memory_mb", 0),
    ("version", "version", None),
)
FASTER, LATENCY = 3.0, 1.1  # required: so many times oneDNN's speed; at most so many times a rival's latency
CALM = 0.1  # share of the CPU that others may take before the figures are called into question
_GPU_ENGINES = ("gpu", "tensorrt")


def _cell(value, decimals):
    if value is None:
        return "-"
    return str(value) if decimals is None else f"{value:.{decimals}f}"


def _lines(rows):
    return [[_cell(row.get(key), decimals) for _, key, decimals in COLUMNS] for row in rows if "absent" not in row]


def absences(rows):
    """One line for each engine and reason that something was not measured."""
    found = {}
    for row in rows:
        if "absent" in row:
            reason = row["absent"].replace(f"engine {row['engine']}: ", "").replace(f"{row['engine']}: ", "")
            found.setdefault((row["engine"], row["precision"], reason), []).append(row["network"])
    return [
        f"{engine}, {precision}, not measured ({len(networks)} rows, {_names(networks)}): {reason}"
        for (engine, precision, reason), networks in found.items()
    ]


def _names(networks):
    names = list(dict.fromkeys(networks))
    return ", ".join(names if len(names) < 3 else [names[0], "...", names[-1]])


def as_text(rows, conditions):
    """The rows for a screen."""
    table = [[heading for heading, _, _ in COLUMNS], *_lines(rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
    text = "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in table)
    return text + "".join(f"{line}\n" for line in [*absences(rows), *describe(conditions, rows)])


def as_csv(rows, conditions):
    """All rows; those without a measurement have the reason in `absent`; `device` is the processor or graphics card."""
    stream = io.StringIO()
    keys = [key for _, key, _ in COLUMNS]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*keys, "device", "others", "absent"])
    for row in rows:
        device = conditions["gpu" if row["engine"] in _GPU_ENGINES else "cpu"]
        cells = [*(row.get(key) for key in keys), device, row.get("others"), row.get("absent")]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return stream.getvalue()


def describe(conditions, rows):
    """Sentences about the machine, the protocol, and the load of other processes."""
    busy = [row["others"] for row in rows if row.get("others") is not None]
    load = f" While a row ran, other processes took up to {max(busy):.0%} of the CPU." if busy else ""
    if busy and max(busy) > CALM:
        load += " **Measure again on a calm machine: these figures only show what the tables look like.**"
    return [
        f"Processor: {conditions['cpu']}, {conditions['cores']} cores; graphics card: {conditions['gpu']}; "
        f"{conditions['system']}. Commit {conditions['commit']}, {conditions['date']}.",
        f"{conditions['runs']} runs per row, the first {conditions['skip']} not counted{_early(rows, conditions)}; "
        f"each row in a process of its own, the engines of a network taking turns; memory is that process's peak."
        f"{load}",
    ]


def _early(rows, conditions):
    planned = conditions["runs"] - conditions["skip"]
    short = [row for row in rows if row.get("runs", planned) < planned]
    if not short:
        return ""
    return f" ({len(short)} slow rows ended before all runs were made, after {conditions['seconds']:g} s)"


def _markdown(headings, lines, texts):
    """A table whose first `texts` columns are texts and the others numbers."""
    rule = ["---"] * texts + ["---:"] * (len(headings) - texts)
    return "".join("| " + " | ".join(line) + " |\n" for line in [headings, rule, *lines])


def as_markdown(rows, conditions, flops, quoted):
    """The block of a document: the verdict for each network, all rows, and the sources of quoted figures."""
    threads = sorted({row["threads"] for row in rows})
    text = "\n\n".join(describe(conditions, rows)) + "\n"
    for number in threads:
        text += f"\n### Latency at batch 1, threads: {number}\n\n" + verdict_table(rows, number, quoted)
        text += "\n" + "".join(f"* {line}\n" for line in shortfalls(rows, number, flops))
    text += "\n### Every row\n\n" + _markdown([heading for heading, _, _ in COLUMNS], _lines(rows), 3)
    text += "\n" + "".join(f"* {line}\n" for line in absences(rows))
    for source in quoted["sources"].values():
        if "latency" in source["note"]:
            text += f"\nQuoted, not measured: {source['title']}; {source['note']}.\n"
    return text


class Verdict:
    """How one network's best CPU engine compares; ratios are None where the other was not measured."""

    def __init__(self, rows):
        self.times = {row["engine"]: row["median_ms"] for row in rows}
        ours = {name: ms for name, ms in self.times.items() if name not in RIVALS and name not in _GPU_ENGINES}
        self.best = min(ours, key=ours.get)
        self.ms = ours[self.best]
        onednn = self.times.get("onednn")
        self.faster = onednn / self.ms if onednn else None
        self.slower = {name: self.ms / self.times[name] for name in RIVALS if name in self.times}

    @property
    def meets(self):
        """Whether all that could be compared is as required, to the two decimals that are shown."""
        fast = self.faster is None or round(self.faster, 2) >= FASTER
        return fast and all(round(ratio, 2) <= LATENCY for ratio in self.slower.values())


def at_batch_one(rows, threads):
    """The measured rows of batch size 1, fp32 and `threads`."""
    case = (1, threads, "fp32")
    return [
        row for row in rows if (row["batch_size"], row["threads"], row["precision"]) == case and "absent" not in row
    ]


def verdicts(rows, threads):
    """{network: Verdict} at batch 1 in fp32."""
    chosen = {}
    for row in at_batch_one(rows, threads):
        chosen.setdefault(row["network"], []).append(row)
    return {name: Verdict(found) for name, found in chosen.items() if any(row["engine"] not in RIVALS for row in found)}


def verdict_table(rows, threads, quoted):
    """One line per network: our best engine, oneDNN's path, the rivals, and the V100 of the documents."""
    headings = ["network", "best engine", "median (ms)", "times oneDNN's speed", *(f"of {name}" for name in RIVALS)]
    headings += ["as required", "quoted: V100 (ms)"]
    lines = []
    for name, verdict in verdicts(rows, threads).items():
        ratios = [verdict.faster, *(verdict.slower.get(rival) for rival in RIVALS)]
        stated = quoted["networks"].get(name, {}).get("latency_ms")
        lines.append(
            [
                *(name, verdict.best, _cell(verdict.ms, 2)),
                *(_cell(ratio, 2) for ratio in ratios),
                *("yes" if verdict.meets else "no", _cell(stated and stated[0], 2)),
            ]
        )
    return _markdown(headings, lines, 2)


def shortfalls(rows, threads, flops):
    """A sentence for each network that is not as required: which figure, and how far the others come."""
    top = max(((_rate(row, flops), row) for row in at_batch_one(rows, threads)), key=lambda pair: pair[0], default=None)
    found = []
    for name, verdict in verdicts(rows, threads).items():
        if verdict.meets:
            continue
        parts = []
        if verdict.faster is not None and round(verdict.faster, 2) < FASTER:
            parts.append(_why_not_faster(name, verdict, flops, *top))
        parts += [
            f"{verdict.ms:.2f} ms are {ratio:.2f} times those of {rival} ({verdict.times[rival]:.2f} ms)"
            for rival, ratio in verdict.slower.items()
            if round(ratio, 2) > LATENCY
        ]
        found.append(f"{name}: " + "; ".join(parts) + ".")
    return found


def _rate(row, flops):
    """GFLOP/s at batch 1. A multiply-add is two operations, and `paddle.flops` counts it once."""
    return 2 * flops.get(row["network"], 0) / row["median_ms"]  # 10^6 per millisecond are 10^9 per second


def _why_not_faster(name, verdict, flops, top_rate, top_row):
    text = f"{verdict.faster:.2f} times oneDNN's speed, not {FASTER:g}"
    rate = _rate({"network": name, "median_ms": verdict.times["onednn"]}, flops)
    if FASTER * rate > top_rate:
        return (
            f"{text}, which would take {FASTER * rate:.0f} GFLOP/s; no row is above {top_rate:.0f} "
            f"({top_row['network']}, {top_row['engine']})"
        )
    fastest = min(verdict.times, key=verdict.times.get)
    return (
        f"{text}; the fastest of all, {fastest}, reaches {verdict.times['onednn'] / verdict.times[fastest]:.2f} times"
    )
