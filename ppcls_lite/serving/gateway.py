"""HTTP in front of the pipeline: one JSON request in, one JSON answer out, on the path /<service>/<method>.

Paddle Serving's own proxy takes the same requests, but listens on every address of the machine, reads bodies of any
size, and answers a malformed body in another form. This one is bound to one address, limits the size of bodies, and
runs in the server's process, so that nothing is left running when that ends.
"""

import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ppcls_lite.serving.paddle_serving import pipeline_service_pb2
from ppcls_lite.serving.request import Code, RequestError, shown

IDLE_SECONDS = 30  # without a byte, before a connection is closed
BODY_SECONDS = 60  # for a whole request
DRAIN_BYTES, DRAIN_SECONDS = 1 << 30, 10  # limits for reading the rest of a refused body, so that the answer arrives
_PATH = re.compile(r"/([A-Za-z0-9_.@-]{1,100})/([A-Za-z0-9_.-]{1,100})")
_STATUS = {Code.FORM: 400, Code.LIMIT: 413, Code.BUSY: 503}


class Budget:
    """How many bytes of bodies may be held at once, over all connections."""

    def __init__(self, size):
        self._left, self._changed = size, threading.Condition()

    @contextmanager
    def take(self, size, seconds):
        """Hold `size` bytes while the block runs; RequestError when they do not become free in that time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._left >= size, seconds):
                raise RequestError(Code.BUSY, f"too many large requests at once; waited {seconds} seconds")
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()


class Gateway(ThreadingHTTPServer):
    """`answer(request) -> response`, the pipeline's messages, for HTTP clients, with a limited number of threads.

    Args:
        listener: a bound socket.
        name: the service's name, which is the first part of its path: /<name>/prediction.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, listener, name, answer, limits):
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.name, self.answer, self.limits = name, answer, limits
        self.budget = Budget(4 * limits.max_body)
        self._places = threading.BoundedSemaphore(limits.max_connections)

    def start(self):
        """Accept connections from now on; earlier ones were refused."""
        self.socket.listen(self.limits.max_connections)
        self.thread = threading.Thread(target=self.serve_forever, name="gateway", daemon=True)
        self.thread.start()

    def process_request(self, request, client_address):
        self._places.acquire()  # further connections wait in the system's queue
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request, client_address):
        """A client that disconnects early is not an error of the server: no traceback."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ppcls_lite", ""
    timeout = IDLE_SECONDS
    wbufsize = -1  # header and body leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == f"/{self.server.name}/ready":
            self._send(200, {"name": self.server.name, "ready": True})
        else:
            self._refuse(404, Code.FORM, f"expected POST /{self.server.name}/prediction")

    def do_POST(self):
        try:
            name, method = self._route()
            length = self._length()
            with self.server.budget.take(length, IDLE_SECONDS):
                request = parse(self._body(length))
                request.name, request.method = name, method
                response = self.server.answer(request)
            self._send(200, as_dict(response))
        except RequestError as error:
            self._refuse(_STATUS.get(error.code, 400), error.code, str(error))

    def _route(self):
        match = _PATH.fullmatch(self.path)
        if not match or match[1] != self.server.name:
            path = f"/{self.server.name}/prediction"
            raise RequestError(Code.FORM, f"expected POST {path}, found {shown(self.path)}")
        return match.groups()

    def _length(self):
        text = self.headers.get("Content-Length")
        if text is None or not re.fullmatch(r"[0-9]{1,18}", text) or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # where the body ends is not known
            raise RequestError(Code.FORM, f"expected a body with a Content-Length, found {shown(str(text))}")
        limit = self.server.limits.max_body
        if int(text) > limit:
            raise RequestError(Code.LIMIT, f"a body of {int(text)} bytes; expected at most {limit}")
        return int(text)

    def _body(self, length):
        body, end = bytearray(length), time.monotonic() + BODY_SECONDS
        view, at = memoryview(body), 0
        while at < length:
            count = self.rfile.readinto1(view[at:])
            if not count or time.monotonic() > end:
                self.close_connection = True
                raise RequestError(Code.FORM, f"the body ended after {at} of {length} bytes")
            at += count
        self._read = True
        return body

    def handle_one_request(self):
        self._read = False
        super().handle_one_request()

    def _send(self, status, content):
        text = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)
        self.wfile.flush()

    def _refuse(self, status, code, message):
        if not self._read:
            self.close_connection = True
        self._send(status, {"err_no": int(code), "err_msg": message, "key": [], "value": [], "tensors": []})
        if not self._read:
            self._drain()

    def _drain(self):
        """Read and drop the rest of the body: closing a connection with unread data would lose the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        end, left = time.monotonic() + DRAIN_SECONDS, DRAIN_BYTES
        while left > 0 and time.monotonic() < end:
            count = len(self.rfile.read1(1 << 16))
            if not count:
                return
            left -= count

    def send_error(self, code, message=None, explain=None):
        """Answer what the standard library refuses (a malformed header) in the same form as any other error."""
        self.close_connection = True
        self._read = True
        if not hasattr(self, "request_version"):
            self.request_version = "HTTP/1.0"
        self._refuse(int(code), Code.FORM, shown(str(message or code), 200))

    def log_message(self, *arguments):
        """Requests are not logged; the pipeline logs those that fail."""


def parse(body):
    """The pipeline's Request from a JSON body; RequestError for anything else."""
    try:
        content = json.loads(body, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise RequestError(Code.FORM, f"the body is not JSON: {shown(str(error), 100)}") from None
    if not isinstance(content, dict):
        raise RequestError(Code.FORM, 'expected {"key": ["image"], "value": [base64]}, found another JSON value')
    if content.get("tensors"):
        raise RequestError(Code.FORM, 'tensors are not accepted; expected {"key": ["image"], "value": [base64]}')
    request = pipeline_service_pb2.Request()
    for field in ("key", "value"):
        texts = content.get(field)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RequestError(Code.FORM, f'"{field}": expected a list of texts, found {_kind(content, field)}')
        try:
            getattr(request, field).extend(texts)
        except ValueError:  # half of a surrogate pair
            raise RequestError(Code.FORM, f'"{field}": holds a text that is not Unicode') from None
    logid = content.get("logid") or 0
    if type(logid) is not int or not 0 <= logid < 1 << 63:
        raise RequestError(Code.FORM, f'"logid": expected a whole number, found {shown(str(logid))}')
    request.logid = logid
    return request


def _whole(text):
    if len(text) > 30:
        raise ValueError("a number of more than 30 digits")
    return int(text)


def _kind(content, field):
    if field not in content:
        return "nothing"
    value = content[field]
    return "a list with something else in it" if isinstance(value, list) else f"a {type(value).__name__}"


def as_dict(response):
    """The answer as Paddle Serving's proxy writes it."""
    return {
        "err_no": response.err_no,
        "err_msg": response.err_msg,
        "key": list(response.key),
        "value": list(response.value),
        "tensors": [],
    }
