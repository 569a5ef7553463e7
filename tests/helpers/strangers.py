"""Clients that hold what others need: connections that do nothing, or next to nothing."""

import contextlib
import json
import socket
import threading

from ppcls_lite.serving.load import exchange
from tests.helpers.scripts import LIMIT
from tests.helpers.service import encoded, make_image
from tests.serving.test_load import body

GOOD = encoded(make_image())
PATH = "/imagenet/prediction"
HEAD = b"POST /imagenet/prediction HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"


def connect(service):
    return socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT)


def get(service, path):
    """(status, content) of a page."""
    with connect(service) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        data = received(connection)
    head, _, content = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


def received(connection):
    """All bytes until the server closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            data += more
    return data


class Crowd:
    """Connections that hold their places: `step(connection)` again and again; a new one for each that was closed."""

    def __init__(self, service, count, begin, step, pause=0.2):
        self.service, self.begin, self.step, self.pause = service, begin, step, pause
        self.stopped, self.reopened = threading.Event(), 0
        self.connections = [self._open() for _ in range(count)]
        self.thread = threading.Thread(target=self._work)

    def _open(self):
        connection = connect(self.service)
        with contextlib.suppress(OSError):
            self.begin(connection)
        return connection

    def _work(self):
        while not self.stopped.wait(self.pause):
            for index, connection in enumerate(self.connections):
                try:
                    self.step(connection)
                except OSError:
                    connection.close()
                    self.reopened += 1
                    self.connections[index] = self._open()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        for connection in self.connections:
            connection.close()


def nothing(connection):
    """Send nothing; OSError once the server has closed."""
    connection.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        if not connection.recv(4096):
            raise ConnectionError("closed")
    connection.setblocking(True)


def one_byte(connection):
    connection.sendall(b"a")


def one_request(connection):
    data = body(GOOD)
    answer, _ = exchange(connection, HEAD % len(data) + b"\r\n" + data)
    assert answer["err_no"] == 0


CROWDS = {
    "that send a byte of a header at a time": (lambda c: c.sendall(HEAD % 9 + b"X-Slow: "), one_byte),
    "that announce 16 MB and send a byte at a time": (lambda c: c.sendall(HEAD % (1 << 24) + b"\r\n"), one_byte),
    "that send nothing": (lambda c: None, nothing),
    "that stay after a good request": (one_request, nothing),
}
