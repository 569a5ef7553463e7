"""Paddle Serving 0.9.0's pipeline, imported so that it runs on today's Python, with small and safe logs."""

import collections
import collections.abc
import logging
import logging.handlers

from ppcls_lite.serving.program import first_line
from ppcls_lite.serving.request import shown
from ppcls_lite.utils.errors import UserError

# Its client imports this name from its place in Python 3.9 and older.
if not hasattr(collections, "Iterable"):
    collections.Iterable = collections.abc.Iterable

try:
    from paddle_serving_server.pipeline import Op, RequestOp, ResponseOp
    from paddle_serving_server.pipeline.channel import (
        ChannelData,
        ChannelDataType,
        ChannelStopError,
        ChannelTimeoutError,
    )
    from paddle_serving_server.pipeline.dag import DAGExecutor
    from paddle_serving_server.pipeline.error_catch import CustomExceptionCode as ErrorCode
    from paddle_serving_server.pipeline.pipeline_server import ServerYamlConfChecker
    from paddle_serving_server.pipeline.proto import pipeline_service_pb2
    from paddle_serving_server.util import dump_pid_file
except (ImportError, TypeError) as error:  # TypeError: its messages are of another protobuf's time
    raise UserError(
        f"Paddle Serving cannot be imported ({first_line(error)}); set it up with: "
        "bash test_tipc/prepare.sh CONFIG serving_infer, or bash test_tipc/install_serving.sh PYTHON"
    ) from error

logging.getLogger("ppcls_lite").disabled = False  # its import disables all loggers

__all__ = [
    "ChannelData",
    "ChannelDataType",
    "ChannelStopError",
    "ChannelTimeoutError",
    "DAGExecutor",
    "ErrorCode",
    "Op",
    "RequestOp",
    "ResponseOp",
    "ServerYamlConfChecker",
    "dump_pid_file",
    "pipeline_service_pb2",
    "quiet_logs",
]

_LOG_BYTES, _LOG_FILES = 16 << 20, 2


class _OneLine(logging.Formatter):
    """Escapes the text of a message, which may come from a request: each line of the log is one record."""

    def format(self, record):
        return shown(super().format(record), 2000)[1:-1]


def quiet_logs():
    """Log only warnings and errors to PipelineServingLogs: one escaped line each, at most 48 MB per log.

    Otherwise Paddle Serving logs two dozen lines per request, with names from requests, up to 10 GB per log.
    """
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in root.handlers:
        handler.setFormatter(_OneLine("%(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s"))
        if isinstance(handler, logging.handlers.RotatingFileHandler):
            handler.maxBytes, handler.backupCount = _LOG_BYTES, _LOG_FILES
