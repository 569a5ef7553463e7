"""Prediction with Paddle Inference on an exported model."""

from dataclasses import replace

from ppcls_lite.infer.engines.base import Engine, register_engine
from ppcls_lite.infer.engines.effects import ON, Effect, NotInEffect
from ppcls_lite.infer.engines.observe import acceleration, observe, optimisations
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.threads import threads_effect
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.infer.model.storage import check_params, standard_files
from ppcls_lite.utils.device import why_no_gpu
from ppcls_lite.utils.errors import UserError, quick_import


class PaddleEngine(Engine):
    """Paddle Inference as `options` say; the registered engines that derive from it fix some of them.

    Class attribute:
        library_operator: the operator that stands for what another library computes (`insists_on` is its name).
    """

    library_operator = ""

    def __init__(self, model, options=None):
        super().__init__(find_model(model), options)
        with quick_import():  # costs a second: only when a model was found
            from paddle import inference

        with standard_files(self.model) as files:
            check_params(files)
            config = new_config(inference, files)
            self.configure(config, inference)
            config.switch_ir_optim(self.options.ir_optim)
            config.switch_use_feed_fetch_ops(False)
            if not files.is_json:  # on .json models Paddle 3 has no such pass and fails
                config.enable_memory_optim()
            self._predictor, self._clone = _load(inference, config, self.model.folder), None
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

    def observe(self, inputs):
        try:
            self._clone = self._clone or self._predictor.clone()
            self._observed = observe(self._clone, inputs)
        except (RuntimeError, ValueError, OSError, MemoryError) as error:
            reason = f"cannot run it: {_reason(error)}"
            if self.insists_on and self._runs_plainly(inputs):
                raise NotInEffect(f"engine {self.name}: {self.insists_on} {reason:.150}") from error
            raise UserError(f"{self.model.folder}: engine {self.name} {reason}") from error
        results = self._observed.results
        library = self.insists_on if self.library_operator else ""
        effects = [acceleration(results, self.options, library, self.library_operator)]
        effects += optimisations(results, self.model, self.options)
        return effects if self.options.use_gpu else [*effects, self.observe_threads(inputs)]

    def _runs_plainly(self, inputs):
        """Whether Paddle runs the batch without acceleration: otherwise the model or the batch is at fault."""
        try:
            with PlainEngine(self.model, self.options) as plain:
                plain.compute_all(inputs)
        except (UserError, RuntimeError, ValueError, OSError, MemoryError):
            return False
        return True

    def observe_threads(self, inputs):
        """The `Effect` of the number of CPU threads; `observe` has run."""
        return threads_effect(self.threads, self._observed.threads)

    def compute(self, images):
        self._input.copy_from_cpu(images)
        self._run()
        return self._output.copy_to_cpu()

    def compute_all(self, inputs):
        for name, array in inputs.items():
            self._predictor.get_input_handle(name).copy_from_cpu(array)
        self._run()
        names = self._predictor.get_output_names()
        return [self._predictor.get_output_handle(name).copy_to_cpu() for name in names]

    def _run(self):
        """UserError for a batch that it cannot take: a model may be exported for batches of one size."""
        try:
            self._predictor.run()
        except (RuntimeError, ValueError, OSError, MemoryError) as error:
            reason = f"engine {self.name} cannot run it with this batch: {_reason(error)}"
            raise UserError(f"{self.model.folder}: {reason}") from error

    def close(self):
        self._predictor = self._clone = self._input = self._output = self._observed = None


@register_engine("paddle")
class PlainEngine(PaddleEngine):
    """Paddle Inference on the CPU, without acceleration libraries: all others are compared with it.

    `no_onednn` says why it takes the place of oneDNN, if it does.
    """

    exact = True

    def __init__(self, model, options=None, no_onednn=""):
        options = options or EngineOptions()
        self._no_onednn = no_onednn
        super().__init__(model, replace(options, use_gpu=False, use_tensorrt=False, enable_mkldnn=False))

    def observe(self, inputs):
        effects = super().observe(inputs)
        if self._no_onednn:
            effects[0] = Effect("oneDNN", ON, effects[0].found, self._no_onednn)
        return effects


def new_config(inference, files):
    """A quiet `paddle.inference.Config` for the model."""
    config = inference.Config(str(files.structure), str(files.params))
    config.disable_glog_info()
    return config


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
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        raise UserError(f"{folder}: Paddle Inference cannot load it: {_reason(error)}") from error


def _reason(error):
    """The line of Paddle's error that says what is wrong: its text fills a page."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error: " in line or "Error) " in line] or lines[:1] or [type(error).__name__]
    return f"{told[-1]:.200}"


def _use_onednn(config, enabled):
    if enabled:
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(10)
    elif hasattr(config, "disable_mkldnn"):  # on by default, also in Paddle 2.6.2
        config.disable_mkldnn()
