"""Paddle Inference on an NVIDIA GPU."""

from dataclasses import replace

from ppcls_lite.infer.engines.base import register_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.paddle_inference import PaddleEngine
from ppcls_lite.utils.device import why_no_gpu


@register_engine("gpu")
class GPUEngine(PaddleEngine):
    """CUDA and cuDNN, FP32."""

    device = "gpu"
    insists_on = "GPU"

    def __init__(self, model, options=None):
        options = options or EngineOptions()
        super().__init__(model, replace(options, use_gpu=True, use_tensorrt=False))

    @classmethod
    def why_not(cls, options=None, model=None):
        import paddle

        return why_no_gpu(paddle)
