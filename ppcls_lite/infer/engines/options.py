"""How an engine runs: one set of options for all engines."""

from dataclasses import dataclass, replace
from typing import Optional

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError


@dataclass(frozen=True)
class EngineOptions:
    """Names and defaults of the `Global` section of `inference_cls.yaml`; an engine ignores options of other engines.

    `engine` is a registered name, or None: then `use_gpu`, `use_tensorrt` and `enable_mkldnn` (oneDNN, which Paddle 3
    turns on by default) choose, as in PaddleClas. gpu_mem is in MB. `use_fp16` and `use_int8` are for
    TensorRT. `batch_size` is the largest batch to expect: TensorRT plans for it, and `auto` is timed with it.
    `sample_shape`, which no config states, is [C, H, W] of the images to expect, for `auto` and a model that takes any.
    """

    engine: Optional[str] = None
    use_gpu: bool = False
    gpu_id: int = 0
    gpu_mem: int = 8000
    enable_mkldnn: bool = True
    cpu_num_threads: int = 2
    ir_optim: bool = True
    use_tensorrt: bool = False
    use_fp16: bool = False
    use_int8: bool = False
    batch_size: int = 1
    sample_shape: Optional[list] = None

    @classmethod
    def from_config(cls, section):
        """The options among a config's `Global` values; keys set to null keep their default.

        With `usable_options` and `create_engine`, this is what chooses the engine of a prediction config: for
        predict_cls.py, for the service, and for what they are compared with.
        """
        known = cls.__dataclass_fields__
        options = cls(**{key: value for key, value in section.items() if key in known and value is not None})
        checks.whole("Global.cpu_num_threads", options.cpu_num_threads)
        if options.use_fp16 and options.use_int8:
            raise UserError("Global.use_fp16 and Global.use_int8: expected at most one of them to be True")
        return options

    def strict(self):
        """The same without any optimisation that may change a bit of the result.

        One thread, as the training engine computes matrix products: MKL sums in another order with two.
        """
        return replace(
            self,
            engine=None,
            use_gpu=False,
            enable_mkldnn=False,
            ir_optim=False,
            use_tensorrt=False,
            use_fp16=False,
            use_int8=False,
            cpu_num_threads=1,
        )

    @property
    def precision(self):
        """`fp32`, `fp16` or `int8`."""
        return "fp16" if self.use_fp16 else "int8" if self.use_int8 else "fp32"

    @property
    def engine_name(self):
        """The engine that these options mean."""
        if self.engine:
            return self.engine
        if self.use_tensorrt and not self.use_gpu:
            raise UserError("Global.use_tensorrt=True: TensorRT needs Global.use_gpu=True")
        if self.use_gpu:
            return "tensorrt" if self.use_tensorrt else "gpu"
        return "onednn" if self.enable_mkldnn else "paddle"
