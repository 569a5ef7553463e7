"""How many threads compute: what the libraries that compute say, or what can be seen of them."""

import ctypes
import functools
import os
import threading
import time
from collections import Counter

from ppcls_lite.infer.engines.effects import UNKNOWN, Effect
from ppcls_lite.utils.machine import usable_cores

_SHARE = 0.05  # of the busiest thread's time: a thread that has less waits
_RUNS, _SECONDS = 20, 0.2  # how often a batch is run at most to see the threads, or for how long


def threads_effect(asked, found):
    """The `Effect` of the number of threads; `found` may be None."""
    cores = usable_cores()
    why = f"on {cores} cores" if found and found > cores else ""
    return Effect("threads", str(asked), UNKNOWN if found is None else str(found), why)


def openmp_threads():
    """The threads of a parallel region that began here and now, in Paddle's OpenMP; None where it has another one."""
    library = _openmp()
    return library and min(library.omp_get_max_threads(), library.omp_get_thread_limit())


@functools.cache
def _openmp():
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as stream:
            paths = [line.split(maxsplit=5)[5].strip() for line in stream if "/libiomp5" in line]
        return ctypes.CDLL(paths[0]) if paths else None
    except OSError:
        return None


def count_threads(run, asked):
    """How many threads compute in `run()`, of this one and those that are not Python's own; None if it is not known.

    Each thread's CPU time is its own clock (clock_gettime(2), Linux). On a busy machine threads may come too late, so
    `run` is called until it is done with the number `asked`; otherwise the most frequent number counts.
    """
    others = {thread.native_id for thread in threading.enumerate()} - {threading.get_native_id()}
    counts, began = Counter(), time.perf_counter()
    try:
        while sum(counts.values()) < _RUNS and (not counts or time.perf_counter() - began < _SECONDS):
            before = _clocks(others)
            run()
            spent = sorted(after - before.get(number, 0) for number, after in _clocks(others).items())
            counts[sum(time_of > _SHARE * spent[-1] for time_of in spent)] += 1
            if asked in counts:
                return asked
    except OSError:
        return None
    return counts.most_common(1)[0][0]


def _clocks(others):
    """{thread's number: nanoseconds of CPU time} of this process."""
    clocks = {}
    for number in map(int, os.listdir("/proc/self/task")):
        if number not in others:
            try:
                clocks[number] = time.clock_gettime_ns((~number << 3) | 6)  # CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED
            except OSError:  # it has ended
                continue
    return clocks
