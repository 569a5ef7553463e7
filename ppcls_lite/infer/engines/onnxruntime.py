"""ONNX Runtime on a model in ONNX's format, or on an exported one, which Paddle2ONNX converts while it is loaded.

Both are optional packages: `pip install -r requirements-engines.txt`.
"""

from contextlib import contextmanager

from ppcls_lite.infer.engines.base import Engine, register_engine
from ppcls_lite.infer.engines.effects import ON, Effect
from ppcls_lite.infer.engines.threads import threads_effect
from ppcls_lite.infer.engines.to_onnx import missing_packages, onnx_content
from ppcls_lite.utils.errors import UserError, quick_import


@register_engine("onnxruntime")
class ONNXRuntimeEngine(Engine):
    """ONNX Runtime's CPU kernels in FP32."""

    takes_onnx = True

    def __init__(self, model, options=None):
        super().__init__(model, options)
        with quick_import():
            import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self.options.cpu_num_threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3  # errors only: each unused constant is a warning
        converted = onnx_content(model)
        with one_line(self):
            self._session = onnxruntime.InferenceSession(converted, settings, providers=["CPUExecutionProvider"])
        self.input_names = [entry.name for entry in self._session.get_inputs()]
        self._outputs = [self._session.get_outputs()[0].name]

    @classmethod
    def why_not(cls, options=None, model=None):
        return missing_packages("onnxruntime", model=model)

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
