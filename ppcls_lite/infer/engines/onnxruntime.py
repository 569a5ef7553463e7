"""ONNX Runtime on the exported model, converted by Paddle2ONNX while it is loaded.

Both are optional packages: `pip install -r requirements-engines.txt`.
"""

import importlib.util
import subprocess
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from ppcls_lite.infer.engines.base import Engine, register_engine
from ppcls_lite.infer.engines.effects import ON, Effect
from ppcls_lite.infer.engines.threads import threads_effect
from ppcls_lite.infer.model.storage import standard_files
from ppcls_lite.utils.errors import UserError, quick_import
from ppcls_lite.utils.paddle_version import installed, number
from ppcls_lite.utils.scratch import ScratchFolder

_OPSET = 16  # has HardSwish, and every Paddle2ONNX and ONNX Runtime in use knows it
_CONVERT = """
import sys
import paddle2onnx
structure, params, target, opset = sys.argv[1:]
content = paddle2onnx.export(structure, params, None, int(opset))
with open(target, "wb") as stream:
    stream.write(content)
"""


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
        converted = convert_to_onnx(model)
        with one_line(self):
            self._session = onnxruntime.InferenceSession(converted, settings, providers=["CPUExecutionProvider"])
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
        with one_line(self):
            self.compute_all(inputs)
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


@contextmanager
def one_line(engine):
    """UserError of one line for all that a library raises within; each has exceptions of its own."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"engine {engine.name}: {engine.model.folder}: it cannot run it: {reason:.300}") from error


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
    """The exported model `files` in ONNX's format, as bytes; UserError with Paddle2ONNX's reason when it cannot.

    The conversion has a process of its own: Paddle2ONNX ends its process for some networks (detectors in
    `inference.json` among them), and prints on the screen, which is for predictions.
    """
    with standard_files(files) as standard, ScratchFolder() as folder:
        target = Path(folder, "model.onnx")
        command = [sys.executable, "-c", _CONVERT, standard.structure, standard.params, target, str(_OPSET)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode == 0 and target.is_file():
            return target.read_bytes()
    lines = [line.strip() for line in done.stdout.splitlines() if "error" in line.lower()]
    reason = lines[-1] if lines else f"it ended with status {done.returncode}"
    raise UserError(f"{files.folder}: Paddle2ONNX cannot convert it: {reason:.200}")
