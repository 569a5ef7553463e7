"""A load that does not wait: requests leave at their times, whatever has become of those before.

Clients of a closed loop (`load.py`) wait for each answer before they ask again, so that a slow service is asked less,
and its slowest moments hardly at all ("coordinated omission"). Here the times of all requests are fixed beforehand, as
those of many independent users are, and an answer's latency counts from the time at which its request should have left.
"""

import asyncio
import contextlib
import json
import multiprocessing
import random
import time
from typing import NamedTuple

from ppcls_lite.serving.load import ANSWER_SECONDS

BUSY = 54  # err_no of a request that was refused at once


class Load(NamedTuple):
    """What became of the requests: seconds of each good answer, how many were refused, and what went wrong."""

    offered: float  # requests a second
    sent: int
    seconds: list
    refused: list  # seconds until a refusal
    wrong: list
    wall: float
    cpu: float  # seconds that the client itself used

    @property
    def throughput(self):
        """Good answers per second."""
        return len(self.seconds) / self.wall

    def percentile(self, part):
        """Milliseconds within which that part (0 to 1) of the good answers arrived."""
        if not self.seconds:
            return float("inf")
        return 1000 * sorted(self.seconds)[min(int(part * len(self.seconds)), len(self.seconds) - 1)]


def offer(port, path, questions, rate, seconds, seed=0):
    """Send `rate` requests a second for `seconds`, at random times (Poisson), in a separate process; the `Load`.

    Args:
        questions: `load.Question`, sent in turn; one without an expected answer is to be refused with an error.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(False)
    process = context.Process(target=_work, args=(sender, port, path, questions, rate, seconds, seed))
    process.start()
    sender.close()
    try:
        return Load(*receiver.recv())
    finally:
        process.join()


def arrivals(rate, seconds, seed):
    """The times of the requests, in seconds from the beginning: those of a Poisson process."""
    chance, now, times = random.Random(seed), 0.0, []
    while True:
        now += chance.expovariate(rate)
        if now >= seconds:
            return times
        times.append(now)


def _work(sender, port, path, questions, rate, seconds, seed):
    client = _Client(port, path, questions)
    load = asyncio.run(client.run(arrivals(rate, seconds, seed), seconds))
    sender.send((rate, *load))


class _Client:
    """The connections of an open loop: a request takes one that is free, or opens another."""

    def __init__(self, port, path, questions):
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
        self.ready = [(head.encode() + b"%d\r\n\r\n" % len(q.body) + q.body, q.expected) for q in questions]
        self.port, self.free = port, []
        self.seconds, self.refused, self.wrong = [], [], []

    async def run(self, times, seconds):
        start, tasks = time.perf_counter(), set()
        for number, at in enumerate(times):
            wait = start + at - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(self._ask(start + at, *self.ready[number % len(self.ready)]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=ANSWER_SECONDS)
        wall = max(time.perf_counter() - start, seconds)
        for _, writer in self.free:
            writer.close()
        return len(times), self.seconds, self.refused, self.wrong[:20], wall, time.process_time()

    async def _ask(self, due, data, expected):
        reader = writer = None
        try:
            reader, writer = self.free.pop() if self.free else await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(data)
            answer, closes = await _answer(reader)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            self.wrong.append(f"lost: {error!r}")
            if writer is not None:
                writer.close()
            return
        self._note(answer, expected, time.perf_counter() - due)
        if closes:
            writer.close()
        else:
            self.free.append((reader, writer))

    def _note(self, answer, expected, seconds):
        if answer["err_no"] == BUSY:
            self.refused.append(seconds)
        elif expected is None and answer["err_no"]:
            pass  # refused, as it should be
        elif expected is not None and not answer["err_no"] and dict(zip(answer["key"], answer["value"])) == expected:
            self.seconds.append(seconds)
        else:
            self.wrong.append(f"wrong: {answer!r:.300}")


async def _answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].split()[0])
    closes = b"connection: close" in head
    with contextlib.suppress(UnicodeDecodeError):
        return json.loads(await reader.readexactly(length)), closes
    raise ValueError("not an answer")
