"""ONNX Runtime and OpenVINO by themselves, on the same network: what this project's engines are compared with.

They are used as their own documentation shows it, with nothing of this project around them, so that a slow wrapper
here would show. Both are optional: `pip install onnxruntime paddle2onnx` and `pip install openvino`.
"""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from ppcls_lite.infer.model_files import find_model
from ppcls_lite.utils.errors import UserError

_CONVERT = "import sys, paddle2onnx; paddle2onnx.export(*sys.argv[1:], opset_version=13)"


class RawONNXRuntime:
    """ONNX Runtime's session on the CPU; the model is converted by Paddle2ONNX into a temporary file.

    The conversion has a process of its own, because it needs Paddle, and the memory of Paddle is not this engine's.
    """

    needs = ("onnxruntime", "paddle2onnx")

    def __init__(self, model, threads):
        import onnxruntime

        files = find_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "model.onnx"))
            command = [sys.executable, "-c", _CONVERT, str(files.structure), str(files.params), path]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode or not Path(path).is_file():
                said = done.stderr.strip().splitlines() or ["nothing"]
                raise UserError(f"onnxruntime-raw: Paddle2ONNX cannot convert {files.structure}: {said[-1]:.120}")
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
    """The rival `name` with `model` (a folder) loaded; UserError says which package is lacking."""
    rival = RIVALS[name]
    lacking = [package for package in rival.needs if importlib.util.find_spec(package) is None]
    if lacking:
        raise UserError(f"{name}: not installed: {', '.join(lacking)}")
    return rival(model, threads)
