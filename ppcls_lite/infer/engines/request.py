"""What a prediction config requests: its own switches are defaults, those of the command line are demands."""

import os
from dataclasses import replace

from ppcls_lite.infer.engines.base import say_once
from ppcls_lite.infer.engines.effects import NotInEffect
from ppcls_lite.infer.engines.tensorrt import TensorRTEngine
from ppcls_lite.utils.device import why_no_gpu
from ppcls_lite.utils.errors import UserError, quick_import


def usable_options(options, overrides=()):
    """The `EngineOptions` with the engine that they request on this machine.

    `options` are those of a prediction config, `overrides` the `-o` texts that are in them already. A switch that one
    of these sets to True (`use_gpu`, `use_tensorrt`, `enable_mkldnn`) is in effect or refused with NotInEffect, as
    `Global.engine` is, and goes before the config's own. Those are defaults: PaddleClas's configs say `use_gpu: True`
    and mean a GPU where there is one. Without one, the log says that the CPU is used.
    """
    demanded = _demanded(overrides)
    if options.engine:  # of those with a name, the training engine's kind runs on a GPU too
        off = options.use_gpu and "use_gpu" not in demanded and _why_no_gpu()
        return replace(options, use_gpu=False, use_tensorrt=False) if off else options
    if demanded == {"enable_mkldnn"}:
        return replace(options, engine="onednn", use_gpu=False, use_tensorrt=False)
    if not options.use_gpu:
        return options
    for switch, why_not in (("use_tensorrt", TensorRTEngine.why_not), ("use_gpu", _why_no_gpu)):
        with quick_import():
            reason = why_not() if getattr(options, switch) else ""
        if reason and switch in demanded:
            raise NotInEffect(f"Global.{switch}=True: {reason}; set Global.{switch}=False")
        if reason:
            instead = "the CPU is used" if switch == "use_gpu" else "predicting without TensorRT"
            say_once(f"Global.{switch} is True in the config, but {reason}: {instead}")
            options = replace(options, **{switch: False})
    return replace(options, engine=options.engine_name) if demanded - {"enable_mkldnn"} else options


def onnx_options(options, overrides=()):
    """The `EngineOptions` for a model in ONNX's format: ONNX Runtime, where no engine is named.

    Its switches for Paddle are of no use then: those that the command line sets to True are refused with NotInEffect.
    """
    demanded = sorted(_demanded(overrides))
    if demanded:
        raise NotInEffect(
            f"Global.{demanded[0]}=True: a model in ONNX's format is computed on the CPU, without Paddle; "
            f"set Global.{demanded[0]}=False"
        )
    engine = options.engine or "onnxruntime"
    return replace(options, engine=engine, use_gpu=False, use_tensorrt=False)


def of_this_process(options, overrides=(), environ=os.environ):
    """The `EngineOptions` of one of several processes that share a list of images: on the GPU that it was started for.

    UserError for the engine `auto`: each process would choose for itself, and the results would depend on it.
    """
    if int(environ.get("PADDLE_TRAINERS_NUM") or 1) == 1:
        return options
    if options.engine == "auto":
        raise UserError("engine auto: several processes would choose different engines; name one with Global.engine")
    gpu = environ.get("FLAGS_selected_gpus", "")
    stated = any(text.startswith("Global.gpu_id=") for text in overrides)
    return replace(options, gpu_id=int(gpu)) if gpu.isdigit() and not stated else options


def _demanded(overrides):
    """The switches that the command line sets to True."""
    stated = {key.strip(): value.strip().lower() for key, _, value in (text.partition("=") for text in overrides)}
    return {name for name in ("enable_mkldnn", "use_gpu", "use_tensorrt") if stated.get(f"Global.{name}") == "true"}


def _why_no_gpu():
    with quick_import():
        import paddle

        return why_no_gpu(paddle)
