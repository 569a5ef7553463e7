"""The summary of environment, options and times that AutoLog prints, line by line, and what this project adds.

AutoLog (https://github.com/LDOUBLEV/AutoLog) is the tool of PaddlePaddle's reviewers: its seven sections, in its order
and its spelling, can be read by whatever reads AutoLog's. What it does not have follows in two sections of our own.
"""

import platform
import sys
import time

from ppcls_lite.infer.engines.effects import ON
from ppcls_lite.infer.model.config import image_shape
from ppcls_lite.infer.model.config import model_name as stated_name
from ppcls_lite.utils.device import gpu_memory
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.machine import describe, gpu_facts, peak_memory_mb, system_name

LOG_API_VERSION = 1.0  # of the lines; AutoLog 1.0 and 1.2 have the same
# AutoLog's own dashes
_DASHES = {
    "Env info": (22, 22),
    "Paddle info": (22, 22),
    "Conf info": (23, 23),
    "Model info": (23, 22),
    "Data info": (23, 23),
    "Perf info": (23, 23),
}
_OWN_DASHES = 19, 19


def benchmark_summary(predictor, model_dir, model_name=None):
    """The summary of all that `predictor` has predicted, as a text of several lines.

    `model_dir` is the exported model's folder, which states the network's name and the images' shape. As in AutoLog,
    `data_num` counts the batches, a time is the mean of a batch in milliseconds, and `total time spent` is the sum of
    all in seconds. `cpu_rss` is the most memory that the process had. What there is no hardware for is `None`. Raises
    UserError when no image was predicted.
    """
    if not predictor.images:
        raise UserError("no image was predicted, so there are no times to report")
    engine, gpu = predictor.engine, gpu_facts(predictor.engine.options.gpu_id)
    version, commit = _paddle()
    sections = {
        "Env info": [
            f"OS_version: {system_name()}",
            f"CUDA_version: {_gpu_version(engine, 'cuda')}",
            f"CUDNN_version: {_gpu_version(engine, 'cudnn')}",
            f"drivier_version: {gpu.driver}",  # as AutoLog spells it
        ],
        "Paddle info": [
            f"paddle_version: {version}",
            f"paddle_commit: {commit}",
            f"log_api_version: {LOG_API_VERSION}",
        ],
        "Conf info": [
            f"runtime_device: {engine.device}",
            f"ir_optim: {engine.options.ir_optim}",
            f"enable_memory_optim: {_shares_memory(engine)}",
            f"enable_tensorrt: {engine.name == 'tensorrt'}",
            f"enable_mkldnn: {engine.name == 'onednn'}",
            f"cpu_math_library_num_threads: {engine.threads}",
        ],
        "Model info": [f"model_name: {model_name or stated_name(model_dir)}", f"precision: {_precision(engine)}"],
        "Data info": [
            f"batch_size: {predictor.batch_size}",
            f"input_shape: {','.join(map(str, image_shape(model_dir)))}",
            f"data_num: {predictor.batches}",
        ],
        "Perf info": _performance(predictor, gpu),
        "Requested, in effect": [f"{one.name}: {_asked_and_found(one)}" for one in engine.effects or ()],
        "Further facts": _further(predictor),
    }
    stamp = time.strftime("[%Y/%m/%d %H:%M:%S] root INFO: ")
    lines = [stamp, ""]
    for title, entries in sections.items():
        before, after = _DASHES.get(title, _OWN_DASHES)
        lines.append(f"{stamp}{'-' * before} {title} {'-' * after}")
        lines += [f"{stamp} {entry}" for entry in entries]
    return "\n".join(lines)


def _precision(engine):
    """Lower precisions are TensorRT's; every other engine computes in FP32, whatever was asked for."""
    return engine.options.precision if engine.name == "tensorrt" else "fp32"


def _shares_memory(engine):
    """Whether Paddle's memory optimisation is in effect; None for an engine that has no such thing."""
    found = [one.found for one in engine.effects or () if one.name == "memory optimisation"]
    return found[0] == ON if found else None


def _asked_and_found(effect):
    text = f"{effect.asked}, {effect.found}"
    return f"{text} ({effect.why})" if effect.why else text


def _performance(predictor, gpu):
    peak, on_gpu = peak_memory_mb(), predictor.engine.device == "gpu"
    memory = None if peak is None else round(peak, 4)
    gpu_rss, used = (round(gpu_memory(), 4), gpu.used) if on_gpu else (None, None)
    times = (f"{part}_time(ms): {1000 * sum_ / predictor.batches:.4f}" for part, sum_ in predictor.seconds.items())
    return [
        f"cpu_rss(MB): {memory}, gpu_rss(MB): {gpu_rss}, gpu_util: {used}%",
        f"total time spent(s): {sum(predictor.seconds.values()):.4f}",
        ", ".join(times),
    ]


def _further(predictor):
    """What AutoLog does not ask for."""
    machine = describe()
    return [
        f"CPU_model: {machine['cpu']}",
        f"CPU_cores: {machine['cores']}",
        f"GPU_model: {machine['gpu']}",
        f"python_version: {platform.python_version()}",
        f"engine: {predictor.engine.name}",
        f"engine_version: {predictor.engine.version}",
        f"images: {predictor.images}",
    ]


def _gpu_version(engine, library):
    if engine.device != "gpu":
        return None
    import paddle

    return getattr(paddle.version, library)()


def _paddle():
    """(version, commit) of the Paddle that computes; (None, None) where another library does."""
    if "paddle" not in sys.modules:
        return None, None
    import paddle

    return paddle.__version__, paddle.version.commit
