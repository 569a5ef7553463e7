"""Paddle Inference with TensorRT on an NVIDIA GPU, in FP32, FP16 or INT8.

What its options set is tested without a GPU (docs/gpu.md); it was never run on one.
"""

from dataclasses import replace

from ppcls_lite.infer.engines.base import register_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.paddle_inference import PaddleEngine, use_gpu
from ppcls_lite.infer.model.storage import operators
from ppcls_lite.utils.device import why_no_gpu
from ppcls_lite.utils.errors import UserError

_WORKSPACE = 1 << 30  # bytes that TensorRT may use while it chooses kernels
_SMALLEST_PART = 3  # operators; smaller parts stay with Paddle


@register_engine("tensorrt")
class TensorRTEngine(PaddleEngine):
    """TensorRT plans for batches of up to `batch_size`; building the plan takes the first run a while.

    An IR pass puts it there, so `ir_optim=False` does not apply. INT8 needs a quantised model, since its scales are
    part of the network; anything else is refused.
    """

    device = "gpu"
    insists_on = "TensorRT"
    library_operator = "tensorrt_engine"

    def __init__(self, model, options=None):
        options = options or EngineOptions()
        super().__init__(model, replace(options, use_gpu=True, use_tensorrt=True, ir_optim=True))

    def configure(self, config, inference):
        use_gpu(config, self.options)
        if self.options.use_int8:
            check_quantised(self.model)
        kinds = inference.PrecisionType
        config.enable_tensorrt_engine(
            workspace_size=_WORKSPACE,
            max_batch_size=self.options.batch_size,
            min_subgraph_size=_SMALLEST_PART,
            precision_mode={"fp32": kinds.Float32, "fp16": kinds.Half, "int8": kinds.Int8}[self.options.precision],
            use_static=False,
            use_calib_mode=False,
        )

    @classmethod
    def why_not(cls, options=None, model=None):
        import paddle
        from paddle import inference

        return why_no_gpu(paddle) or _why_no_library(inference)


def _why_no_library(inference):
    try:
        found = any(inference.get_trt_runtime_version())
    except RuntimeError:  # a Paddle with TensorRT that cannot load the library
        found = False
    return "" if found else "this Paddle finds no TensorRT library"


def check_quantised(files):
    """Raise UserError unless the model's structure has quantisation operators."""
    if not any("quantize" in kind for kind in operators(files.structure).kinds):
        raise UserError(
            f"{files.structure}: Global.use_int8=True needs a quantised model, and there is no quantisation operator"
        )
