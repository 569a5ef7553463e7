"""Requests whose end two servers may see at different places, so that a second one could be smuggled past the first.

`SHAPES` are sent as they are, over one connection, and followed by `marker`. Whoever reads them must answer each shape
once, with an error or as one request, and must never take what it holds, `SMUGGLED`, for a request of its own.
"""

import contextlib
import re
import socket
import threading
from typing import NamedTuple

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: service\r\n\r\n"
SECONDS = 20  # without an answer, before a server counts as waiting for more
_SIZE = len(SMUGGLED)
_END = b"0\r\n\r\n"


def _post(*lines, body=SMUGGLED, end=b"\r\n", method=b"POST", version=b"1.1"):
    head = [method + b" {path} HTTP/" + version, b"Host: service", b"{more}", *lines]
    return end.join(head) + end + end + body


def _length(size):
    return b"Content-Length: %d" % size


_BOTH = _length(len(_END) + _SIZE)
_CHUNKED = b"Transfer-Encoding: chunked"
_CHUNK = b"%x\r\n" % _SIZE

SHAPES = {
    "two lengths, the first 0": _post(_length(0), _length(_SIZE)),
    "two lengths, the second 0": _post(_length(_SIZE), _length(0)),
    "a list of lengths": _post(b"Content-Length: 0, %d" % _SIZE),
    "a length with a sign": _post(b"Content-Length: +%d" % _SIZE),
    "a length of two numbers": _post(b"Content-Length: 0 %d" % _SIZE),
    "a hexadecimal length": _post(b"Content-Length: 0x%x" % _SIZE),
    "a negative length": _post(b"Content-Length: -1"),
    "a length with a blank before the colon": _post(b"Content-Length : %d" % _SIZE),
    "CL.TE": _post(_BOTH, _CHUNKED, body=_END + SMUGGLED),
    "TE.CL": _post(_CHUNKED, _length(len(_CHUNK)), body=_CHUNK + SMUGGLED + b"\r\n" + _END),
    "a blank before the colon": _post(_BOTH, b"Transfer-Encoding : chunked", body=_END + SMUGGLED),
    "a tab before the colon": _post(_BOTH, b"Transfer-Encoding\t: chunked", body=_END + SMUGGLED),
    "xchunked": _post(_BOTH, b"Transfer-Encoding: xchunked", body=_END + SMUGGLED),
    "chunked, identity": _post(_BOTH, b"Transfer-Encoding: chunked, identity", body=_END + SMUGGLED),
    "two encodings": _post(_CHUNKED, b"Transfer-Encoding: identity", body=_END + SMUGGLED),
    "a vertical tab before chunked": _post(_BOTH, b"Transfer-Encoding: \x0bchunked", body=_END + SMUGGLED),
    "chunked in HTTP 1.0": _post(_BOTH, _CHUNKED, body=_END + SMUGGLED, version=b"1.0"),
    "no colon": _post(_length(_SIZE), b"no colon"),
    "an encoding without a colon": _post(_BOTH, b"Transfer-Encoding chunked", body=_END + SMUGGLED),
    "a folded encoding": _post(_BOTH, b"Transfer-Encoding:\r\n chunked", body=_END + SMUGGLED),
    "a folded length": _post(b"Content-Length: 0\r\n %d" % _SIZE),
    "a folded first line": _post(_length(0)).replace(b"Host: service", b" Content-Length: %d" % _SIZE, 1),
    "bare line feeds": _post(_length(_SIZE), end=b"\n"),
    "a line feed in a value": _post(_BOTH, b"X-A: b\nTransfer-Encoding: chunked", body=_END + SMUGGLED),
    "a carriage return in a value": _post(_BOTH, b"X-A: b\rTransfer-Encoding: chunked", body=_END + SMUGGLED),
    "a zero byte in a name": _post(_BOTH, b"Transfer-Encoding\0: chunked", body=_END + SMUGGLED),
    "an underscore": _post(_length(0), b"Content_Length: %d" % _SIZE, body=b""),
    "a chunk with a sign": _post(_CHUNKED, body=b"+" + _CHUNK + SMUGGLED + b"\r\n" + _END),
    "a chunk that overflows": _post(_CHUNKED, body=b"1%016x\r\n" % 0 + SMUGGLED),
    "chunks with bare line feeds": _post(_CHUNKED, body=b"%x\n" % _SIZE + SMUGGLED + b"\n0\n\n"),
    "a line feed in a chunk's extension": _post(_CHUNKED, body=b"0;a\n\r\n" + SMUGGLED),
    "a chunk longer than its size": _post(_CHUNKED, body=b"1\r\n" + SMUGGLED + _END),
    **{
        f"{method} with a body": _post(_length(_SIZE), method=method.encode())
        for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PUT")
    },
    "GET with chunks": _post(_CHUNKED, body=_CHUNK + SMUGGLED + b"\r\n" + _END, method=b"GET"),
}


