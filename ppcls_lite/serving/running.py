"""A service that a benchmark starts: on free ports, asked until it answers, and ended with all that it started."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

from ppcls_lite.serving.load import exchange
from ppcls_lite.utils.errors import UserError

_SECONDS_TO_START = 120


class RunningService:
    """A service in a session of its own.

    Args:
        name: for messages.
        port: that of HTTP.
        command: its command line.
        folder: where it runs, and has its log; it is made.
    """

    def __init__(self, name, port, command, folder):
        self.name, self.port, self.folder = name, port, folder
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, question):
        """Until it answers the question, a JSON body; returns the answer. UserError when it does not become ready."""
        head = f"POST /imagenet/prediction HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(question)}\r\n\r\n"
        end = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError, TypeError):
                with socket.create_connection(("127.0.0.1", self.port), timeout=_SECONDS_TO_START) as connection:
                    answer, _ = exchange(connection, head.encode() + question)
                if answer.get("err_no") == 0:
                    return answer
            time.sleep(0.1)  # between two attempts
        log = (self.folder / "log").read_text(errors="replace").strip().splitlines()[-3:]
        raise UserError(f"{self.name}: the service did not become ready: {' | '.join(log)}")

    def stop(self):
        """Kill its whole session: workers and the proxy of the stock server outlive it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_service(script, model, folder, settings=()):
    """The `RunningService` of a converted model, by a service's script whose operator is `imagenet`, with settings such
    as limits.max_wait_ms=20."""
    ports = free_ports(2)
    places = [f"http_port={ports[0]}", f"rpc_port={ports[1]}", f"op.imagenet.local_service_conf.model_config={model}"]
    return RunningService("the service", ports[0], [sys.executable, str(script), "-o", *places, *settings], folder)


def free_ports(count):
    """Ports that nothing listens on at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
