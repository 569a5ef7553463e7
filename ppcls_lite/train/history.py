"""The history of a training as JSON Lines: the figures of `log_train.txt` in a form for programs.

One object per line, each with the key `event`:

* start: `model`, `epochs` (of the whole training), `first_epoch` (the one that begins now), `iterations` (per epoch),
  `images` (of the training list), `batch_size` (per process), `world_size` (processes), `seed`, `device`, `precision`
  (in effect: `FP32`, `mixed float16 O1`), `processor`, `paddle` (its version), `time` (when it began, ISO 8601).
* train, at every [Train] line of the log: `epoch`, `iteration` (from 1, within the epoch), `lr`, `loss`, the metric's
  figures and the parts of the loss under their names, `avg_reader_cost` and `avg_batch_cost` (seconds per iteration),
  `avg_samples` (images per iteration), `avg_ips` (images per second).
* unreadable, after every epoch of a training with `skip_unreadable`: `epoch`, `images` (that could not be read).
* eval, after every evaluation: `epoch`, `loss` (a search in a gallery has none), the metrics' figures, `best` (the best
  headline figure so far); with EMA these are figures of the average.
* end: `epoch` (the last one), `best` (the figures of the best evaluation, or null).

A figure that is not finite is null. A resumed training appends from its own `start` on, which replaces the epochs from
its `first_epoch` on. A kill may leave a last line without its end, which readers and later writers drop.
"""

import datetime
import errno
import json
import math
import os
from pathlib import Path

from ppcls_lite.train.history_file import NAME, HistoryError, read_events
from ppcls_lite.utils.errors import UserError

__all__ = ["NAME", "History", "last_start", "now", "read_history"]


class History:
    """Writes the file at `path`, each line at once; without a path (processes of a rank above 0) it writes nothing.

    `scalars`, if it is given, gets the same events, and is closed with this. Raises UserError when the file cannot be
    written, now or later (a full disk).
    """

    def __init__(self, path=None, append=False, scalars=None):
        self._path, self._handle, self._scalars = path, None, scalars
        if path is None:
            return
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            if append:
                _drop_unfinished_line(Path(path))
            # without a buffer: a line is one call of the system, and there as soon as it is written
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC), 0o666)
        except OSError as error:
            raise self._unwritable(error) from error

    def add(self, event, **figures):
        """Append one line: {"event": event, **figures}."""
        if self._scalars:
            self._scalars.add(event, **figures)
        if self._handle is None:
            return
        line = (json.dumps({"event": event, **_finite(figures)}, allow_nan=False, ensure_ascii=False) + "\n").encode()
        try:
            if os.write(self._handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self):
        if self._scalars:
            self._scalars.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.close()

    def _unwritable(self, error):
        return UserError(f"{self._path}: cannot be written ({error.strerror})")


def _finite(value):
    """`value` with null for numbers that JSON does not know; dicts all through."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def now():
    """The local time with its offset, as `start` has it."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _drop_unfinished_line(path):
    """Cut off an unfinished last line, which a kill has left, so that the next line is whole."""
    if path.is_file():
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            with open(path, "r+b") as stream:
                stream.truncate(content.rfind(b"\n") + 1)


def read_history(path):
    """The list of the events (dicts) in the file at `path`, in their order.

    Raises UserError when there is no such file, or a line of it is not an event.
    """
    try:
        return read_events(path)
    except HistoryError as error:
        raise UserError(str(error)) from None


def last_start(path):
    """The newest `start` of the history at `path`; UserError when there is none, or a key of it is missing."""
    starts = [event for event in read_history(path) if event["event"] == "start"]
    if not starts:
        raise UserError(f"{path}: expected an event 'start', found none")
    for key in ("epochs", "images", "batch_size", "world_size", "seed"):
        if type(starts[-1].get(key)) is not int:
            raise UserError(f"{path}: start.{key}: expected a whole number, found {starts[-1].get(key)!r:.80}")
    return starts[-1]
