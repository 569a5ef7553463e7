"""Measure rows: one process for each, the engines of a network taking turns."""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

from ppcls_lite.utils.files import REPO, atomic_write

_REST = 0.25  # seconds after each turn: OpenMP's threads go on spinning for 0.2 s when their work is done


@dataclass(frozen=True)
class Case:
    """What one row measures. `model` is the exported model's folder, `shape` one image's [3, H, W]."""

    network: str
    engine: str
    model: str
    shape: tuple
    batch_size: int = 1
    threads: int = 1
    precision: str = "fp32"


class Protocol(NamedTuple):
    """`runs` of each row, of which the first `skip` are not counted, in `turns` parts.

    A row whose runs would take more than `seconds` is slow: it makes `slow_runs`, and skips as large a part of them.
    """

    runs: int = 2100
    skip: int = 100
    seconds: float = math.inf
    slow_runs: int = 210
    turns: int = 10

    def plan(self, first_ms):
        """(runs that are not counted, runs that are), of a row whose first runs took `first_ms` milliseconds each."""
        if first_ms * self.runs <= 1000 * self.seconds:
            return self.skip, self.runs - self.skip
        runs = min(self.slow_runs, self.runs)
        skip = self.skip * runs // self.runs
        return skip, runs - skip


def measure(cases, protocol, say=lambda text: None, part=None):
    """A list of rows (dicts ready for JSON) in the order of `cases`; they take turns, and each has its own process.

    A row has what `Case` has, and `version`, `skipped` and `runs` (those not counted, and those that are),
    `median_ms`, `p95_ms`, `images_per_s`, `memory_mb` (peak of the process), `others` (share of the CPU that other
    processes took while it ran) and `waited` (share of the time that one of its threads waited for a core); or
    `absent`, the reason why nothing was measured.
    `part`, a `Part`, is written after each turn; turns that it has from an earlier, interrupted call are not repeated.
    """
    workers = [_Worker(case) for case in cases]  # each loads alone: loading is not measured, but it takes memory
    done = part.restore(workers) if part else 0
    try:
        for worker in workers:
            worker.warm_up(protocol)
        for turn in range(done, protocol.turns):
            start = turn % len(workers)
            for worker in workers[start:] + workers[:start]:  # no engine always runs after the same one
                worker.turn(turn, protocol.turns)
            if part:
                part.keep(workers, turn + 1)
            say(f"turn {turn + 1} of {protocol.turns}")
    finally:
        for worker in workers:
            worker.close()
    return [worker.row() for worker in workers]


class Part:
    """The turns that an interrupted measurement has made, in the JSON file `path`."""

    def __init__(self, path):
        self.path = path

    def restore(self, workers):
        """Give the workers their times of earlier turns; the number of those turns, 0 where they are of other cases."""
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0
        if kept.get("cases") != _identities(workers):
            return 0
        for worker, record in zip(workers, kept["records"]):
            worker.record = record
        return kept["turns"]

    def keep(self, workers, turns):
        """Write what the workers have after `turns` turns."""
        records = [worker.record for worker in workers]
        with atomic_write(self.path) as stream:
            json.dump({"cases": _identities(workers), "turns": turns, "records": records}, stream)

    def forget(self):
        """The measurement is complete, and kept elsewhere."""
        self.path.unlink(missing_ok=True)


def _identities(workers):
    """What the workers measure, as JSON gives it back."""
    return [{**asdict(one.case), "shape": list(one.case.shape), "version": one.version} for one in workers]


class _Worker:
    """One row's process; `record` holds what it has measured so far."""

    _PROBES = 5  # runs, the first of those that are not counted, which say how long one takes

    def __init__(self, case):
        self.case, self.absent = case, None
        self.record = {"plan": None, "ms": [], "others": [], "waited": [], "memory_mb": None}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ppcls_lite.benchmark.worker"],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        hello = self._ask({**asdict(case), "model": str(case.model)})
        self.version = hello.get("version")
        self.absent = self.absent or hello.get("absent")

    def warm_up(self, protocol):
        """Make the runs that are not counted; the first of them decide how many there are."""
        if self.absent:
            return
        probes = min(self._PROBES, max(protocol.skip, 1))
        probed = self._ask({"runs": probes}).get("ms")
        if self.absent:
            return
        self.record["plan"] = self.record["plan"] or protocol.plan(statistics.median(probed))
        self._run(self.record["plan"][0] - probes)

    def turn(self, turn, turns):
        """Make this turn's part of the runs that are counted."""
        if self.absent:
            return
        counted = self.record["plan"][1]
        answer = self._run(counted * (turn + 1) // turns - counted * turn // turns)
        self.record["ms"] += answer.get("ms", [])
        self.record["memory_mb"] = answer.get("memory_mb", self.record["memory_mb"])
        for share in ("others", "waited"):
            if answer.get(share) is not None:
                self.record[share].append(answer[share])

    def _run(self, runs):
        if runs <= 0:
            return {}
        answer = self._ask({"runs": runs})
        time.sleep(_REST)
        return answer

    def _ask(self, content):
        """The answer to `content`; a process that died leaves the reason in `absent`."""
        try:
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        status = self._process.wait()
        self._errors.seek(0)
        said = [text.strip() for text in self._errors.read().splitlines() if text.strip()] or ["nothing printed"]
        self.absent = f"ended with status {status}; its last line: {said[-1]:.120}"
        return {}

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def row(self):
        row = {**asdict(self.case), "version": self.version}
        del row["model"]
        if self.absent:
            return {**row, "absent": self.absent}
        figures = {"skipped": self.record["plan"][0], **summarize(self.record["ms"], self.case.batch_size)}
        return {**row, **figures, **self._conditions()}

    def _conditions(self):
        memory = self.record["memory_mb"]
        shares = {share: self.record[share] for share in ("others", "waited")}
        return {
            "memory_mb": None if memory is None else round(memory, 1),
            **{share: round(statistics.fmean(found), 3) if found else None for share, found in shares.items()},
        }


def summarize(times, batch_size):
    """Median, 95th percentile (nearest rank) and images per second of `times` in milliseconds per run."""
    ordered = sorted(times)
    return {
        "runs": len(ordered),
        "median_ms": round(statistics.median(ordered), 3),
        "p95_ms": round(ordered[math.ceil(0.95 * len(ordered)) - 1], 3),
        "images_per_s": round(1000 * batch_size * len(ordered) / sum(ordered), 2),
    }
