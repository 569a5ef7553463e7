"""Paddle Serving 0.9.0's pipeline, imported so that it runs on today's Python and keeps its logs small and safe."""

import collections
import collections.abc
import logging
import logging.handlers

from ppcls_lite.serving.request import shown
from ppcls_lite.utils.errors import UserError

# Its client imports the name from where Python 3.9 and older had it too.
if not hasattr(collections, "Iterable"):
    collections.Iterable = collections.abc.Iterable

try:
    from paddle_serving_server.pipeline import Op, RequestOp, ResponseOp
    from paddle_serving_server.pipeline.channel import ChannelTimeoutError
    from paddle_serving_server.pipeline.pipeline_server import PipelineServer, PipelineServicer, ServerYamlConfChecker
    from paddle_serving_server.pipeline.proto import pipeline_service_pb2, pipeline_service_pb2_grpc
    from paddle_serving_server.util import dump_pid_file
    from paddle_serving_server.web_service import WebService
except ImportError as error:
    raise UserError(
        f"Paddle Serving cannot be imported ({error}); set it up with: bash test_tipc/prepare.sh CONFIG serving_infer, "
        "or bash test_tipc/install_serving.sh PYTHON"
    ) from error

logging.getLogger("ppcls_lite").disabled = False  # its import silences every logger that is there

__all__ = [
    "ChannelTimeoutError",
    "Op",
    "PipelineServer",
    "PipelineServicer",
    "RequestOp",
    "ResponseOp",
    "ServerYamlConfChecker",
    "WebService",
    "dump_pid_file",
    "pipeline_service_pb2",
    "pipeline_service_pb2_grpc",
]

_LOG_BYTES, _LOG_FILES = 16 << 20, 2


class _OneLine(logging.Formatter):
    """Escapes what a stranger may have put into a message: no line of the log is anything but one record."""

    def format(self, record):
        return shown(super().format(record), 2000)[1:-1]


def quiet_logs():
    """PipelineServingLogs gets warnings and errors, at most 48 MB a file, one escaped line each.

    Paddle Serving logs two dozen lines a request otherwise, names from requests among them, up to 10 GB a file.
    """
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in root.handlers:
        handler.setFormatter(_OneLine("%(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s"))
        if isinstance(handler, logging.handlers.RotatingFileHandler):
            handler.maxBytes, handler.backupCount = _LOG_BYTES, _LOG_FILES
