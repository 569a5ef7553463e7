"""One door to every engine: `create_engine(name, model, options)`."""

from dataclasses import replace

# Importing a file registers its engine; none of them imports Paddle before an engine is made.
from ppcls_lite.infer.engines import (  # noqa: F401
    auto,
    gpu,
    onednn,
    onnxruntime,
    openvino,
    paddle_inference,
    tensorrt,
    training,
    training_export,
)
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.engines.effects import NotInEffect
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.utils.errors import UserError, quick_import
from ppcls_lite.utils.paddle_version import why_no_onednn


def create_engine(name, model, options=None):
    """The engine `name` with `model` loaded; None means the engine that `options` name.

    Args:
        name: a registered name (`ENGINES.names()`), or None.
        model: folder of an exported model (or its `ModelFiles`); for `training`, a training config.
        options: `EngineOptions`; options that the engine does not have are ignored.
    What a switch of the options asks for, and this Paddle is known to fail with, is left out, and the log says so.
    Raises UserError for an unknown name or a model that cannot be loaded, and NotInEffect for a machine that cannot run
    the named engine.
    """
    options = replace(options or EngineOptions(), **({"engine": name} if name else {}))
    builder = ENGINES.get(options.engine_name, "Global.engine")
    if builder.takes_export:
        model = find_model(model)  # before Paddle is imported, which takes a second
        _check_format(builder, model)
    with quick_import():
        reason = builder.why_not(options, model)
    if reason and not options.engine:
        raise UserError(f"Global.use_gpu=True: {reason}; set Global.use_gpu=False")
    if reason:
        raise NotInEffect(f"engine {builder.name}: {reason}")
    fault = why_no_onednn(model.is_json) if builder.name == "onednn" and not options.engine else ""
    if fault:
        return ENGINES.get("paddle")(model, options, f"{fault}, engine=onednn tries it")
    return builder(model, options)


def _check_format(builder, model):
    if model.is_onnx and not builder.takes_onnx:
        names = " or ".join(name for name in ENGINES.names() if ENGINES.get(name).takes_onnx)
        raise UserError(f"engine {builder.name}: cannot read {model.structure}: engine={names} can")


def available_engines(options=None, model=None):
    """{name: reason why it cannot run here, empty when it can}, in the order of their names; `model` is an exported
    one (its folder or `ModelFiles`), or None."""
    model = model and find_model(model)
    with quick_import():
        return {name: ENGINES.get(name).why_not(options, model) for name in ENGINES.names()}
