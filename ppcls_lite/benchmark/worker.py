"""The process of one row: loads one engine, and times runs on request.

Speaks JSON, one line per message. The first request is the case; the answer is {"version"} or {"absent": reason}. Each
following request {"runs"} is answered by {"ms": [...], "memory_mb", "others", "waited"}. It ends when its input does.
"""

import json
import os
import sys
import time

import numpy as np

from ppcls_lite.benchmark.rivals import RIVALS, create_rival
from ppcls_lite.utils.errors import UserError, leave
from ppcls_lite.utils.machine import OthersLoad, WaitForCores, peak_memory_mb


def load(case):
    """The engine of a case (a dict of `Case`'s fields)."""
    if case["engine"] in RIVALS:
        if case["precision"] != "fp32":
            raise UserError(f"{case['engine']}: measured in fp32 only")
        return create_rival(case["engine"], case["model"], case["threads"])
    from ppcls_lite.infer.engines import EngineOptions, create_engine

    gpu = case["engine"] in ("gpu", "tensorrt")
    options = EngineOptions(
        engine=case["engine"],
        use_gpu=gpu,
        use_tensorrt=case["engine"] == "tensorrt",
        cpu_num_threads=case["threads"],
        use_fp16=case["precision"] == "fp16",
        use_int8=case["precision"] == "int8",
        batch_size=case["batch_size"],
    )
    if case["precision"] != "fp32" and case["engine"] != "tensorrt":
        raise UserError(f"{case['engine']}: computes in fp32 only")
    return create_engine(case["engine"], case["model"], options)


def time_runs(engine, images, runs):
    """Milliseconds of each of `runs` runs."""
    times = []
    for _ in range(runs):
        clock = time.perf_counter()
        engine.run(images)
        times.append(1000 * (time.perf_counter() - clock))
    return times


def serve(requests, answer):
    """Answer each line of `requests`; the first is the case."""
    case = json.loads(next(requests))
    try:
        engine = load(case)
        shape = (case["batch_size"], *case["shape"])
        images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        engine.run(images)
    except UserError as error:
        return answer({"absent": str(error)})
    answer({"version": engine.version})
    for line in requests:
        request = json.loads(line)
        with OthersLoad() as others, WaitForCores() as waited:
            times = time_runs(engine, images, request["runs"])
        answer({"ms": times, "memory_mb": peak_memory_mb(), "others": others.share, "waited": waited.share})


def main():
    answers = os.fdopen(os.dup(1), "w")  # engines print to the screen as they like
    os.dup2(2, 1)

    def answer(content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    serve(iter(sys.stdin), answer)
    leave(0)


if __name__ == "__main__":
    main()
