"""ONNX Runtime on the exported model, converted by Paddle2ONNX while it is loaded.

Both are optional packages: `pip install -r requirements-engines.txt`.
"""

import importlib.util
import logging
import os
import sys
import tempfile
from contextlib import contextmanager
from importlib import metadata

from ppcls_lite.infer.engines.base import Engine, register_engine
from ppcls_lite.infer.engines.effects import ON, Effect
from ppcls_lite.infer.engines.threads import threads_effect
from ppcls_lite.infer.model.storage import standard_files
from ppcls_lite.utils.errors import UserError, quick_import
from ppcls_lite.utils.paddle_version import installed, number

_OPSET = 16  # has HardSwish, and every Paddle2ONNX and ONNX Runtime in use knows it


@register_engine("onnxruntime")
class ONNXRuntimeEngine(Engine):
    """ONNX Runtime's CPU kernels in FP32."""

    def __init__(self, model, options=None):
        super().__init__(model, options)
        with quick_import():
            import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self.options.cpu_num_threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3  # errors only: each unused constant is a warning
        self._session = onnxruntime.InferenceSession(
            convert_to_onnx(model), settings, providers=["CPUExecutionProvider"]
        )
        self.input_names = [entry.name for entry in self._session.get_inputs()]
        self._outputs = [self._session.get_outputs()[0].name]

    @classmethod
    def why_not(cls, options=None, model=None):
        return missing_packages("onnxruntime", "paddle2onnx")

    @property
    def version(self):
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    def observe(self, inputs):
        name, *others = self._session.get_providers()
        found = self._session.get_session_options().intra_op_num_threads
        return [
            Effect("ONNX Runtime", ON, ON, ", ".join([name, *others])),
            threads_effect(self.threads, found),
        ]

    def compute(self, images):
        return self._session.run(self._outputs, {self.input_names[0]: images})[0]

    def compute_all(self, inputs):
        return self._session.run(None, inputs)

    def close(self):
        self._session = None


def missing_packages(*names):
    """Which of the packages are not installed, or do not fit this Paddle, and how to get them; an empty string for
    none."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        return f"no {' and no '.join(missing)}: pip install -r requirements-engines.txt"
    return why_no_paddle2onnx() if "paddle2onnx" in names else ""


def why_no_paddle2onnx():
    """Why the installed Paddle2ONNX cannot be imported beside this Paddle, or an empty string."""
    found = metadata.version("paddle2onnx")
    if number() < (3, 0) and number(found) >= (2, 0):
        return f"no paddle2onnx for Paddle {installed()}, found {found}: pip install paddle2onnx==1.3.1"
    return ""


def convert_to_onnx(files):
    """The exported model `files` in ONNX's format, as bytes; UserError with Paddle2ONNX's reason when it cannot."""
    with quick_import():
        import paddle2onnx

    with standard_files(files) as standard, _captured_output() as captured:
        try:
            content = paddle2onnx.export(str(standard.structure), str(standard.params), None, _OPSET)
        except Exception as error:  # after a failure it raises nearly anything, an UnboundLocalError among them
            captured.seek(0)
            lines = [line.strip() for line in captured.read().splitlines() if "rror" in line]
            reason = lines[-1] if lines else f"{type(error).__name__}: {error}"
            raise UserError(f"{files.folder}: Paddle2ONNX cannot convert it: {reason:.200}") from error
    return content


@contextmanager
def _captured_output():
    """A file that receives standard output and error, from C++ too: the screen is for predictions."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    level = logging.root.manager.disable
    with tempfile.TemporaryFile("w+", errors="replace") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        logging.disable(logging.CRITICAL)
        try:
            yield stream
        finally:
            logging.disable(level)
            for number, saved in zip((1, 2), kept):
                os.dup2(saved, number)
                os.close(saved)
