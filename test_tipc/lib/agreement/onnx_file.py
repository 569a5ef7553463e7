"""An ONNX file that was made of an exported model: is it whole, does it have the same inputs, and what does it compute?

ENGINES names the packages that can run it. Nothing of a file is executed but its operators.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from script import UserError


class Input(NamedTuple):
    """An input of the file; `shape` has -1 where a side may vary, None where nothing is stated."""

    name: str
    dtype: str
    shape: tuple


class OnnxFile:
    """A file that ONNX's own checker accepts. UserError where it is damaged, or not valid.

    Attributes: `opset` (of the usual operators), `operators` (how many nodes), `inputs`, `outputs` (names).
    """

    def __init__(self, path):
        import onnx

        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{path}: no such ONNX file")
        model = _whole(onnx, self.path)
        self.opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), None)
        self.operators = len(model.graph.node)
        weights = {one.name for one in model.graph.initializer}
        self.inputs = [_input(onnx, one) for one in model.graph.input if one.name not in weights]
        self.outputs = [one.name for one in model.graph.output]

    def check_against(self, exported):
        """UserError unless the inputs and the number of outputs are those of the `Exported` model: a side that may vary
        there may vary here."""
        own = {one.name: one for one in self.inputs}
        for feed in exported.feeds:
            if feed.name not in own:
                names = ", ".join(own) or "none"
                raise UserError(f"{self.path}: expected the input '{feed.name}' of the exported model, found {names}")
            _check_input(self.path, feed, own[feed.name])
        if len(own) != len(exported.feeds):
            raise UserError(f"{self.path}: has {len(own)} inputs, and the exported model {len(exported.feeds)}")
        if len(self.outputs) != len(exported.outputs):
            raise UserError(
                f"{self.path}: has {len(self.outputs)} outputs, and the exported model {len(exported.outputs)}"
            )

    @property
    def words(self):
        """What it is, for a log."""
        inputs = ", ".join(f"{one.name} {one.dtype} {_sides(one.shape)}" for one in self.inputs)
        return (
            f"{self.path}: valid, opset {self.opset}, {self.operators} operators, "
            f"{self.path.stat().st_size / 1e6:.1f} MB, inputs: {inputs}"
        )


def _whole(onnx, path):
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model, full_check=True)
        return model
    except Exception as error:  # each layer of ONNX has exceptions of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a whole and valid ONNX file: {reason:.200}") from error


def _input(onnx, value):
    tensor = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    if not tensor.HasField("shape"):
        return Input(value.name, dtype, None)
    return Input(value.name, dtype, tuple(one.dim_value if one.dim_value > 0 else -1 for one in tensor.shape.dim))


def _check_input(path, feed, own):
    if feed.dtype and feed.dtype != own.dtype:
        raise UserError(f"{path}: the input '{feed.name}' is {own.dtype}, and {feed.dtype} in the exported model")
    if feed.shape is None or own.shape is None:
        return
    expected, found = _sides(feed.shape), _sides(own.shape)
    if len(feed.shape) != len(own.shape):
        raise UserError(f"{path}: the input '{feed.name}' is {found}, and {expected} in the exported model")
    for place, (wanted, side) in enumerate(zip(feed.shape, own.shape)):
        if side == wanted or side == -1:
            continue
        what = "the batch is fixed" if place == 0 and wanted == -1 else "it is fixed" if wanted == -1 else "it differs"
        raise UserError(f"{path}: the input '{feed.name}' is {found}, and {expected} in the exported model: {what}")


def _sides(shape):
    return "of any shape" if shape is None else "[" + ", ".join("?" if one == -1 else str(one) for one in shape) + "]"


# ------------------------------------------------------------------------------------------------------------ engines


class _OnnxRuntime:
    package, title = "onnxruntime", "ONNX Runtime"

    def __init__(self, path):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # errors only: each unused constant is a warning
        self.version = onnxruntime.__version__
        self._session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])

    def run(self, inputs):
        return self._session.run(None, inputs)


class _OpenVINO:
    package, title = "openvino", "OpenVINO"

    def __init__(self, path):
        import openvino

        self.version = openvino.__version__.partition("-")[0]
        core = openvino.Core()
        model = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self._request, self._count = model.create_infer_request(), len(model.outputs)

    def run(self, inputs):
        self._request.infer(inputs)
        return [self._request.get_output_tensor(number).data.copy() for number in range(self._count)]


ENGINES = {engine.package: engine for engine in (_OnnxRuntime, _OpenVINO)}


class Runner:
    """An engine with the file loaded; `title` names it with its version. UserError in one line for all that it says."""

    def __init__(self, engine, path):
        self.path, self.name = path, ENGINES[engine].title
        self._engine = self._said(ENGINES[engine], path)
        self.title = f"{self.name} {self._engine.version}"

    def run(self, inputs):
        """The outputs for {name: array}, in the order of the file."""
        return self._said(self._engine.run, inputs)

    def _said(self, action, *values):
        try:
            return action(*values)
        except Exception as error:  # each package has exceptions of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.path}: {self.name} cannot run it: {reason:.200}") from error
