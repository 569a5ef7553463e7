"""Ask Paddle Serving's C++ server (brpc), which answers protobuf messages over HTTP at /GeneralModelService/inference.

Two kinds of request: with the general operators the server gets the network's input, and the preprocessing is the
model's own, done here; with `GeneralClasOp` it gets the bytes of the image and does what was compiled into it, for
ImageNet at 224 pixels. The messages are those of Paddle Serving's general_model_service.proto.
"""

import base64
from pathlib import Path

import numpy as np

from ppcls_lite.serving.program import load_proto
from ppcls_lite.utils.errors import UserError

PATH = "/GeneralModelService/inference"
FLOAT32, BYTES = 1, 20  # Serving's numbers of the data types
IMAGE_OPERATORS = ("GeneralClasOp",)
_CLIENT = "paddle_serving_client"


def read_client_config(path):
    """The `GeneralModelConfig` of the file or folder that the conversion wrote for clients."""
    path = Path(path)
    path = path / "serving_client_conf.prototxt" if path.is_dir() else path
    from google.protobuf import text_format

    config = load_proto(_CLIENT, "proto/general_model_config_pb2.py").GeneralModelConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (OSError, ValueError, text_format.ParseError) as error:
        raise UserError(f"{path}: expected what the conversion wrote for clients ({error!s:.120})") from None
    if len(config.feed_var) != 1 or not config.fetch_var:
        raise UserError(
            f"{path}: expected a model with one input, the image, and an output; found {len(config.feed_var)} inputs "
            f"and {len(config.fetch_var)} outputs"
        )
    return config


def tensor_request(config, batch):
    """The serialised Request for a `batch` [N, 3, H, W] float32 of what the network takes."""
    request, tensor = _request(config)
    tensor.elem_type = FLOAT32
    tensor.shape.extend(batch.shape)
    tensor.float_data.extend(np.ascontiguousarray(batch, np.float32).ravel().tolist())
    return request.SerializeToString()


def image_request(config, path):
    """The serialised Request for the image file at `path`, as GeneralClasOp takes it: its bytes in base64."""
    request, tensor = _request(config)
    tensor.elem_type = BYTES
    tensor.shape.append(1)
    tensor.data.append(base64.b64encode(Path(path).read_bytes()).decode())
    return request.SerializeToString()


def read_response(content, config, count):
    """The first output [count, ...] float32 of a serialised Response; UserError for any other content."""
    response = load_proto(_CLIENT, "proto/general_model_service_pb2.py").Response()
    try:
        response.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError is not the same class in all of its versions
        raise UserError(f"expected a Response of GeneralModelService, found {content[:60]!r}") from error
    if response.err_no:
        raise UserError(f"the server answers with error {response.err_no}: {response.err_msg:.300}")
    wanted = config.fetch_var[0].alias_name
    tensors = [tensor for output in response.outputs for tensor in output.tensor if tensor.alias_name == wanted]
    if not tensors:
        raise UserError(f"the answer has no output {wanted!r}: the server was started with another model")
    found = np.array(tensors[0].float_data, np.float32)
    if not found.size:  # some of the server's operators fill this field in its place
        found = np.frombuffer(tensors[0].tensor_content, np.float32)
    shape = list(tensors[0].shape)
    if not shape or shape[0] != count or found.size != int(np.prod(shape)):
        raise UserError(f"{count} images were sent, and the output {wanted!r} has the shape {shape}")
    return found.reshape(shape)


def _request(config):
    """(a Request for the first output, its tensor for the input)."""
    request = load_proto(_CLIENT, "proto/general_model_service_pb2.py").Request()
    request.fetch_var_names.append(config.fetch_var[0].alias_name)
    tensor = request.tensor.add()
    tensor.name, tensor.alias_name = config.feed_var[0].name, config.feed_var[0].alias_name
    return request, tensor
