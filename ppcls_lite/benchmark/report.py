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
CALM = 0.05  # share of the time that a row may wait for a core before its figures are called into question
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
    return [
        f"Processor: {conditions['cpu']}, {conditions['cores']} cores; graphics card: {conditions['gpu']}; "
        f"{conditions['system']}. Commit {conditions['commit']}, {conditions['date']}.",
        f"{_runs(rows, conditions)}. Each row has a process of its own, and the engines of a network take turns; "
        f"memory is that process's peak.{_load(rows)}",
    ]


def _runs(rows, conditions):
    """How many runs the rows have made, counted from the rows themselves."""
    made, ended = {}, []
    for row in rows:
        if "skipped" not in row and "absent" not in row:
            ended.append(row["runs"])
        elif "absent" not in row:
            plan = (row["skipped"] + row["runs"], row["skipped"])
            made[plan] = made.get(plan, 0) + 1
    planned = (conditions["runs"], conditions["skip"])
    parts = []
    for (runs, skipped), number in sorted(made.items(), reverse=True):
        why = (
            "" if (runs, skipped) == planned else f", since {planned[0]} would take more than {conditions['seconds']} s"
        )
        parts.append(f"{number} rows of {runs} runs, the first {skipped} not counted{why}")
    if ended:  # rows of before runs were planned: they say only how many were counted
        span = f"{min(ended)} to {max(ended)} runs counted"
        parts.append(f"{len(ended)} rows that were ended after {conditions['seconds']} s each, with {span}")
    return "; ".join(parts) or "No rows"


def _load(rows):
    def largest(share):
        return max((row[share] for row in rows if row.get(share) is not None), default=None)

    others, waited = largest("others"), largest("waited")
    text = "" if others is None else f" While a row ran, other processes took up to {others:.0%} of the CPU"
    text += "" if waited is None or not text else f", and its threads waited for a core up to {waited:.1%} of the time"
    text += "." if text else ""
    if (waited or 0) > CALM:
        text += " **Measure again on a calm machine: these figures only show what the tables look like.**"
    return text


def _markdown(headings, lines, texts):
    """A table whose first `texts` columns are texts and the others numbers."""
    rule = ["---"] * texts + ["---:"] * (len(headings) - texts)
    return "".join("| " + " | ".join(line) + " |\n" for line in [headings, rule, *lines])


def as_markdown(rows, conditions, quoted):
    """The block of a document: the best engine of each network, all rows, and the sources of quoted figures."""
    threads = sorted({row["threads"] for row in rows})
    text = "\n\n".join(describe(conditions, rows)) + "\n"
    for number in threads:
        text += f"\n### Latency at batch 1, threads: {number}\n\n" + best_table(rows, number, quoted)
    text += "\n### Every row\n\n" + _markdown([heading for heading, _, _ in COLUMNS], _lines(rows), 3)
    text += "\n" + "".join(f"* {line}\n" for line in absences(rows))
    for source in quoted["sources"].values():
        if "latency" in source["note"]:
            text += f"\nQuoted, not measured: {source['title']}; {source['note']}.\n"
    return text


class Best:
    """How one network's best CPU engine compares; ratios are None where the other was not measured."""

    def __init__(self, rows):
        self.times = {row["engine"]: row["median_ms"] for row in rows}
        ours = {name: ms for name, ms in self.times.items() if name not in RIVALS and name not in _GPU_ENGINES}
        self.engine = min(ours, key=ours.get)
        self.ms = ours[self.engine]
        onednn = self.times.get("onednn")
        self.faster = onednn / self.ms if onednn else None
        self.slower = {name: self.ms / self.times[name] for name in RIVALS if name in self.times}


def at_batch_one(rows, threads):
    """The measured rows of batch size 1, fp32 and `threads`."""
    case = (1, threads, "fp32")
    return [
        row for row in rows if (row["batch_size"], row["threads"], row["precision"]) == case and "absent" not in row
    ]


def best_engines(rows, threads):
    """{network: Best} at batch 1 in fp32."""
    chosen = {}
    for row in at_batch_one(rows, threads):
        chosen.setdefault(row["network"], []).append(row)
    return {name: Best(found) for name, found in chosen.items() if any(row["engine"] not in RIVALS for row in found)}


def best_table(rows, threads, quoted):
    """One line per network: our best engine, oneDNN's path, the rivals, and the V100 of the documents."""
    headings = ["network", "best engine", "median (ms)", "times oneDNN's speed", *(f"of {name}" for name in RIVALS)]
    headings += ["quoted: V100 (ms)"]
    lines = []
    for name, best in best_engines(rows, threads).items():
        ratios = [best.faster, *(best.slower.get(rival) for rival in RIVALS)]
        stated = quoted["networks"].get(name, {}).get("latency_ms")
        cells = [_cell(best.ms, 2), *(_cell(ratio, 2) for ratio in ratios), _cell(stated and stated[0], 2)]
        lines.append([name, best.engine, *cells])
    return _markdown(headings, lines, 2)
