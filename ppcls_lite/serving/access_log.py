"""The access log: one JSON line for each request, written without making anybody wait.

Lines that cannot be written (a full disk, a pipe whose reader sleeps) are dropped and counted. A line is written with
one call of the system, so it stays whole where several processes share a file or a pipe.
"""

import contextlib
import datetime
import json
import os
import queue
import re
import select
import threading
import uuid

from ppcls_lite.utils.errors import UserError

_ID = re.compile(r"[A-Za-z0-9._:/=+-]{1,128}")
_WAITING = 10_000  # lines
_SHOWN = (200, 20)  # characters of a text from a request; fewer where they are so foreign that the line is too long
_WHOLE = select.PIPE_BUF  # bytes that a pipe takes at once
_STDERR = 2


class AccessLog:
    """Writes each `Exchange` of a level.

    Args:
        level: `off`, `errors` (whatever was not answered well) or `all`.
        path: of the file, to which lines are added; None for standard error.
    Attributes:
        dropped: how many lines could not be written.
    Raises UserError when the file cannot be written.
    """

    def __init__(self, level, path=None):
        self.level, self.path = level, path
        self._lines, self._stale = queue.Queue(_WAITING), False
        self._refused = self._unwritten = 0  # each changed by one thread only
        self._torn = False  # half a line is the last in the file: the disk was full
        if level != "off":
            try:
                self._handle = self._open()
            except OSError as error:
                raise UserError(f"access_log_file: {self.path} cannot be written ({error.strerror})") from None
            self._thread = threading.Thread(target=self._write, name="access log", daemon=True)
            self._thread.start()

    @property
    def dropped(self):
        return self._refused + self._unwritten

    def add(self, exchange):
        """Note a request that was answered; for the thread of the service's loop."""
        if self.level == "off" or (self.level == "errors" and not (exchange.err_no or exchange.outcome)):
            return
        try:
            self._lines.put_nowait(line_of(exchange).encode())
        except queue.Full:
            self._refused += 1

    def reopen(self):
        """Write to a new file of the same name from now on, as logrotate expects."""
        self._stale = True

    def close(self):
        """Write what waits, for a second at most."""
        if self.level != "off":
            with contextlib.suppress(queue.Full):
                self._lines.put_nowait(None)
            self._thread.join(1)

    def _open(self):
        if self.path is None:
            return _STDERR
        # without waiting: a pipe that nobody reads is an error, and must not stop the start of the service
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)

    def _write(self):
        while True:
            line = self._lines.get()
            if line is None:
                return
            if self._stale:
                self._reopen()
            start = b"\n" if self._torn else b""
            written = _write_all(self._handle, start + line)
            if written:
                self._torn = len(start) < written < len(start + line)
            self._unwritten += written < len(start + line)

    def _reopen(self):
        """Open the file by its name; as long as that fails, lines go where they went before."""
        self._stale = False  # first: whoever asks again meanwhile is heard
        try:
            handle = self._open()
        except OSError:
            self._stale = True
            return
        if self._handle != _STDERR:
            os.close(self._handle)
        self._handle, self._torn = handle, False


def _write_all(handle, data):
    """How many bytes were written: all, or those before an error. Waits for the reader of a pipe."""
    written = 0
    while written < len(data):
        try:
            written += os.write(handle, data[written:])
        except BlockingIOError:
            room = select.poll()  # select.select knows the first 1,024 descriptors only
            room.register(handle, select.POLLOUT)
            room.poll()
        except OSError:
            break
    return written


def line_of(exchange):
    """The line of a request: texts that come from it are escaped and shortened, to less than a pipe takes at once."""
    now = datetime.datetime.now(datetime.timezone.utc)
    milliseconds = {"whole": round(1000 * exchange.seconds, 2)}
    if exchange.job is not None:
        milliseconds.update({stage: round(1000 * seconds, 2) for stage, seconds in exchange.job.seconds.items()})
    for length in _SHOWN:
        content = {
            "time": now.isoformat(timespec="milliseconds"),
            "id": exchange.id,
            "client": exchange.client,
            "protocol": exchange.protocol,
            "model": exchange.model,
            "path": exchange.path[:length],
            "status": exchange.status,
            "err_no": exchange.err_no,
            "outcome": exchange.outcome,
            "images": exchange.images,
            "bytes": exchange.bytes,
            "ms": milliseconds,
            "user_agent": exchange.user_agent[:length],
        }
        line = json.dumps(content) + "\n"
        if len(line) < _WHOLE:
            break
    return line


def request_id(text):
    """The id that a client gave to its request, where it is a short plain word; else a new one."""
    return text if _ID.fullmatch(text or "") else uuid.uuid4().hex
