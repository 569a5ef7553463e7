"""Prediction with Paddle Inference on an exported model."""

from dataclasses import replace

from ppcls_lite.infer.engines.base import Engine, register_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.infer.model.storage import check_params, standard_files
from ppcls_lite.utils.device import why_no_gpu
from ppcls_lite.utils.errors import UserError, quick_import


class PaddleEngine(Engine):
    """Paddle Inference as `options` say; the registered engines that derive from it fix some of them."""

    def __init__(self, model, options=None):
        super().__init__(find_model(model), options)
        with quick_import():  # costs a second: only when a model was found
            from paddle import inference

        with standard_files(self.model) as files:
            if not files.is_json:
                check_params(files)
            config = inference.Config(str(files.structure), str(files.params))
            config.disable_glog_info()
            self.configure(config, inference)
            config.switch_ir_optim(self.options.ir_optim)
            config.switch_use_feed_fetch_ops(False)
            if not files.is_json:  # on .json models Paddle 3 has no such pass and fails
                config.enable_memory_optim()
            self._predictor = _load(inference, config, self.model.folder)
        self.input_names = self._predictor.get_input_names()
        self._input = self._predictor.get_input_handle(self.input_names[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])

    def configure(self, config, inference):
        """Choose device and acceleration on a `paddle.inference.Config`."""
        if self.options.use_gpu:
            use_gpu(config, self.options)
        else:
            use_cpu(config, self.options)
            _use_onednn(config, self.options.enable_mkldnn)

    def run(self, images):
        self._input.copy_from_cpu(images)
        self._predictor.run()
        return self._output.copy_to_cpu()

    def run_all(self, inputs):
        for name, array in inputs.items():
            self._predictor.get_input_handle(name).copy_from_cpu(array)
        self._predictor.run()
        names = self._predictor.get_output_names()
        return [self._predictor.get_output_handle(name).copy_to_cpu() for name in names]

    def close(self):
        self._predictor = self._input = self._output = None


@register_engine("paddle")
class PlainEngine(PaddleEngine):
    """Paddle Inference on the CPU, without acceleration libraries: all others are compared with it."""

    exact = True

    def __init__(self, model, options=None):
        options = options or EngineOptions()
        super().__init__(model, replace(options, use_gpu=False, use_tensorrt=False, enable_mkldnn=False))


def use_cpu(config, options):
    """CPU with the options' number of threads."""
    config.disable_gpu()
    config.set_cpu_math_library_num_threads(options.cpu_num_threads)


def use_gpu(config, options):
    """GPU `gpu_id`; UserError when there is none."""
    import paddle

    reason = why_no_gpu(paddle)
    if reason:
        raise UserError(f"Global.use_gpu=True: {reason}; set Global.use_gpu=False")
    config.enable_use_gpu(options.gpu_mem, options.gpu_id)


def _load(inference, config, folder):
    try:
        return inference.create_predictor(config)
    except (RuntimeError, ValueError, OSError, MemoryError) as error:  # Paddle's own reasons fill a page
        lines = [line.strip() for line in str(error).splitlines() if "Error: " in line or "Error) " in line]
        reason = lines[-1] if lines else type(error).__name__
        raise UserError(f"{folder}: Paddle Inference cannot load it: {reason:.200}") from error


def _use_onednn(config, enabled):
    if enabled:
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(10)
    elif hasattr(config, "disable_mkldnn"):  # Paddle 2.6 has no switch: off is its default
        config.disable_mkldnn()
