"""The machine and the state of the code that a bundle names, from what the chain knows and from the system."""

import os
import platform
import re
import subprocess
from pathlib import Path

# what changes the numbers that a network gives, or its speed; nothing else of the environment is kept
_MATTERS = re.compile(
    r"(FLAGS|MKL|OMP|KMP|GOMP|OPENBLAS|DNNL|ONEDNN|CUBLAS|CUDNN|NVIDIA_TF32|NCCL)_.*|CUDA_VISIBLE_DEVICES|CPU_NUM"
)


def machine(flags=()):
    """Processor, cores, memory, GPUs and their driver, system, and the environment with `flags`, those of single steps."""
    gpus, driver = _gpus()
    environment = {name: _without_path(value) for name, value in os.environ.items() if _MATTERS.fullmatch(name)}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory(),
        "gpus": gpus,
        "driver": driver,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "environment": dict(sorted({**dict(flags), **environment}.items())),
    }


def _without_path(value):
    return "a path" if "/" in value else value


def _processor():
    match = re.search(r"^model name\s*: (.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return match[1].strip() if match else platform.processor() or None


def _memory():
    match = re.search(r"^MemTotal:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    return round(int(match[1]) / (1 << 20), 1) if match else None


def _text(path):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _gpus():
    """(names, driver version); ([], None) where there is no nvidia-smi that answers."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return [], None
    rows = [line.rpartition(", ") for line in done.stdout.splitlines() if done.returncode == 0 and ", " in line]
    return [row[0] for row in rows], rows[0][2] if rows else None


def versions(text):
    """{"python": "3.11.7", "paddlepaddle": "3.1.1"} of what versions.py printed."""
    pairs = [part.rsplit(" ", 1) for part in text.split(", ")]
    return {name.lower(): version for name, version in (pair for pair in pairs if len(pair) == 2)}


def commit(text):
    """{commit, clean} of `0123456789ab (clean tree)`; None where there is no repository."""
    match = re.match(r"([0-9a-f]{7,40}) \((clean tree|with uncommitted changes)\)", text)
    return {"commit": match[1], "clean": match[2] == "clean tree"} if match else None


def tool(text, files):
    """{commit, clean, files} of test_tipc: `files`, the hash of its files, is that of inputs.sha256.

    Of a copy in the project the commit is not known: it is the project's, or that of nobody.
    """
    known = commit(text) or {"commit": None, "clean": None}
    match = re.search(r"\bfiles ([0-9a-f]{12})", text)
    return {**known, "files": match[1] if match else files}
