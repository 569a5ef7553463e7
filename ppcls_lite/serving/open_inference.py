"""The requests of the Open Inference Protocol, version 2, which KServe, Triton and others speak: every byte checked."""

import json
import math
from dataclasses import dataclass

import numpy as np

from ppcls_lite.serving.hostile import check_json
from ppcls_lite.serving.open_model import IMAGE, RESULT
from ppcls_lite.serving.open_tensors import read_elements, read_floats
from ppcls_lite.serving.request import Code, RequestError, shown

_MOST_DIGITS, _MOST_SIDES = 30, 10


@dataclass(frozen=True)
class Request:
    """A request that was checked.

    Attributes:
        id: what the answer repeats, or None.
        images: {key: base64 text, or bytes, of an image file}, or {} where there is a tensor.
        tensor: float32 [N, C, H, W], or None.
        outputs: {name: whether it is sent as bytes}, in the order of the answer.
    """

    id: str
    images: dict
    tensor: np.ndarray
    outputs: dict


def parse_request(body, json_length, interface, limits):
    """The `Request` in a body.

    Args:
        body: bytes; JSON, and behind it the binary data of inputs.
        json_length: the text of the header `Inference-Header-Content-Length`, or None.
        interface: the model's `open_model.Interface`.
        limits: `Limits`.
    Raises RequestError for everything that does not fit the protocol, the model or the limits.
    """
    length = _json_length(json_length, len(body))
    check_json(body[:length], limits.max_images * math.prod(interface.input_shape))
    content = _parse_json(body[:length])
    parameters = _parameters(content, "the request")
    outputs = _outputs(content, _flag(parameters, "binary_data_output", "the request", False), interface)
    identity = _identity(content)
    one = _only_input(content, interface)
    shape = _shape(one, interface, limits)
    data = _data(one, memoryview(body)[length:])
    name = one["name"]
    if name == IMAGE:
        elements = read_elements(name, data, shape[0])
        images = {f"{name}[{number}]": element for number, element in enumerate(elements)}
        return Request(identity, images, None, outputs)
    return Request(identity, {}, read_floats(shown(name), data, shape), outputs)


def _identity(content):
    found = content.get("id")
    try:
        if found is not None:
            found.encode()
    except (AttributeError, UnicodeError):  # no text, or one with half of a surrogate pair
        raise RequestError(Code.FORM, "id: expected a text of Unicode, found something else") from None
    return found


def _json_length(text, size):
    """How many bytes of a body are JSON."""
    if text is None:
        return size
    if not (text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS and 0 < int(text) <= size):
        found = f"expected 1 to {size}, the bytes of the body, found {shown(text)}"
        raise RequestError(Code.FORM, f"Inference-Header-Content-Length: {found}")
    return int(text)


def _parse_json(text):
    try:
        content = json.loads(text, parse_int=_whole, parse_constant=_no_number, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise RequestError(Code.FORM, f"the request is not JSON: {shown(str(error), 100)}") from None
    if not isinstance(content, dict):
        raise RequestError(Code.FORM, 'expected {"inputs": [...]}, found another JSON value')
    return content


def _whole(text):
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of more than {_MOST_DIGITS} digits")
    return int(text)


def _no_number(text):
    raise ValueError(f"{text} is not a number")


def _unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return found


def _parameters(content, where):
    found = content.get("parameters", {})
    if not isinstance(found, dict):
        raise RequestError(Code.FORM, f"{where}: parameters: expected an object, found another JSON value")
    return found


def _flag(parameters, key, where, default):
    found = parameters.get(key, default)
    if not isinstance(found, bool):
        raise RequestError(Code.FORM, f"{where}: {key}: expected true or false, found {_brief(found)}")
    return found


def _brief(value):
    """A JSON value for a message; of lists and objects, which may be deep and long, only that they are."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return shown(value if isinstance(value, str) else json.dumps(value))


def _entries(content, field):
    """The objects of `inputs` or `outputs`, each of which has a name."""
    found = content.get(field, [])
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in found
    ):
        raise RequestError(Code.FORM, f'{field}: expected a list of {{"name": text, ...}}, found something else')
    return found


def _outputs(content, default, interface):
    """{name: whether it is sent as bytes} of the outputs of the answer; all, where none is named."""
    found = {}
    for one in _entries(content, "outputs"):
        name, where = one["name"], f"output {shown(one['name'])}"
        if name not in interface.outputs:
            raise RequestError(Code.FORM, f"{where}: expected {' or '.join(interface.outputs)}")
        if name in found:
            raise RequestError(Code.FORM, f"{where} appears twice")
        parameters = _parameters(one, where)
        foreign = next((key for key in parameters if key == "classification" or key.startswith("shared_memory")), None)
        if foreign:
            raise RequestError(Code.FORM, f"{where}: {shown(foreign)} is not offered; `{RESULT}` has the best classes")
        found[name] = _flag(parameters, "binary_data", where, default)
    return found or dict.fromkeys(interface.outputs, default)


def _only_input(content, interface):
    inputs = _entries(content, "inputs")
    names = f"{IMAGE} or {interface.input}"
    if len(inputs) != 1:
        raise RequestError(Code.FORM, f"inputs: expected one, {names}, found {len(inputs)}")
    if inputs[0]["name"] not in (IMAGE, interface.input):
        raise RequestError(Code.FORM, f"input {shown(inputs[0]['name'])}: expected {names}")
    return inputs[0]


def _shape(one, interface, limits):
    """The shape of an input, which fits its model and the limits."""
    where = f"input {shown(one['name'])}"
    datatype, tail = ("BYTES", ()) if one["name"] == IMAGE else ("FP32", interface.input_shape)
    if one.get("datatype") != datatype:
        found = _brief(one.get("datatype"))
        raise RequestError(Code.FORM, f"{where}: datatype: expected {datatype}, found {found}")
    shape = one.get("shape")
    is_shape = isinstance(shape, list) and len(shape) < _MOST_SIDES and all(type(size) is int for size in shape)
    if not is_shape or len(shape) != 1 + len(tail) or tuple(shape[1:]) != tail or shape[0] < 1:
        expected = f"[{', '.join(map(str, ['N', *tail]))}], N of at least 1"
        found = shape if is_shape else _brief(shape)
        raise RequestError(Code.FORM, f"{where}: shape: expected {expected}, found {found}")
    if shape[0] > limits.max_images:
        raise RequestError(Code.LIMIT, f"{shape[0]} images in one request; expected at most {limits.max_images}")
    return shape


def _data(one, rest):
    """The list, or the bytes, of the only input; `rest` is what the body has behind the JSON."""
    where = f"input {shown(one['name'])}"
    parameters = _parameters(one, where)
    if "binary_data_size" not in parameters:
        if not isinstance(one.get("data"), list):
            raise RequestError(Code.FORM, f"{where}: expected data, a list, or parameters.binary_data_size")
        if len(rest):
            raise RequestError(Code.FORM, f"{len(rest)} bytes behind the JSON belong to no input")
        return one["data"]
    size = parameters["binary_data_size"]
    if "data" in one:
        raise RequestError(Code.FORM, f"{where}: expected data or binary_data_size, found both")
    if type(size) is not int or size != len(rest):
        found = f"expected {len(rest)}, the bytes behind the JSON, found {_brief(size)}"
        raise RequestError(Code.FORM, f"{where}: binary_data_size: {found}")
    return rest
