"""How much do 5,000 connections that hold their places slow the good clients of the service down?

    python tests/benchmarks/strangers.py --model deploy/paddleserving/digits_serving --connections 5000 --rounds 3

Each kind of connection is held by a process of its own, which opens a new one for each that the service closes: idle
after an answer, silent from the beginning, a byte of a header a second, a byte of a body a second. In each round
the good clients are measured without and then with each kind; a probe asks /ready all the while. Prints medians of the
rounds. Exit code: 0 every p99 is below twice the quiet one and each probe was answered within a second, 1 otherwise.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.serving.load import Question, run_load
from ppcls_lite.serving.running import start_service
from ppcls_lite.utils.errors import UserError, run_main

PATH = "/imagenet/prediction"
HEAD = b"POST /imagenet/prediction HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
KINDS = ("idle", "silent", "header", "body")
LIMIT, PROBE_SECONDS = 2.0, 1.0
ROOT = Path(__file__).resolve().parents[2]
IMAGE, SCRIPT = ROOT / "test_images/coffee.jpg", ROOT / "deploy/paddleserving/classification_web_service.py"


def hold(port, kind, count, ready, ended):
    """Hold `count` connections of a kind until `ended` is set, in a process of its own."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(_hold(port, kind, count, ready, ended))


async def _hold(port, kind, count, ready, ended):
    opened = [0]

    async def one(number):
        while not ended.is_set():
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                opened[0] += 1
                await _begin(kind, reader, writer)
                while not ended.is_set() and not reader.at_eof():
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(reader.read(4096), 1)
                    if kind in ("header", "body"):
                        writer.write(b"a")
                writer.close()
            await asyncio.sleep(0.05)

    tasks = []
    for number in range(count):
        tasks.append(asyncio.ensure_future(one(number)))
        if number % 50 == 49:
            await asyncio.sleep(0.02)
    while opened[0] < count:
        await asyncio.sleep(0.05)
    ready.set()
    while not ended.is_set():
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()


async def _begin(kind, reader, writer):
    if kind == "idle":
        writer.write(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        await reader.readexactly(length)
    elif kind == "header":
        writer.write(HEAD % 9 + b"X-Slow: ")
    elif kind == "body":
        writer.write(HEAD % (1 << 24) + b"\r\n")


class Probe(threading.Thread):
    """Asks /ready five times a second; `longest` is the slowest answer in seconds."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.url, self.longest, self.failed, self.ended = f"http://127.0.0.1:{port}/ready", 0.0, 0, threading.Event()
        self.open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self.start()

    def run(self):
        while not self.ended.wait(0.2):
            start = time.monotonic()
            try:
                self.open(self.url, timeout=10).read()
            except OSError:
                self.failed += 1
            self.longest = max(self.longest, time.monotonic() - start)


def measure(service, questions, args):
    """(p99 in ms, slowest probe in s) of the good clients as it is now."""
    probe = Probe(service.port)
    outcome = run_load(service.port, PATH, questions, args.clients, args.seconds)
    probe.ended.set()
    if outcome.wrong or probe.failed:
        raise UserError(f"{len(outcome.wrong)} wrong: {outcome.wrong[:1]}; {probe.failed} probes without an answer")
    return outcome.percentile(0.99), probe.longest


def with_crowd(service, kind, questions, args):
    """As `measure`, with the connections of a kind."""
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Event(), context.Event()
    crowd = context.Process(target=hold, args=(service.port, kind, args.connections, ready, ended))
    crowd.start()
    try:
        if not ready.wait(120):
            raise UserError(f"{kind}: the connections were not made within two minutes")
        return measure(service, questions, args)
    finally:
        ended.set()
        crowd.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder that convert.py made for the server")
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=4, help="good ones")
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found = {}
    body = json.dumps({"key": ["image"], "value": [base64.b64encode(IMAGE.read_bytes()).decode()]}).encode()
    with tempfile.TemporaryDirectory() as folder:
        service = start_service(SCRIPT, Path(args.model).resolve(), Path(folder, "service"))
        try:
            answer = service.wait(body)
            questions = [Question(body, dict(zip(answer["key"], answer["value"])))]
            for _ in range(args.rounds):
                found.setdefault("quiet", []).append(measure(service, questions, args))
                for kind in KINDS:
                    found.setdefault(kind, []).append(with_crowd(service, kind, questions, args))
        finally:
            service.stop()
    return report(found, args.connections)


def report(found, count):
    """Print the medians; 1 where a limit is exceeded."""
    quiet = [p99 for p99, _ in found["quiet"]]
    too_slow = False
    for kind, values in found.items():
        ratio = statistics.median(p99 / base for (p99, _), base in zip(values, quiet))
        p99, probe = (statistics.median(column) for column in zip(*values))
        too_slow |= ratio > LIMIT or probe > PROBE_SECONDS
        held = f"{0 if kind == 'quiet' else count:5} connections"
        print(f"{kind:7} {held}: p99 {p99:6.1f} ms, {ratio:.2f} of the quiet one; slowest probe {probe:.3f} s")
    return int(too_slow)


if __name__ == "__main__":
    run_main(main)
