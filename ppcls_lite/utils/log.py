"""One logger for the whole library: to the screen, and to a training's log file."""

import logging
import sys
from pathlib import Path

from ppcls_lite.utils.errors import UserError

logger = logging.getLogger("ppcls_lite")
_FORMAT = logging.Formatter("[%(asctime)s] %(name)s %(levelname)s: %(message)s", "%Y/%m/%d %H:%M:%S")


def setup_logging(log_file=None, append=False, quiet=False, stream=None):
    """Send INFO and above to `stream` (standard output by default), unless `quiet`, and to `log_file` if given.

    Raises UserError when the file cannot be written, now or later (a full disk).
    """
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
    if not quiet:
        _add(_Screen(stream or sys.stdout))
    if log_file:
        _add(_file(log_file, append))
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def hold_log(quiet=False):
    """As `setup_logging`, for a log file that is not to be touched yet: its lines are kept for `write_held`."""
    setup_logging(quiet=quiet)
    _add(_Held())


def write_held(log_file, append=False):
    """Write the lines since `hold_log` to `log_file`, and all further ones. Raises UserError as `setup_logging`."""
    held = [handler for handler in logger.handlers if isinstance(handler, _Held)]
    file = _file(log_file, append)
    _add(file)
    for handler in held:
        logger.removeHandler(handler)
        for record in handler.records:
            file.handle(record)


def _file(log_file, append):
    try:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        return _File(log_file, mode="a" if append else "w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{log_file}: cannot be written ({error.strerror})") from None


class _Held(logging.Handler):
    """Keeps its records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


class _Screen(logging.StreamHandler):
    """Lets a write's error end the program; logging itself would print a traceback for each line."""

    def handleError(self, record):
        error = sys.exc_info()[1]
        if isinstance(error, BrokenPipeError):  # `| head` has left: run_main ends the process
            raise error
        raise UserError(f"the screen's output cannot be written ({getattr(error, 'strerror', error)})") from error


class _File(logging.FileHandler):
    def handleError(self, record):
        error = sys.exc_info()[1]
        raise UserError(f"{self.baseFilename}: cannot be written ({getattr(error, 'strerror', error)})") from error


def _add(handler):
    handler.setFormatter(_FORMAT)
    logger.addHandler(handler)
