"""Several processes of one service: they share its ports, and are started again when they end by themselves.

The supervisor binds both ports, so that a second service cannot take them unnoticed, and serves nothing itself. All
processes accept HTTP connections from its one socket: none is lost when one of them ends. For gRPC, which can only
open sockets of its own, each process has one with SO_REUSEPORT, between which the system chooses.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque

from ppcls_lite.serving.metrics import FOLDER, forget_process
from ppcls_lite.serving.server import SAME_SECONDS, bind, bracketed, told
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger

WORKER = "PPCLS_SERVING_WORKER"  # in a worker's environment: `NUMBER SOCKET PIPE RPC_PORT`
_ENDS, _END_SECONDS = 5, 60  # so many ends of workers in that time: the service is ill, and ends
_WAIT_SECONDS = 0.05
_START_SECONDS = 600  # for the models of all workers


class Supervisor:
    """`processes` workers of a service; `run` serves until a signal ends it.

    Args:
        settings: `Settings`.
        command: the command line of a worker.
        metrics_dir: the folder of the metrics of all workers.
    """

    def __init__(self, settings, command, metrics_dir):
        self.settings, self.command, self.metrics_dir = settings, command, metrics_dir
        self._http = bind("http_port", settings.host, settings.http_port)
        self._http.listen(1)  # so that nobody else can: each worker sets how many may wait
        bind("rpc_port", settings.host, settings.rpc_port).close()  # alone, then shared with the workers
        self._rpc = bind("rpc_port", settings.host, settings.rpc_port, shared=True)
        self._workers, self._ends, self._signals, self._signalled = {}, deque(maxlen=_ENDS), [], 0.0
        self.asked = Counter()  # {(model, images): requests}, of workers that have ended

    def run(self):
        """Serve; UserError when the workers end again and again, or cannot start."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note_signal)
        try:
            for number in range(self.settings.processes):
                self._workers[number] = _Worker(self, number)
            self._wait_until_ready()
            self._say_where()
            while not self._stops():
                self._look_after_workers()
                time.sleep(_WAIT_SECONDS)
        except BaseException:
            self._end_workers(signal.SIGKILL)
            raise
        self._end_workers(signal.SIGTERM)

    def _note_signal(self, number, frame):
        now = time.monotonic()
        if number != signal.SIGHUP and self._signalled and now - self._signalled < SAME_SECONDS:
            return
        self._signalled = now if number != signal.SIGHUP else 0.0
        self._signals.append(number)

    def _stops(self):
        """Whether a signal says so; hands a SIGHUP on."""
        while self._signals and self._signals[0] == signal.SIGHUP:
            self._signals.pop(0)
            for worker in self._workers.values():
                worker.process.send_signal(signal.SIGHUP)
        return bool(self._signals)

    def _wait_until_ready(self):
        end = time.monotonic() + _START_SECONDS
        while not all(worker.is_ready() for worker in self._workers.values()):
            for worker in self._workers.values():
                if worker.process.poll() is not None:
                    raise UserError(f"process {worker.number} of the service ended before it was ready")
            if self._stops() or time.monotonic() > end:
                raise UserError("the service was stopped before it was ready")
            time.sleep(_WAIT_SECONDS)

    def _say_where(self):
        host, port, rpc = bracketed(self.settings.host), self._http.getsockname()[1], self._rpc.getsockname()[1]
        print(next(iter(self._workers.values())).said, end="")
        for name in self.settings.names:
            print(f"listening: http://{host}:{port}/{name}/prediction and grpc {host}:{rpc}", flush=True)

    def _look_after_workers(self):
        for number, worker in list(self._workers.items()):
            status = worker.process.poll()
            if status is None:
                continue
            self._ends.append(time.monotonic())
            if len(self._ends) == _ENDS and self._ends[-1] - self._ends[0] < _END_SECONDS:
                raise UserError(f"{_ENDS} processes of the service have ended within {_END_SECONDS} seconds")
            logger.error(f"process {number} of the service ended with {status} and is started again")
            forget_process(worker.process.pid, self.metrics_dir)
            self.asked += worker.read_asked()
            self._workers[number] = _Worker(self, number)

    def _end_workers(self, number):
        """Let all end at the same time; those that do not within the grace period, or a second signal, are killed."""
        if number == signal.SIGTERM:
            print("stopping", flush=True)
        self._http.close()
        running = [worker.process for worker in self._workers.values()]
        for process in running:
            process.send_signal(number)
        end = time.monotonic() + self.settings.grace_seconds + 1
        while any(process.poll() is None for process in running) and time.monotonic() < end and len(self._signals) < 2:
            time.sleep(_WAIT_SECONDS)
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
        for worker in self._workers.values():
            self.asked += worker.read_asked()
        if len(self._signals) > 1:
            print("ended by a second signal", flush=True)
            os._exit(128 + self._signals[1])
        print(f"asked: {told(self.asked, self.settings.names)}", flush=True)


class _Worker:
    """One process, which writes what it has to say into a pipe when it is ready."""

    def __init__(self, supervisor, number):
        self.number, self.said = number, ""
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        shared = (supervisor._http.fileno(), writer)
        words = (number, *shared, supervisor._rpc.getsockname()[1])
        environment = {**os.environ, WORKER: " ".join(map(str, words)), FOLDER: supervisor.metrics_dir}
        self.process = subprocess.Popen(supervisor.command, env=environment, pass_fds=shared, stdin=subprocess.DEVNULL)
        os.close(writer)

    def is_ready(self):
        """Whether it has said what it has to say."""
        if not self.said:
            with contextlib.suppress(BlockingIOError):
                self.said = os.read(self._reader, 65536).decode()
        return bool(self.said)

    def read_asked(self):
        """Counter {(model, images): requests} of a worker that has ended; empty where it was killed."""
        with open(self._reader, encoding="utf-8", closefd=True) as stream:
            lines = [line.split() for line in stream.read().splitlines()]
        return Counter({(name, int(images)): int(requests) for name, images, requests in lines})


class Place:
    """What a worker has from its supervisor: the shared socket and the port of gRPC."""

    def __init__(self, text):
        number, http, self._pipe, self.rpc_port = map(int, text.split())
        self.number, self.listener, self.supervisor = number, socket.socket(fileno=http), os.getppid()

    def say(self, text):
        """Tell the supervisor that the worker is ready."""
        os.write(self._pipe, text.encode())

    def say_asked(self, asked):
        """Tell it {(model, images): requests} at the end."""
        text = "".join(f"{name} {images} {requests}\n" for (name, images), requests in asked.items())
        os.write(self._pipe, text.encode())


def own_place():
    """The `Place` of this process, None where it is no worker."""
    text = os.environ.pop(WORKER, None)
    return Place(text) if text else None


def own_command():
    """The command line that started this process."""
    return [sys.executable, *sys.argv]
