"""The engines that a service predicts with, by name."""

import tempfile
from dataclasses import replace

from ppcls_lite.infer.paddle_engine import PaddleEngine, find_model
from ppcls_lite.utils.errors import UserError, nearest, quick_import

NAMES = ("auto", "paddle", "onednn", "openvino")


def create_engine(name, model_dir, options):
    """The engine `name` with the exported model in `model_dir` loaded.

    Args:
        name: `auto` (the fastest one that this Paddle has on the device), `paddle`, `onednn` or `openvino`.
        options: `EngineOptions`.
    Raises UserError for an unknown name, an engine that this Paddle has not, or a model that cannot be loaded.
    """
    if name not in NAMES:
        raise UserError(f"engine: expected one of {', '.join(NAMES)}, found {name!r}{nearest(name, NAMES)}")
    find_model(model_dir)  # before Paddle is imported, which takes a second
    if name == "auto":
        name = "paddle" if options.use_gpu else "openvino" if _has_openvino() else "onednn"
    if name == "openvino":
        return OpenVinoEngine(model_dir, options)
    if name == "onednn":
        options = replace(options, use_gpu=False, enable_mkldnn=True)
    elif not options.use_gpu:
        options = replace(options, enable_mkldnn=False)
    engine = PaddleEngine(model_dir, options)
    engine.name = name
    return engine


def _has_openvino():
    with quick_import():
        from paddle import inference
    return hasattr(inference.Config, "enable_openvino_engine")


class OpenVinoEngine:
    """Images [N, 3, H, W] float32 to probabilities [N, C] by OpenVINO, which is part of Paddle 3's wheels."""

    name = "openvino"

    def __init__(self, model_dir, options):
        structure, params = find_model(model_dir)
        if not _has_openvino():
            raise UserError("engine: openvino needs Paddle 3.0 or newer for CPUs; choose onednn or auto")
        from paddle import inference

        config = inference.Config(str(structure), str(params))
        config.disable_glog_info()
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(options.cpu_num_threads)
        config.enable_openvino_engine(inference.PrecisionType.Float32)
        # OpenVINO keeps the compiled network in ./__cache__ otherwise, and loads what it finds there without a check
        with tempfile.TemporaryDirectory(prefix="openvino.") as cache:
            config.set_optim_cache_dir(cache)
            self._predictor = inference.create_predictor(config)
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])

    def run(self, images):
        self._input.copy_from_cpu(images)
        self._predictor.run()
        return self._output.copy_to_cpu()
