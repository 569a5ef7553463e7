"""One logger for the whole library: the screen, and a file where a training keeps its record."""

import logging
import sys
from pathlib import Path

logger = logging.getLogger("ppcls_lite")
_FORMAT = logging.Formatter("[%(asctime)s] %(name)s %(levelname)s: %(message)s", "%Y/%m/%d %H:%M:%S")


def setup_logging(log_file=None, append=False, quiet=False, stream=None):
    """Send INFO and above to `stream` (standard output by default), unless `quiet`, and to `log_file` if given."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
    if not quiet:
        _add(logging.StreamHandler(stream or sys.stdout))
    if log_file:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        _add(logging.FileHandler(log_file, mode="a" if append else "w", encoding="utf-8"))
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def _add(handler):
    handler.setFormatter(_FORMAT)
    logger.addHandler(handler)
