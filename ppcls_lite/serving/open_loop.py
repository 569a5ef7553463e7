"""A load that does not wait: requests leave at their times, whatever has become of those before.

Clients of a closed loop (`load.py`) wait for each answer before they ask again, so that a slow service is asked less,
and its slowest moments hardly at all ("coordinated omission"). Here the times of all requests are fixed beforehand, as
those of many independent users are, and an answer's latency counts from the time at which its request should have left.
"""

import asyncio
import json
import multiprocessing
import random
import resource
import time
from typing import NamedTuple

from ppcls_lite.serving.load import ANSWER_SECONDS

BUSY = 54  # err_no of a request that was refused at once


class Load(NamedTuple):
    """What became of the requests: seconds of each good answer, how many were refused, and what went wrong."""

    rate: float  # requests a second that were wanted
    sent: int
    seconds: list
    refused: list  # seconds until a refusal
    wrong: list  # a text for each that was wrong or lost
    duration: float  # seconds over which the requests were spread
    wall: float  # seconds until the last good answer, less the time of the quickest; at least the duration
    cpu: float  # seconds that the client itself used

    @property
    def offered(self):
        """Requests per second that were sent, however late they were answered."""
        return self.sent / self.duration

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
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection for each request under way
    client = _Client(port, path, questions)
    load = asyncio.run(client.run(arrivals(rate, seconds, seed), seconds))
    sender.send((rate, *load))


class _Client:
    """The connections of an open loop: a request takes one that is free, or opens another."""

    def __init__(self, port, path, questions):
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
        self.ready = [(head.encode() + b"%d\r\n\r\n" % len(q.body) + q.body, q.expected) for q in questions]
        self.port, self.free = port, []
        self.seconds, self.refused, self.wrong, self.last = [], [], [], 0.0

    async def run(self, times, seconds):
        start, tasks = time.perf_counter(), set()
        for number, at in enumerate(times):
            wait = start + at - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(self._ask(start + at, *self.ready[number % len(self.ready)]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        wall = max(self.last - start - min(self.seconds, default=0.0), seconds)
        for _, writer in self.free:
            writer.close()
        return len(times), self.seconds, self.refused, self.wrong, seconds, wall, time.process_time()

    async def _ask(self, due, data, expected):
        reader = writer = None
        try:
            reader, writer = self._take() or await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(data)
            answer, closes = await asyncio.wait_for(_answer(reader), ANSWER_SECONDS)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError) as error:
            self.wrong.append(f"lost: {error!r:.300}")
            if writer is not None:
                writer.close()
            return
        self._note(answer, expected, time.perf_counter() - due)
        if closes:
            writer.close()
        else:
            self.free.append((reader, writer))

    def _take(self):
        """The connection that was used last; None where the server has closed all that were free."""
        while self.free:
            reader, writer = self.free.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return None

    def _note(self, answer, expected, seconds):
        error = answer.get("err_no")
        if error == BUSY:
            self.refused.append(seconds)
        elif expected is None and error:
            pass  # refused, as it should be
        elif (
            expected is not None
            and error == 0
            and dict(zip(answer.get("key", ()), answer.get("value", ()))) == expected
        ):
            self.seconds.append(seconds)
            self.last = time.perf_counter()
        else:
            self.wrong.append(f"wrong: {answer!r:.300}")


async def _answer(reader):
    """(the JSON object of an answer, whether the server closes the connection); ValueError for another answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
    if not length.isdigit():
        raise ValueError(f"an answer without a Content-Length: {head[:100]!r}")
    answer = json.loads(await reader.readexactly(int(length)))
    if not isinstance(answer, dict):
        raise ValueError(f"an answer that is not a JSON object: {answer!r:.100}")
    return answer, b"connection: close" in head
