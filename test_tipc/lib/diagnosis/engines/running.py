"""The last stages: precision, batch size and threads, and whether all that explains what infer computed.

Also, which engines are there at all.
"""

from agreement.batch import why_not_alone
from diagnosis.engines.cases import Found
from diagnosis.engines.settings import STRICT
from diagnosis.engines.worker import EngineError
from diagnosis.stage import Stage, differs, not_compared
from script import counted

PRECISION, BATCH, INFERRED = "precision", "batch size and threads", "outputs of infer"
_PRECISION_ADVICE = {
    "openvino": "pass `PrecisionType.Float32` to `config.enable_openvino_engine()`",
    "tensorrt": "pass `PrecisionType.Float32` to `config.enable_tensorrt_engine()`",
    "bfloat16": "leave `config.enable_mkldnn_bfloat16()` out of the inference script",
    "int8": "leave `config.enable_mkldnn_int8()` out of the inference script, or calibrate the quantised model again",
}


def why_no_openvino(exported):
    """Why Paddle's OpenVINO engine cannot be tried, "" where it can."""
    from paddle import inference

    if not hasattr(inference.Config, "enable_openvino_engine"):
        return "this Paddle has no OpenVINO engine"
    return "Paddle ignores its OpenVINO engine for .json models" if exported.structure.suffix == ".json" else ""


def why_no_tensorrt():
    """The same of TensorRT."""
    import paddle
    from paddle import inference

    if not any(inference.get_trt_compile_version()):
        return "this Paddle is built without TensorRT"
    return "" if paddle.device.cuda.device_count() else "no GPU"


def check_precision(engines):
    """Numbers of fewer bits, against float32 in the same engine."""
    users = [case for case in engines.cases if case.is_judged and case.settings.precision != "float32"]
    if not users:
        used = any(case.settings.precision != "float32" for case in engines.cases)
        why = "the recorded outputs of infer agree" if used else "all is computed in float32"
        return not_compared(PRECISION, why)
    stage = None
    for case in users:
        settings = case.settings.but(threads=1)
        engines.subject.progress(f"{PRECISION}: {settings.precision}")
        try:
            expected = engines.run(settings.but(precision="float32"), case).outputs
            difference = case.compare(engines.run(settings, case).outputs, expected)
        except EngineError as error:
            if error.cause == "refused":
                return not_compared(PRECISION, str(error))
            return differs(PRECISION, error.cause, str(error), _precision_advice(settings))
        stage = case.stage(PRECISION, difference)
        if difference.fault:
            why = f"{settings.precision} computes other numbers than float32 in the same engine"
            found = Found(settings.precision, why, _precision_advice(settings), {})
            engines.blamed.append(PRECISION)
            return case.blamed(PRECISION, difference, found)
    return stage


def _precision_advice(settings):
    engine = next((name for name in ("openvino", "tensorrt") if getattr(settings, name)), settings.precision)
    return _PRECISION_ADVICE.get(engine, "compute in float32")


def check_batch(engines):
    """An image of a batch against the same image alone, and several threads against one."""
    if not engines.cases:
        return not_compared(BATCH, "no arrays of the model's inputs were kept")
    mixed = _check_rows(engines)
    return mixed if mixed.result == "differs" else _check_threads(engines, mixed)


def _check_rows(engines):
    subject = engines.subject
    calls = [pair for engine in subject.engines for pair in engine.calls]
    if not calls:  # no inference was recorded: the batches of the trained network
        calls = [(call, orders[0]) for one in subject.fittings.values() for call, orders in zip(one.calls, one.orders)]
    calls = [(call, order) for call, order in calls if call.file and call.images > 1]
    if not calls:
        return Stage(BATCH, words="no batch of several images was recorded")
    if subject.exported.fixed_batch is not None:
        return Stage(BATCH, words=f"the model takes {counted(subject.exported.fixed_batch, 'image')} at a time")
    call, order = calls[0]
    subject.progress(f"{BATCH}: the images of a batch of {call.images}, alone")
    arrays = call.arrays("in", order)
    try:
        mixed = why_not_alone(subject.exported, call, order, subject.exported.run(arrays))
    except RuntimeError as error:
        return not_compared(BATCH, f"strict mode cannot take a recorded batch: {error}")
    if mixed:
        return differs(BATCH, "batch", f"the exported model mixes the images of a batch: {mixed}",
                       "let nothing in the network depend on the batch: statistics, reshapes, an exported batch size",
                       words=f"a batch of {call.images}", more={"batch": call.images})  # fmt: skip
    return Stage(BATCH, words=f"the images of a batch of {call.images} as alone", more={"batch": call.images})


def _check_threads(engines, stage):
    users = engines.users("threads")
    for case in users or engines.cases[:1]:
        settings = case.settings.but(precision="float32") if users and case.is_known else STRICT
        count = max(2, settings.threads)
        engines.subject.progress(f"{BATCH}: {count} threads")
        try:
            expected = engines.run(settings.but(threads=1), case).outputs
            difference = case.compare(engines.run(settings.but(threads=count), case).outputs, expected)
        except EngineError as error:
            stage.words += f"; {count} threads: {error}"
            return stage
        one = case.stage(BATCH, difference)
        one.words = f"{stage.words}; {count} threads against one: {one.words}"
        one.more.update(stage.more, threads=count)
        if difference.fault and users:
            advice = "call `config.set_cpu_math_library_num_threads(1)` in the inference script"
            found = Found("threads", f"{count} threads compute other numbers than one", advice, one.more)
            engines.blamed.append(BATCH)
            return case.blamed(BATCH, difference, found)
        if difference.fault:
            one.words += ", which infer does not use"
    return one


def check_inferred(engines):
    """Whether the stages explain the recorded outputs of infer: what is left, nothing reproduces here."""
    subject = engines.subject
    for engine in subject.engines:
        if engine.is_other_model:
            why = f"infer loaded {engine.files[0]}, whose weights are not the exported model's"
            return differs(INFERRED, "other_model", why, "let infer load the exported model that was examined")
    if not subject.engines or not engines.cases:
        return not_compared(INFERRED, "no outputs of infer were recorded")
    guilty = [case for case in engines.cases if case.why]
    if not guilty:
        return Stage(INFERRED, words="within the tolerance of strict mode")
    case = guilty[0]
    if engines.blamed:
        why = f"explained by {' and '.join(engines.blamed)}"
        return not_compared(INFERRED, why)
    difference = case.compare(case.recorded) if case.recorded and "cannot take" not in case.why else None
    why = f"{case.why} ({case.name}), and none of its settings does that here{_where(case)}"
    advice = "run infer again on this machine: if the outputs are the same, look at what its script does to them"
    if difference:
        return case.blamed(INFERRED, difference, Found("unexplained", why, advice, {}))
    return differs(INFERRED, "unexplained", why, advice)


def _where(case):
    if case.place == "gpu":
        return ": it ran on a GPU"
    return ": which settings it used was not recorded" if case.noted is None else ""
