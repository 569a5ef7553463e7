"""Paddle Inference with OpenVINO, whose libraries come inside the Paddle 3 CPU wheels."""

from dataclasses import replace

from ppcls_lite.infer.engines.base import register_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.paddle_inference import PaddleEngine, use_cpu
from ppcls_lite.utils.scratch import ScratchFolder


@register_engine("openvino")
class OpenVINOEngine(PaddleEngine):
    """The whole network in one OpenVINO graph, in FP32.

    An IR pass puts it there, so `ir_optim=False` does not apply: Paddle would silently compute everything itself.
    """

    def __init__(self, model, options=None):
        # Paddle would leave compiled copies of every model in `__cache__` of the working directory
        self._cache = ScratchFolder()
        super().__init__(model, replace(options or EngineOptions(), use_gpu=False, ir_optim=True))

    def configure(self, config, inference):
        use_cpu(config, self.options)
        config.set_optim_cache_dir(self._cache.name)
        config.enable_openvino_engine(inference.PrecisionType.Float32)

    def close(self):
        super().close()
        self._cache.cleanup()

    @classmethod
    def why_not(cls, options=None):
        from paddle import inference

        if not hasattr(inference.Config, "enable_openvino_engine"):
            return f"Paddle {inference.get_version().split()[1]} has no OpenVINO in it; CPU wheels from 3.0 on have"
        return ""
