"""Prediction with Paddle Inference on an exported model."""

from dataclasses import dataclass, replace
from pathlib import Path

from ppcls_lite.utils.device import why_no_gpu
from ppcls_lite.utils.errors import UserError, quick_import


@dataclass(frozen=True)
class EngineOptions:
    """How Paddle Inference runs; names and defaults of the `Global` section of `inference_cls.yaml`.

    gpu_mem is in MB. `enable_mkldnn` is oneDNN, which Paddle 3 turns on unless told not to.
    """

    use_gpu: bool = False
    gpu_id: int = 0
    gpu_mem: int = 8000
    enable_mkldnn: bool = True
    cpu_num_threads: int = 2
    ir_optim: bool = True
    use_tensorrt: bool = False
    use_fp16: bool = False

    @classmethod
    def from_config(cls, section):
        """The options among a config's `Global` values; keys set to null keep their default."""
        known = cls.__dataclass_fields__
        options = cls(**{key: value for key, value in section.items() if key in known and value is not None})
        if options.cpu_num_threads < 1:
            raise UserError(f"Global.cpu_num_threads: expected at least 1, found {options.cpu_num_threads}")
        return options

    def strict(self):
        """The same without any optimisation that may change a bit of the result.

        One thread, as the training engine computes matrix products: MKL sums in another order with two.
        """
        return replace(
            self, enable_mkldnn=False, ir_optim=False, use_tensorrt=False, use_fp16=False, cpu_num_threads=1
        )


class PaddleEngine:
    """Images [N, 3, H, W] float32 to the model's first output (class probabilities [N, C]), as NumPy arrays."""

    def __init__(self, model_dir, options=None):
        options = options or EngineOptions()
        self.model_file, self.params_file = find_model(model_dir)
        with quick_import():  # costs a second: only when a model was found
            from paddle import inference

        config = inference.Config(str(self.model_file), str(self.params_file))
        config.disable_glog_info()
        if options.use_gpu:
            _use_gpu(config, options, inference)
        else:
            config.disable_gpu()
            config.set_cpu_math_library_num_threads(options.cpu_num_threads)
            _use_onednn(config, options.enable_mkldnn)
        config.switch_ir_optim(options.ir_optim)
        config.switch_use_feed_fetch_ops(False)
        if str(self.model_file).endswith(".pdmodel"):  # on .json models Paddle 3 has no such pass and fails
            config.enable_memory_optim()
        self._predictor = _load(inference, config, model_dir)
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])

    def run(self, images):
        """The first output for one batch."""
        self._input.copy_from_cpu(images)
        self._predictor.run()
        return self._output.copy_to_cpu()


def _load(inference, config, model_dir):
    try:
        return inference.create_predictor(config)
    except (RuntimeError, ValueError, OSError, MemoryError) as error:  # Paddle's own reasons fill a page
        lines = [line.strip() for line in str(error).splitlines() if "Error: " in line or "Error) " in line]
        reason = lines[-1] if lines else type(error).__name__
        raise UserError(f"{model_dir}: Paddle Inference cannot load it: {reason:.200}") from error


def _use_onednn(config, wanted):
    if wanted:
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(10)
    elif hasattr(config, "disable_mkldnn"):  # Paddle 2.6 has no switch: off is its default
        config.disable_mkldnn()


def _use_gpu(config, options, inference):
    import paddle

    lacking = why_no_gpu(paddle)
    if lacking:
        raise UserError(f"Global.use_gpu=True: {lacking}; set Global.use_gpu=False")
    config.enable_use_gpu(options.gpu_mem, options.gpu_id)
    if options.use_tensorrt:
        precision = inference.PrecisionType.Half if options.use_fp16 else inference.PrecisionType.Float32
        config.enable_tensorrt_engine(
            workspace_size=1 << 30, max_batch_size=32, min_subgraph_size=3, precision_mode=precision
        )


def find_model(model_dir):
    """(structure file, weights file) of the exported model in `model_dir`; UserError says what is not there."""
    folder = Path(model_dir)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise UserError(f"{folder}: expected a folder with an exported model, found {found}")
    for model, params in (("inference.pdmodel", "inference.pdiparams"), ("inference.json", "inference.pdiparams")):
        if (folder / model).is_file() and (folder / params).is_file():
            return folder / model, folder / params
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
    raise UserError(f"{folder}: expected inference.pdmodel and inference.pdiparams, found {found}")
