"""INT8 models: ONNX Runtime's static quantiser on a network in ONNX's format.

The result has `QuantizeLinear` and `DequantizeLinear` around what is computed in INT8 (the QDQ form), so that ONNX
Runtime and OpenVINO both run it. Needs `onnx` and `onnxruntime` (requirements-engines.txt).
"""

import logging
from collections import Counter
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.scratch import ScratchFolder

LAYERS = ("Conv", "Gemm", "MatMul")  # those that have weights
_PERCENTILE = 99.99
_BATCH = 16
_INTEGER = ("QLinear", "QGemm", "ConvInteger", "MatMulInteger", "DynamicQuantize")


def quantise(content, images, calibration):
    """The network in the bytes `content` (ONNX, FP32) as an INT8 one, as bytes.

    Args:
        images: [N, 3, H, W] float32, prepared as for the network: the ranges of its activations are found with them.
        calibration: a `Calibration`.
    A `Clip` with constant ends, as training with PACT leaves one before each layer, gives the range of its result: it
    is taken as it was trained. Raises UserError without images, and with images that are all alike, since their ranges
    would say nothing.
    """
    from onnxruntime import quantization as ort

    _check_images(images)
    methods = ort.CalibrationMethod
    method = {"minmax": methods.MinMax, "entropy": methods.Entropy, "percentile": methods.Percentile}
    prepared = prepare(content)
    options = {"CalibPercentile": _PERCENTILE, "TensorQuantOverrides": _trained_ranges(prepared)}
    with ScratchFolder() as folder, _quiet():
        target = Path(folder, "int8.onnx")
        ort.quantize_static(
            prepared,
            target,
            _reader(prepared.graph.input[0].name, images),
            quant_format=ort.QuantFormat.QDQ,
            calibrate_method=method[calibration.method],
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            per_channel=calibration.per_channel,
            reduce_range=calibration.reduce_range,
            nodes_to_exclude=_kept_in_float(prepared, calibration),
            extra_options=options,
        )
        return target.read_bytes()


def prepare(content):
    """The network as the quantiser wants it, an `onnx.ModelProto`: BatchNorm folded into the convolutions."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with ScratchFolder() as folder, _quiet():
        source, target = Path(folder, "float.onnx"), Path(folder, "prepared.onnx")
        source.write_bytes(content)
        quant_pre_process(str(source), str(target), skip_symbolic_shape=True)
        model = onnx.load(str(target))
    for number, node in enumerate(model.graph.node):  # the quantiser chooses nodes by their names
        node.name = node.name or f"{node.op_type}_{number}"
    return model


def _check_images(images):
    if len(images) == 0:
        raise UserError("calibration: expected images, found none")
    if len(images) > 1 and (images == images[:1]).all():
        raise UserError(f"calibration: expected different images, found {len(images)} that are all alike")
    if not all(np.ptp(image) for image in images):
        raise UserError("calibration: an image has one colour only: the ranges would say nothing of real ones")


def _reader(name, images):
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.batches = iter(images[start : start + _BATCH] for start in range(0, len(images), _BATCH))

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {name: batch}

    return Reader()


def _kept_in_float(model, calibration):
    """The names of the nodes: those that the user keeps, and the softmax, whose 256 steps would be seen in a score."""
    layers = [node.name for node in model.graph.node if node.op_type in LAYERS]
    softmax = [node.name for node in model.graph.node if node.op_type == "Softmax"]
    return layers[:1] * calibration.float_first + layers[-1:] * calibration.float_last + softmax


def _trained_ranges(model):
    """{result of a Clip: [{"rmin", "rmax"}]} in the form of the quantiser's overrides."""
    from onnx import numpy_helper

    constants = {one.name: one for one in model.graph.initializer}
    ranges = {}
    for node in model.graph.node:
        if node.op_type == "Clip" and len(node.input) == 3 and all(name in constants for name in node.input[1:]):
            low, high = (float(numpy_helper.to_array(constants[name]).reshape(())) for name in node.input[1:])
            ranges[node.output[0]] = [{"rmin": np.float32(min(low, 0)), "rmax": np.float32(high)}]
    return ranges


@contextmanager
def _quiet():
    """Without the remarks of the quantiser, which are for its developers."""
    import onnxruntime

    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(3)  # errors
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.getLogger().setLevel(level)
        onnxruntime.set_default_logger_severity(2)


# ----------------------------------------------------------------------------------------------- what an INT8 model has


class Contents(NamedTuple):
    """What is INT8 in a model: of `layers` with weights (nodes), `weights` has those whose weights are INT8, as
    {name of the FP32 weight: (what they stand for, the steps between two of them)}."""

    layers: int
    weights: dict

    def __str__(self):
        return f"{len(self.weights)} of {self.layers} layers have INT8 weights"


def read_contents(content):
    """The `Contents` of a model in ONNX's format, INT8 or not, given as bytes."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(content)
    arrays = {one.name: one for one in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    found = {}
    for source in (made_by.get(node.input[1]) for node in layers):
        if source is None or source.op_type != "DequantizeLinear" or source.input[0] not in arrays:
            continue
        numbers, step = (numpy_helper.to_array(arrays[name]) for name in source.input[:2])
        if numbers.dtype == np.int8:
            axis = next((one.i for one in source.attribute if one.name == "axis"), 1)
            step = step.reshape([-1 if side == axis else 1 for side in range(numbers.ndim)] if step.size > 1 else ())
            found[source.input[0].removesuffix("_quantized")] = numbers.astype(np.float32) * step, step
    return Contents(len(layers), found)


def wrong_weights(contents, content):
    """The names of INT8 weights that are not the rounded ones of the FP32 network in the bytes `content`."""
    from onnx import numpy_helper

    arrays = {one.name: one for one in prepare(content).graph.initializer}
    wrong = []
    for name, (found, step) in contents.weights.items():
        expected = numpy_helper.to_array(arrays[name]) if name in arrays else None
        if expected is None or expected.shape != found.shape or (np.abs(found - expected) > 0.51 * step).any():
            wrong.append(name)
    return wrong


def unequal_scales(content):
    """The names of results that are quantised with one scale and dequantised with another one."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(content).graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    pairs = [(made_by.get(node.input[0]), node) for node in graph.node if node.op_type == "DequantizeLinear"]
    return [
        first.input[0]
        for first, second in pairs
        if first
        and any(not np.array_equal(*map(arrays.get, names)) for names in zip(first.input[1:], second.input[1:]))
    ]


def int8_operators(content):
    """{kind: number} of the operators that ONNX Runtime computes with integers here, after its own optimisation, and
    under "FP32" the layers with weights that it computes with floating-point numbers."""
    import onnx
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    with ScratchFolder() as folder:
        settings.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        nodes = onnx.load(settings.optimized_model_filepath).graph.node
    kinds = Counter(node.op_type for node in nodes if node.op_type.startswith(_INTEGER))
    in_float = sum(node.op_type.removeprefix("Fused") in LAYERS for node in nodes)
    return {**kinds, **({"FP32": in_float} if in_float else {})}
