"""One request of HTTP/2, written byte by byte, so that it can hold what no library would send."""

import contextlib
import struct

from tests.helpers.smuggling import SECONDS, SMUGGLED

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4

# {what: (method, path, further headers, body)}; "{path}" is that of a prediction, "{ready}" that of a question
SHAPES = {
    "a length of 0": ("POST", "{path}", [("content-length", "0")], SMUGGLED),
    "a short length": ("POST", "{path}", [("content-length", "3")], SMUGGLED),
    "a long length": ("POST", "{path}", [("content-length", "500")], SMUGGLED),
    "two lengths": ("POST", "{path}", [("content-length", "0"), ("content-length", str(len(SMUGGLED)))], SMUGGLED),
    "chunks": ("POST", "{path}", [("transfer-encoding", "chunked")], b"0\r\n\r\n" + SMUGGLED),
    "a line in a value": ("POST", "{path}", [("x-a", "b\r\ntransfer-encoding: chunked")], b"0\r\n\r\n" + SMUGGLED),
    "a line feed in a value": ("POST", "{path}", [("x-a", "b\ncontent-length: 0")], SMUGGLED),
    "a line in a name": ("POST", "{path}", [("x-a: b\r\ncontent-length", "0")], SMUGGLED),
    "a request in a value": ("POST", "{path}", [("x-a", "b\r\n\r\n" + SMUGGLED.decode())], b""),
    "a request in the path": ("GET", "{ready} HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled", [], b""),
    "a request in the method": ("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nGET", "{ready}", [], b""),
    "a length that is for this connection only": ("POST", "{path}", [("connection", "content-length")], SMUGGLED),
    "GET with a body": ("GET", "{ready}", [], SMUGGLED),
    "HEAD with a body": ("HEAD", "{ready}", [], SMUGGLED),
}


def send_http2(connection, name, post, ready, more):
    """Send a shape over a TLS connection, and wait until it was answered or refused; the connection is closed."""
    method, path, headers, body = SHAPES[name]
    path = path.format(path=post, ready=ready)
    pseudo = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
    block = b"".join(_literal(*pair) for pair in [*pseudo, *more, *headers])
    ends = 0 if body else _END_STREAM
    data = _PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_HEADERS, _END_HEADERS | ends, 1, block)
    if body:
        data += _frame(_DATA, _END_STREAM, 1, body)
    with connection, contextlib.suppress(OSError):
        connection.settimeout(SECONDS)
        connection.sendall(data)
        stream = connection.makefile("rb")
        while head := stream.read(9):
            kind, flags = head[3], head[4]
            stream.read(int.from_bytes(head[:3], "big"))
            if kind in (_RESET, _GOAWAY) or (kind in (_DATA, _HEADERS) and flags & _END_STREAM):
                return


def _frame(kind, flags, stream, content):
    return len(content).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + content


def _literal(name, value):
    """A header that is neither compressed nor remembered."""
    return b"\0" + b"".join(_text(part.encode()) for part in (name, value))


def _text(data):
    assert len(data) < 127, data
    return bytes([len(data)]) + data
