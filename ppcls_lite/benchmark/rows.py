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

from ppcls_lite.utils.files import REPO

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
    """`runs` in all, of which the first `skip` are not counted; `seconds` may end a row early; turns of each engine."""

    runs: int = 2100
    skip: int = 100
    seconds: float = math.inf
    turns: int = 10


def measure(cases, protocol, say=lambda text: None):
    """A list of rows (dicts ready for JSON) in the order of `cases`; they take turns, and each has its own process.

    A row has what `Case` has, and `version`, `runs`, `median_ms`, `p95_ms`, `images_per_s`, `memory_mb` (peak of the
    process) and `others` (share of the CPU that other processes took while it ran); or `absent`, the reason why
    nothing was measured.
    """
    workers = [_Worker(case) for case in cases]  # each loads alone: loading is not measured, but it takes memory
    try:
        for worker in workers:
            worker.turn(protocol.skip, protocol.seconds / protocol.turns)
            worker.forget()
        counted = protocol.runs - protocol.skip
        for turn in range(protocol.turns):
            runs = counted * (turn + 1) // protocol.turns - counted * turn // protocol.turns
            start = turn % len(workers)
            for worker in workers[start:] + workers[:start]:  # no engine always runs after the same one
                worker.turn(runs, protocol.seconds / protocol.turns)
            say(f"turn {turn + 1} of {protocol.turns}")
    finally:
        for worker in workers:
            worker.close()
    return [worker.row() for worker in workers]


class _Worker:
    def __init__(self, case):
        self.case, self.absent, self.answer = case, None, {}
        self.forget()
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

    def forget(self):
        """Begin to count."""
        self.times, self.others = [], []

    def turn(self, runs, seconds):
        if self.absent or not runs:
            return
        self.answer = self._ask({"runs": runs, "seconds": min(seconds, 1e9)})
        self.times += self.answer.get("ms", [])
        if self.answer.get("others") is not None:
            self.others.append(self.answer["others"])
        time.sleep(_REST)

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
        return {**row, **summarize(self.times, self.case.batch_size), **self._conditions()}

    def _conditions(self):
        memory = self.answer.get("memory_mb")
        return {
            "memory_mb": None if memory is None else round(memory, 1),
            "others": round(statistics.fmean(self.others), 3) if self.others else None,
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
