"""Paddle Inference with oneDNN (formerly MKL-DNN), Intel's kernels for x86 processors."""

from dataclasses import replace

from ppcls_lite.infer.engines.base import register_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.paddle_inference import PaddleEngine


@register_engine("onednn")
class OneDNNEngine(PaddleEngine):
    """Paddle's usual acceleration on a CPU; every Paddle has it.

    Asked for by name (`options.engine`), it is in effect or refused; as a switch, it may do nothing for a network.
    """

    def __init__(self, model, options=None):
        options = options or EngineOptions()
        self.insists_on = "oneDNN" if options.engine == self.name else ""
        super().__init__(model, replace(options, use_gpu=False, use_tensorrt=False, enable_mkldnn=True))
