"""ONNX Runtime and OpenVINO by themselves, on the same network, for comparison with this project's engines.

They are used as their own documentation shows it, without this project's code around them, so that a slow wrapper in
this project would be noticed. Both are optional: `pip install onnxruntime paddle2onnx` and `pip install openvino`.
"""

import importlib.util

from ppcls_lite.infer.engines.to_onnx import convert_to_onnx
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.utils.errors import UserError


class RawONNXRuntime:
    """ONNX Runtime's session on the CPU; the model is converted by Paddle2ONNX, in a process of its own: the memory of
    Paddle is not this engine's."""

    needs = ("onnxruntime", "paddle2onnx")

    def __init__(self, model, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        try:
            converted = convert_to_onnx(find_model(model))
        except UserError as error:
            raise UserError(f"onnxruntime-raw: {error}") from error
        self._session = onnxruntime.InferenceSession(converted, options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def run(self, images):
        return self._session.run(None, {self._name: images})[0]


class RawOpenVINO:
    """The `openvino` package, which reads the exported `.pdmodel` itself; FP32, tuned for latency."""

    needs = ("openvino",)

    def __init__(self, model, threads):
        import openvino

        files = find_model(model)
        if files.is_json:
            raise UserError("openvino-raw: the package reads .pdmodel itself, and not inference.json")
        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        compiled = core.compile_model(core.read_model(str(files.structure)), "CPU", settings)
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
