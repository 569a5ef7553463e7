"""ONNX Runtime and OpenVINO by themselves, on the same network, for comparison with this project's engines.

They are used as their own documentation shows it, without this project's code around them, so that a slow wrapper in
this project would be noticed. Both are optional: `pip install onnxruntime paddle2onnx` and `pip install openvino`.
"""

import importlib.util
import subprocess
import sys
import tempfile

from ppcls_lite.infer.model.files import find_model
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO

_CONVERT = """
import sys
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.infer.engines.onnxruntime import convert_to_onnx
from ppcls_lite.utils.errors import UserError
try:
    content = convert_to_onnx(find_model(sys.argv[1]))
except UserError as error:
    sys.exit(str(error))
with open(sys.argv[2], "wb") as stream:
    stream.write(content)
"""


class RawONNXRuntime:
    """ONNX Runtime's session on the CPU; the model is converted by Paddle2ONNX into a temporary file.

    The conversion has a process of its own, because it needs Paddle, and the memory of Paddle is not this engine's.
    """

    needs = ("onnxruntime", "paddle2onnx")

    def __init__(self, model, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/model.onnx"
            done = subprocess.run(
                [sys.executable, "-c", _CONVERT, str(model), path], cwd=REPO, capture_output=True, text=True
            )
            if done.returncode:
                raise UserError(f"onnxruntime-raw: {(done.stderr.strip().splitlines() or ['it made no model'])[-1]}")
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def run(self, images):
        return self._session.run(None, {self._name: images})[0]


class RawOpenVINO:
    """The `openvino` package, which reads the exported `.pdmodel` itself; FP32, tuned for latency."""

    needs = ("openvino",)

    def __init__(self, model, threads):
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        compiled = core.compile_model(core.read_model(str(find_model(model).structure)), "CPU", settings)
        self._request = compiled.create_infer_request()
        self.version = f"openvino {openvino.__version__.partition('-')[0]}"

    def run(self, images):
        self._request.infer([images], share_inputs=True)
        return self._request.get_output_tensor(0).data.copy()


RIVALS = {"onnxruntime-raw": RawONNXRuntime, "openvino-raw": RawOpenVINO}


def create_rival(name, model, threads):
    """The rival `name` with `model` (a folder) loaded; UserError names a package that is missing."""
    rival = RIVALS[name]
    missing = [package for package in rival.needs if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f"{name}: not installed: {', '.join(missing)}")
    return rival(model, threads)
