"""A load test: many clients at once, cheap enough to share the machine with the server (raw sockets, ready bytes)."""

import contextlib
import itertools
import json
import multiprocessing
import os
import re
import socket
import threading
import time
from typing import NamedTuple, Optional

ANSWER_SECONDS = 600  # after that an answer counts as lost, however busy the machine is
_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)


class Question(NamedTuple):
    """One request's JSON body, and the answer's keys and values that are expected; None expects an error."""

    body: bytes
    expected: Optional[dict] = None


class Outcome(NamedTuple):
    """The result: seconds of each good answer, the number of bad requests that were refused, and what went wrong."""

    seconds: list
    refused: int
    wrong: list
    wall: float
    cpu: float  # seconds that the clients themselves used

    @property
    def rate(self):
        """Requests per second."""
        return (len(self.seconds) + self.refused) / self.wall

    def percentile(self, part):
        """Milliseconds within which that part (0 to 1) of the good answers arrived."""
        return 1000 * sorted(self.seconds)[min(int(part * len(self.seconds)), len(self.seconds) - 1)]


def run_load(port, path, questions, clients, seconds, every=None):
    """Send requests over `clients` connections to 127.0.0.1 for `seconds`, in a separate process; returns an `Outcome`.

    Args:
        questions: sent in turn; with `every`, one of the others each `every`-th time, else the first one.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(False)
    process = context.Process(target=_work, args=(sender, port, path, questions, clients, seconds, every))
    process.start()
    sender.close()
    try:
        return Outcome(*receiver.recv())
    finally:
        process.join()


def _work(sender, port, path, questions, clients, seconds, every):
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    ready = [(head.encode() + b"%d\r\n\r\n" % len(q.body) + q.body, q.expected) for q in questions]
    taken, refused, wrong = [], [], []
    start = time.perf_counter()
    threads = [
        threading.Thread(
            target=_client, args=(port, _order(ready, number, every), start + seconds, taken, refused, wrong)
        )
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = os.times()
    sender.send((taken, len(refused), wrong[:20], time.perf_counter() - start, times.user + times.system))


def _order(ready, number, every):
    """The requests of one client, endlessly."""
    if not every:
        return itertools.islice(itertools.cycle(ready), number % len(ready), None)
    others = itertools.islice(itertools.cycle(ready[1:]), number % (len(ready) - 1), None)
    return (next(others) if turn % every == 0 else ready[0] for turn in itertools.count(number))


def _client(port, requests, end, taken, refused, wrong):
    connection = None
    for data, expected in requests:
        if time.perf_counter() >= end:
            break
        start = time.perf_counter()
        try:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
            answer, closes = exchange(connection, data)
        except (OSError, ValueError) as error:
            wrong.append(f"lost: {error!r}")
            connection = None
            continue
        if closes:
            connection.close()
            connection = None
        if expected is None and answer.get("err_no"):
            refused.append(1)
        elif expected is not None and answer["err_no"] == 0 and dict(zip(answer["key"], answer["value"])) == expected:
            taken.append(time.perf_counter() - start)
        else:
            wrong.append(f"wrong: {answer!r:.300}")
    if connection is not None:
        connection.close()


def exchange(connection, data):
    """(answer, whether the server closes the connection) for a request's bytes; OSError when it closes without one."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was sent whole: read why
        connection.sendall(data)
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("closed without an answer")
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    missing = int(_LENGTH.search(head)[1]) - len(body)
    while missing > 0:
        more = connection.recv(missing)
        if not more:
            raise ConnectionError("closed in the middle of an answer")
        body += more
        missing -= len(more)
    return json.loads(body), b"connection: close" in head.lower()
