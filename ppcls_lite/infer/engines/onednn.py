"""Paddle Inference with oneDNN (formerly MKL-DNN), Intel's kernels for x86 processors."""

from dataclasses import replace

from ppcls_lite.infer.engines.base import register_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.paddle_inference import PaddleEngine


@register_engine("onednn")
class OneDNNEngine(PaddleEngine):
    """Paddle's usual acceleration on a CPU; every Paddle has it."""

    def __init__(self, model, options=None):
        options = options or EngineOptions()
        super().__init__(model, replace(options, use_gpu=False, use_tensorrt=False, enable_mkldnn=True))
