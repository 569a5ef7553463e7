"""The engine that a service predicts with."""

from ppcls_lite.infer.engine import ENGINES
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.utils.errors import UserError, nearest, quick_import

FASTEST_FIRST = ("openvino", "onednn")  # on a CPU, measured under load: deploy/paddleserving/README.md


def create_service_engine(name, model_dir, options):
    """The engine `name` with the exported model in `model_dir` loaded; UserError says what it lacks.

    `auto` is the fastest one that this Paddle has on the device of `options`. Nothing is timed, unlike in
    `predict_cls.py`: two servers with the same settings give the same answers bit by bit.
    """
    known = [engine for engine in ENGINES.names() if ENGINES.get(engine).takes_export]
    if name not in known:
        raise UserError(f"engine: expected one of {', '.join(known)}, found {name!r}{nearest(name, known)}")
    if name == "auto" and options.use_gpu:
        name = options.engine_name
    elif name == "auto":
        with quick_import():
            name = next(engine for engine in FASTEST_FIRST if not ENGINES.get(engine).why_not(options))
    return create_engine(name, model_dir, options)
