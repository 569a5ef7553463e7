"""INT8 models: ONNX Runtime's static quantiser on a network in ONNX's format.

The result has `QuantizeLinear` and `DequantizeLinear` around what is computed in INT8 (the QDQ form), so that ONNX
Runtime and OpenVINO both run it. Needs `onnx` and `onnxruntime` (requirements-engines.txt).
"""

import logging
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
    layers = [node.name for node in model.graph.node if node.op_type in LAYERS]
    return layers[:1] * calibration.float_first + layers[-1:] * calibration.float_last


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
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.getLogger().setLevel(level)


# ----------------------------------------------------------------------------------------------- what an INT8 model has


class Contents(NamedTuple):
    """What is INT8 in a model: `layers` with INT8 weights of `all_layers` with weights, and the dequantised `weights`
    {name of the FP32 weight: (array, largest step)}."""

    layers: int
    all_layers: int
    weights: dict


def read_contents(content):
    """The `Contents` of a model in ONNX's format, INT8 or not."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(content)
    arrays = {one.name: one for one in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    layers, found = 0, {}
    nodes = [node for node in model.graph.node if node.op_type in LAYERS]
    for node in nodes:
        source = made_by.get(node.input[1])
        if source is None or source.op_type != "DequantizeLinear" or source.input[0] not in arrays:
            continue
        numbers = numpy_helper.to_array(arrays[source.input[0]])
        if numbers.dtype != np.int8:
            continue
        layers += 1
        scale = numpy_helper.to_array(arrays[source.input[1]])
        axis = next((one.i for one in source.attribute if one.name == "axis"), 1) if scale.size > 1 else 0
        shape = [-1 if side == axis else 1 for side in range(numbers.ndim)]
        step = scale.reshape(shape) if scale.size > 1 else scale.reshape([1] * numbers.ndim)
        found[source.input[0].removesuffix("_quantized")] = numbers * step, step
    return Contents(layers, len(nodes), found)


def float_weights(model):
    """{name: array} of the weights of the layers of a prepared FP32 model."""
    from onnx import numpy_helper

    arrays = {one.name: one for one in model.graph.initializer}
    names = [node.input[1] for node in model.graph.node if node.op_type in LAYERS and node.input[1] in arrays]
    return {name: numpy_helper.to_array(arrays[name]) for name in names}
