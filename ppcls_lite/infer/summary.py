"""The environment and timing summary that PaddlePaddle's reviewers know from AutoLog: the same sections and names."""

import platform
import sys

from ppcls_lite.infer.model.config import image_shape
from ppcls_lite.infer.model.config import model_name as stated_name
from ppcls_lite.utils.device import gpu_memory
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.machine import describe, peak_memory_mb

_WIDTH = 56


def benchmark_summary(predictor, model_dir, model_name=None):
    """The summary of all that `predictor` has predicted, as a text of several lines.

    `model_dir` is the exported model's folder, which states the network's name and the images' shape. Times are
    milliseconds per image; `total time spent` is their sum for all images, in seconds; memory is the peak of the
    process. Raises UserError when no image was predicted.
    """
    if not predictor.images:
        raise UserError("no image was predicted, so there are no times to report")
    engine, machine = predictor.engine, describe()
    options = engine.options
    sections = {
        "Env info": {
            "OS_version": platform.platform(),
            "CPU_model": machine["cpu"],
            "CPU_cores": machine["cores"],
            "GPU_model": machine["gpu"],
            "python_version": platform.python_version(),
            **_gpu_versions(engine),
        },
        "Paddle info": {"paddle_version": _paddle_version(), "engine_version": engine.version},
        "Conf info": {
            "engine": engine.name,
            "runtime_device": engine.device,
            "ir_optim": options.ir_optim,
            "enable_tensorrt": engine.name == "tensorrt",
            "enable_mkldnn": engine.name == "onednn",
            "cpu_math_library_num_threads": engine.threads,
        },
        "Requested, in effect": {effect.name: _asked_and_found(effect) for effect in engine.effects or ()},
        "Model info": {"model_name": model_name or stated_name(model_dir), "precision": _precision(engine)},
        "Data info": {
            "batch_size": predictor.batch_size,
            "input_shape": ",".join(map(str, image_shape(model_dir))),
            "data_num": predictor.images,
        },
        "Perf info": _performance(engine, predictor.images, predictor.seconds),
    }
    lines = []
    for title, entries in sections.items():
        lines.append(f" {title} ".center(_WIDTH, "-"))
        lines += [f"{name}: {value}" for name, value in entries.items()]
    return "\n".join(lines)


def _precision(engine):
    """Lower precisions are TensorRT's; every other engine computes in FP32, whatever was asked for."""
    return engine.options.precision if engine.name == "tensorrt" else "fp32"


def _asked_and_found(effect):
    text = f"{effect.asked}, {effect.found}"
    return f"{text} ({effect.why})" if effect.why else text


def _performance(engine, images, seconds):
    peak = peak_memory_mb()
    entries = {"cpu_rss(MB)": None if peak is None else f"{peak:.1f}"}
    entries["gpu_rss(MB)"] = f"{gpu_memory():.1f}" if engine.device == "gpu" else None
    entries["total time spent(s)"] = f"{sum(seconds.values()):.4f}"
    for part, spent in seconds.items():
        entries[f"{part}_time(ms)"] = f"{1000 * spent / max(images, 1):.4f}"
    return entries


def _gpu_versions(engine):
    if engine.device != "gpu":
        return {"CUDA_version": None, "CUDNN_version": None}
    import paddle

    return {"CUDA_version": paddle.version.cuda(), "CUDNN_version": paddle.version.cudnn()}


def _paddle_version():
    if "paddle" not in sys.modules:
        return None
    import paddle

    return f"{paddle.__version__} (commit {paddle.version.commit[:12]})"
