"""The access log: one JSON line for each request, written without making anybody wait."""

import datetime
import json
import queue
import re
import sys
import threading
import uuid

from ppcls_lite.utils.errors import UserError

_ID = re.compile(r"[A-Za-z0-9._:/=+-]{1,128}")
_WAITING = 10_000  # lines; more are dropped, and counted: a full disk or a reader that sleeps must not stop the service
_SHOWN = 200  # characters of a text from a request


class AccessLog:
    """Writes each `Exchange` of a level.

    Args:
        level: `off`, `errors` (whatever was not answered well) or `all`.
        path: of the file, to which lines are added; None for standard error.
    Raises UserError when the file cannot be written.
    """

    def __init__(self, level, path=None):
        self.level, self.path = level, path
        self.dropped = 0
        self._lines, self._stream, self._reopen = queue.Queue(_WAITING), None, threading.Event()
        if level != "off":
            self._stream = self._open()
            self._thread = threading.Thread(target=self._write, name="access log", daemon=True)
            self._thread.start()

    def _open(self):
        if self.path is None:
            return sys.stderr
        try:
            return open(self.path, "a", encoding="utf-8", buffering=1)  # whole lines: other processes write, too
        except OSError as error:
            raise UserError(f"access_log_file: {self.path} cannot be written ({error.strerror})") from None

    def add(self, exchange):
        """Note a request that was answered."""
        if self.level == "off" or (self.level == "errors" and not (exchange.err_no or exchange.outcome)):
            return
        try:
            self._lines.put_nowait(line_of(exchange))
        except queue.Full:
            self.dropped += 1

    def reopen(self):
        """Write to a new file of the same name from now on, as logrotate expects."""
        self._reopen.set()

    def close(self):
        """Write what waits, for a second at most."""
        if self._stream is not None:
            self._put_last()
            self._thread.join(1)

    def _put_last(self):
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            self.dropped += 1

    def _write(self):
        while True:
            line = self._lines.get()
            if line is None:
                return
            try:
                if self._reopen.is_set() and self.path is not None:
                    self._reopen.clear()
                    self._stream.close()
                    self._stream = self._open()
                self._stream.write(line)
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError, UserError):
                self.dropped += 1


def line_of(exchange):
    """The line of a request: texts that come from it are escaped and shortened."""
    now = datetime.datetime.now(datetime.timezone.utc)
    content = {
        "time": now.isoformat(timespec="milliseconds"),
        "id": exchange.id,
        "client": exchange.client,
        "protocol": exchange.protocol,
        "model": exchange.model,
        "path": exchange.path[:_SHOWN],
        "status": exchange.status,
        "err_no": exchange.err_no,
        "outcome": exchange.outcome,
        "images": exchange.images,
        "bytes": exchange.bytes,
        "ms": {"whole": round(1000 * exchange.seconds, 2)},
        "user_agent": exchange.user_agent[:_SHOWN],
    }
    if exchange.job is not None:
        content["ms"].update({stage: round(1000 * seconds, 2) for stage, seconds in exchange.job.seconds.items()})
    return json.dumps(content) + "\n"


def request_id(text):
    """The id that a client gave to its request, where it is a short plain word; else a new one."""
    return text if _ID.fullmatch(text or "") else uuid.uuid4().hex
