"""OpenVINO: inside Paddle Inference for `.pdmodel`, and by its own package for what Paddle cannot give it.

Paddle ignores OpenVINO for `inference.json` without a word, has none before 3.0, and converts no PReLU (MobileFaceNet);
its own package then computes the ONNX form of the model (`pip install -r requirements-engines.txt`).
"""

import io
from dataclasses import replace

from ppcls_lite.infer.engines.base import Engine, register_engine
from ppcls_lite.infer.engines.effects import ON, Effect
from ppcls_lite.infer.engines.onnxruntime import one_line
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.paddle_inference import PaddleEngine
from ppcls_lite.infer.engines.threads import count_threads, threads_effect
from ppcls_lite.infer.engines.to_onnx import missing_packages, onnx_content
from ppcls_lite.utils.errors import UserError, quick_import
from ppcls_lite.utils.scratch import ScratchFolder

_NOT_CONVERTED = "Can't convert paddle model to openvino model"


@register_engine("openvino")
class OpenVINOEngine(Engine):
    """The whole network in one OpenVINO graph, in FP32."""

    insists_on = "OpenVINO"
    takes_onnx = True

    def __init__(self, model, options=None):
        super().__init__(model, options)
        self._engine = _build(model, self.options)
        self.input_names = self._engine.input_names

    @classmethod
    def why_not(cls, options=None, model=None):
        reason = why_not_in_paddle(model)
        missing = missing_packages("openvino", model=model)
        return f"{reason}, and for its own package there is {missing}" if reason and missing else ""

    @property
    def version(self):
        return self._engine.version

    def observe(self, inputs):
        return self._engine.observe(inputs)

    def compute(self, images):
        return self._engine.compute(images)

    def compute_all(self, inputs):
        return self._engine.compute_all(inputs)

    def close(self):
        self._engine.close()


def _build(model, options):
    """The engine that computes: Paddle's where it can."""
    if why_not_in_paddle(model):
        return OpenVINOPackage(model, options)
    try:
        return OpenVINOInPaddle(model, options)
    except UserError as error:
        if _NOT_CONVERTED not in str(error) or missing_packages("openvino", model=model):
            raise
        return OpenVINOPackage(model, options)


def why_not_in_paddle(model=None):
    """Why Paddle Inference cannot compute the exported `model` with OpenVINO, or an empty string."""
    if model and model.is_onnx:
        return "Paddle does not read ONNX's format"
    with quick_import():
        from paddle import inference

    if not hasattr(inference.Config, "enable_openvino_engine"):
        return f"Paddle {inference.get_version().split()[1]} has no OpenVINO in it (CPU wheels from 3.0 on have)"
    return "Paddle ignores OpenVINO for inference.json" if model and model.is_json else ""


class OpenVINOInPaddle(PaddleEngine):
    """An IR pass puts OpenVINO in the network's place, so `ir_optim=False` does not apply: Paddle would silently
    compute everything itself."""

    name = "openvino"
    insists_on = OpenVINOEngine.insists_on
    library_operator = "openvino_engine"

    def __init__(self, model, options=None):
        # Paddle would leave compiled copies of every model in `__cache__` of the working directory
        self._cache = ScratchFolder()
        options = replace(options or EngineOptions(), use_gpu=False, enable_mkldnn=False, ir_optim=True)
        super().__init__(model, options)

    def configure(self, config, inference):
        super().configure(config, inference)
        config.set_optim_cache_dir(self._cache.name)
        config.enable_openvino_engine(inference.PrecisionType.Float32)

    def observe_threads(self, inputs):  # OpenVINO does not say what it was told
        found = count_threads(lambda: self.compute_all(inputs), self.threads)
        return threads_effect(self.threads, found)

    def close(self):
        super().close()
        self._cache.cleanup()


class OpenVINOPackage(Engine):
    """The package `openvino` with the model that Paddle2ONNX converts."""

    name = "openvino"

    def __init__(self, model, options=None):
        super().__init__(model, options)
        with quick_import():
            import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.options.cpu_num_threads,
        }
        converted = io.BytesIO(onnx_content(model))
        with one_line(self):
            self._compiled = core.compile_model(core.read_model(converted), "CPU", settings)
        self._request = self._compiled.create_infer_request()
        self.input_names = [entry.get_any_name() for entry in self._compiled.inputs]

    @property
    def version(self):
        import openvino

        return f"OpenVINO {openvino.__version__.partition('-')[0]}"

    def observe(self, inputs):
        with one_line(self):
            self.compute_all(inputs)
        devices = ", ".join(self._compiled.get_property("EXECUTION_DEVICES"))
        found = self._compiled.get_property("INFERENCE_NUM_THREADS")
        return [
            Effect("OpenVINO", ON, ON, f"its own package, on {devices}, from ONNX"),
            threads_effect(self.threads, found),
        ]

    def compute(self, images):
        return self.compute_all({self.input_names[0]: images})[0]

    def compute_all(self, inputs):
        self._request.infer(inputs, share_inputs=True)
        return [self._request.get_output_tensor(number).data.copy() for number in range(len(self._compiled.outputs))]

    def close(self):
        self._compiled = self._request = None