class Answer(NamedTuple):
    """What a server said; the status of bytes that are no answer of HTTP is 0."""

    status: int
    body: bytes


def send_shape(connection, name, post, ready, more=()):
    """[`Answer`] of a server to a shape and the marker behind it, over one connection, which is closed.

    Args:
        connection: a connected socket.
        name: of the shape.
        post, ready: the paths of a prediction and of a question, which the marker asks.
        more: further lines of both heads, such as b"X-Api-Key: 1".
    """
    lines, shape = b"\r\n".join([b"X-Shape: 1", *more]), SHAPES[name]
    data = shape.replace(b"{path}", (ready if shape.startswith((b"GET", b"HEAD")) else post).encode())
    marker = b"GET " + ready.encode() + b" HTTP/1.1\r\nHost: service\r\n" + lines + b"\r\nConnection: close\r\n\r\n"
    with connection:
        connection.settimeout(SECONDS)
        with contextlib.suppress(OSError):  # closed after the shape's answer, which is there to be read
            connection.sendall(data.replace(b"{more}", lines) + marker)
        return answers_of(connection, shape.startswith(b"HEAD"))


def answers_of(connection, is_head):
    """[`Answer`] of all that arrives until the server closes the connection, or sends nothing for SECONDS."""
    data = b""
    with contextlib.suppress(OSError):
        while more := connection.recv(1 << 16):
            data += more
    answers = []
    while data:
        if not re.match(rb"HTTP/1\.[01] \d{3} ", data):
            return [*answers, Answer(0, data)]
        head, _, data = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length[1]) if length else len(data)
        if is_head and not answers:
            size = 0
        answers.append(Answer(int(head.split()[1]), data[:size]))
        data = data[size:]
    return answers


def problem(answers):
    """What is wrong with the answers to a shape and its marker: "" where nothing was smuggled.

    The shape is answered once. Behind it there is nothing, or the marker's answer, 200 with "ready".
    """
    if not answers or len(answers) > 2:
        return f"expected one answer to the shape and at most one to the marker, found {answers}"
    if len(answers) == 2 and (answers[1].status != 200 or b"ready" not in answers[1].body):
        return f"the marker has the answer of another request: {answers[1]}"
    return ""


class WeakServer:
    """A back end that reads as badly as one may fear: the first Content-Length of a POST, and of nothing else.

    `seen` are the first lines of all requests that it takes for such, `heads` all their lines. It gives each of them
    the same answer, and closes the connection where that is empty.
    """

    def __init__(self, answer=b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"ready": true}'):
        self.seen, self.heads, self.answer = [], [], answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
            while first := stream.readline():
                self.seen.append(first.decode("latin-1").strip())
                head = b"".join(iter(stream.readline, b"\r\n"))
                self.heads.append(first + head)
                length = re.search(rb"(?im)^content-length: *(\d+)", head)
                if length and first.startswith(b"POST"):
                    stream.read(int(length[1]))
                if not self.answer:
                    return
                connection.sendall(self.answer)

    def stop(self):
        self._listener.close()
