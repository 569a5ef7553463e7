"""The environment and timing summary that PaddlePaddle's reviewers know from AutoLog: the same sections and names."""

import platform
import sys
from pathlib import Path

from ppcls_lite.utils.device import gpu_memory

_WIDTH = 56


def benchmark_summary(engine, model_name, batch_size, images, seconds, input_shape=None):
    """The summary of one run as a text of several lines, without importing anything new.

    Args:
        engine: the `Engine` that ran.
        model_name: as the model's own config or the command line states it.
        images: how many were predicted.
        seconds: {"preprocess": ..., "inference": ..., "postprocess": ...}, totals over all images.
        input_shape: [3, height, width] of one image, if known.
    Times are milliseconds an image; `total time spent` is their sum for all images, in seconds.
    """
    options = engine.options
    sections = {
        "Env info": {
            "OS_version": platform.platform(),
            "CPU_model": cpu_model(),
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
        "Model info": {"model_name": model_name, "precision": options.precision},
        "Data info": {
            "batch_size": batch_size,
            "input_shape": "dynamic" if input_shape is None else ",".join(map(str, input_shape)),
            "data_num": images,
        },
        "Perf info": _performance(engine, images, seconds),
    }
    lines = []
    for title, entries in sections.items():
        lines.append(f" {title} ".center(_WIDTH, "-"))
        lines += [f"{name}: {value}" for name, value in entries.items()]
    return "\n".join(lines)


def _performance(engine, images, seconds):
    resident = resident_memory()
    entries = {"cpu_rss(MB)": f"{resident:.1f}", "cpu_peak_rss(MB)": f"{max(resident, peak_memory()):.1f}"}
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


def cpu_model():
    """The processor's name as Linux gives it, or the machine's kind elsewhere."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def resident_memory():
    """MB of memory that this process has now; where Linux's /proc is not there, its peak."""
    path = Path("/proc/self/status")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return peak_memory()


def peak_memory():
    """The most memory in MB that this process has had."""
    import resource  # not on Windows, where nothing else here fails

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform.startswith("linux") else 1 << 20)  # bytes on macOS
