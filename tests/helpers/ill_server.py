"""A server that answers as it is planted to, however wrong that is: a thread for each connection."""

import contextlib
import socket
import threading

BODY = b'{"err_no": 0, "key": ["label"], "value": ["one"]}'
EXPECTED = {"label": "one"}


def answer(body=BODY):
    """The bytes of an answer with that body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@contextlib.contextmanager
def ill_server(reply, idle_seconds=None):
    """The port of a server: `reply()` gives the bytes for a request of one packet, None for none at all.

    Args:
        idle_seconds: after which it closes a connection without a word.
    """
    ended, connections = threading.Event(), []

    def serve(connection):
        connection.settimeout(idle_seconds)
        with contextlib.suppress(OSError), connection:
            while connection.recv(65536):
                content = reply()
                if content is None:
                    ended.wait()
                    return
                connection.sendall(content)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connections.append(listener.accept()[0])
                threading.Thread(target=serve, args=(connections[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            for connection in connections:
                connection.close()
