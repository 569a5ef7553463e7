"""How Paddle is to run: its device, its export format. Imports Paddle only inside the functions."""

import os

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.paddle_version import export_format


def choose_export_format(stated=None):
    """Make a Paddle that is not imported yet write the format `stated` (`pdmodel`, `json`), or else what it can.

    Returns the `ExportFormat`; UserError for one that this Paddle does not have.
    """
    chosen = export_format(stated)
    os.environ["FLAGS_enable_pir_api"] = "1" if chosen.name == "json" else "0"  # noqa: SIM112 - Paddle's spelling
    return chosen


def choose_device(config, overrides=()):
    """Set Paddle's device to the config's `Global.device` ("gpu", "gpu:1", "cpu"); returns the one in use.

    Null means a GPU if there is one. All official configs say `gpu`, so without a GPU that means the CPU, and
    the log says so; when the user requires a GPU with `-o Global.device=gpu`, UserError is raised instead.
    """
    import paddle

    stated = config["Global"].get("device")
    name = (stated or "gpu").lower()
    if name.split(":")[0] not in ("gpu", "cpu"):
        raise UserError(f"Global.device: expected gpu or cpu, found '{name}'")
    missing = why_no_gpu(paddle) if name.startswith("gpu") else ""
    if missing:
        if any(text.startswith("Global.device=") for text in overrides):
            raise UserError(f"-o Global.device={name}: {missing}; use -o Global.device=cpu")
        if stated:
            logger.info(f"Global.device is {name}, but {missing}: running on the CPU")
        name = "cpu"
    paddle.set_device(name)
    return name


def why_no_gpu(paddle):
    """Why no GPU can be used, or an empty string when one can."""
    if not paddle.is_compiled_with_cuda():
        return "this Paddle is the CPU build"
    if paddle.device.cuda.device_count() == 0:
        return "no GPU is visible"
    if int(os.environ.get("PADDLE_TRAINERS_NUM") or 1) > 1 and os.environ.get("PADDLE_DISTRI_BACKEND") == "gloo":
        return "the processes were started for CPUs (gloo)"
    return ""


def gpu_memory():
    """MB of GPU memory that Paddle's tensors took at most."""
    import paddle

    return paddle.device.cuda.max_memory_allocated() / (1 << 20)
