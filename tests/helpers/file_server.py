"""A server of one file that can fail in every way that servers do: it cuts, stalls, lies, redirects, sends pages."""

import base64
import contextlib
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """What it serves, and how; the attributes may be changed while it runs.

    body: of every path but those that end in `absent`. tag: its ETag. requests: (path, Range or None) of each request.
    cut_at, cuts: how many bytes are sent before the connection is cut, and how many times.
    stall: seconds of silence after `cut_at` bytes, in place of the cut. pause: seconds between pieces of `piece` bytes.
    length: added to the true Content-Length; None: no length is stated, the end of the connection is that of the file.
    redirects: how many times a request is sent on to the same server. content_type, md5 (of the body, if True).
    blind: it looks at Range only, not at If-Range. status: of the answer in place of 200, the next `cuts` times.
    """

    def __init__(self, body):
        self.body, self.tag, self.requests = body, '"one"', []
        self.cut_at, self.cuts, self.stall, self.piece, self.pause = 0, 0, 0, None, 0
        self.length, self.redirects, self.content_type, self.md5 = 0, 0, "application/octet-stream", False
        self.blind, self.status, self.address = False, None, ""

    @contextlib.contextmanager
    def running(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"files": self}))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        files, ranged = self.files, self.headers.get("Range")
        files.requests.append((self.path, ranged))
        if self.path.endswith("absent"):
            self.send_error(404)
        elif files.redirects > 0:
            files.redirects -= 1
            self.send_response(302)
            self.send_header("Location", f"{files.address}/elsewhere{self.path}")
            self.end_headers()
        elif files.status and files.cuts > 0:
            files.cuts -= 1
            self.send_error(files.status)
        else:
            same = files.blind or self.headers.get("If-Range") == files.tag
            self._send_file(int(ranged[6:-1]) if ranged and same else 0)

    def _send_file(self, start):
        files, body = self.files, self.files.body
        if start >= len(body) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if files.length is not None:
            self.send_header("Content-Length", str(len(body) - start + files.length))
        if files.md5:
            digest = files.md5 if isinstance(files.md5, bytes) else hashlib.md5(body).digest()
            self.send_header("Content-MD5", base64.b64encode(digest).decode())
        self.send_header("Content-Type", files.content_type)
        self.send_header("ETag", files.tag)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self._send_body(body[start:])

    def _send_body(self, rest):
        files = self.files
        if files.cuts > 0:
            files.cuts -= 1
            self.wfile.write(rest[: files.cut_at])
            if not files.stall:
                return
            time.sleep(files.stall)
            rest = rest[files.cut_at :]
        piece = files.piece or len(rest) or 1
        for at in range(0, len(rest), piece):
            self.wfile.write(rest[at : at + piece])
            if files.pause:
                time.sleep(files.pause)

    def log_message(self, *_):
        pass
