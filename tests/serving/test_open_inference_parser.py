"""The Open Inference Protocol: requests that are read, and each that is refused, without a service."""

import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest

from ppcls_lite.serving.job import Job
from ppcls_lite.serving.open_inference import parse_request
from ppcls_lite.serving.open_model import Interface, build_answer
from ppcls_lite.serving.request import Limits, RequestError
from tests.helpers.open_inference import elements, split_elements

MODEL = Interface("net", "x", "out", (3, 2, 2), (5,))
LIMITS = Limits(max_images=4)
NUMBERS = [0.5, -1, 2.25, 3, 4, 5, 6, 7, 8, 9, 1e-3, 1e20]


def tensor(**changed):
    return {"name": "x", "datatype": "FP32", "shape": [1, 3, 2, 2], "data": NUMBERS, **changed}


def images(**changed):
    return {"name": "image", "datatype": "BYTES", "shape": [2], "data": ["QQ==", "Qg=="], **changed}


def without(entry, key):
    return {name: value for name, value in entry.items() if name != key}


def parsed(content, *parts, length=None):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    if length is None and parts:
        length = len(text)
    return parse_request(b"".join([text, *parts]), length and str(length), MODEL, LIMITS)


# ------------------------------------------------------------------------------------------------- what is accepted


def test_lists_and_bytes_are_read_alike():
    array = np.array(NUMBERS, np.float32).reshape(1, 3, 2, 2)
    flat = parsed({"inputs": [tensor()], "id": "7"})
    nested = parsed({"inputs": [tensor(data=np.array(NUMBERS).reshape(1, 3, 2, 2).tolist())]})
    raw = parsed({"inputs": [{**without(tensor(), "data"), "parameters": {"binary_data_size": 48}}]}, array.tobytes())
    for request in (flat, nested, raw):
        assert request.tensor.tobytes() == array.tobytes()
        assert request.tensor.shape == array.shape
        assert request.tensor.dtype == np.float32
        assert request.images == {}
        assert request.outputs == {"out": False, "result": False}
    assert flat.id == "7"
    assert nested.id is None
    assert parsed({"inputs": [images()]}).images == {"image[0]": "QQ==", "image[1]": "Qg=="}
    entry = {**without(images(), "data"), "parameters": {"binary_data_size": 10}}
    assert parsed({"inputs": [entry]}, elements(b"A", b"B")).images == {"image[0]": b"A", "image[1]": b"B"}


def test_outputs_are_those_that_the_request_names():
    request = {"inputs": [tensor()], "parameters": {"binary_data_output": True, "priority": 3}}
    assert parsed(request).outputs == {"out": True, "result": True}
    request["outputs"] = [{"name": "result", "parameters": {"binary_data": False}}, {"name": "out"}]
    assert list(parsed(request).outputs.items()) == [("result", False), ("out", True)]
    assert parsed({**request, "outputs": []}).outputs == {"out": True, "result": True}


def test_answers_have_all_digits_in_either_form():
    numbers = np.array([[0.1, 0.2, 0.3, 0.15, 0.25]], np.float32)
    texts = {"result": json.dumps([{"class_ids": [2], "label_names": ["Käse"]}], ensure_ascii=False)}
    request = parsed({"inputs": [tensor()], "id": "é"})
    content, length = build_answer(request, MODEL, texts, numbers)
    answer = json.loads(content)
    assert length is None
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("net", "1", "é")
    assert np.float32(answer["outputs"][0]["data"]).tobytes() == numbers.tobytes()
    assert answer["outputs"][1]["data"] == ['{"class_ids": [2], "label_names": ["Käse"]}']
    request = parsed({"inputs": [tensor()], "parameters": {"binary_data_output": True}})
    content, length = build_answer(request, MODEL, texts, numbers)
    answer = json.loads(content[:length])
    assert "id" not in answer
    assert answer["outputs"][0] == {
        "name": "out", "datatype": "FP32", "shape": [1, 5], "parameters": {"binary_data_size": 20},
    }  # fmt: skip
    assert content[length : length + 20] == numbers.tobytes()
    assert split_elements(content[length + 20 :]) == ['{"class_ids": [2], "label_names": ["Käse"]}'.encode()]


def test_a_network_whose_tensors_have_the_names_of_the_protocol():
    engines = SimpleNamespace(output_shape=(5,))
    op = SimpleNamespace(input_name="image", output_name="result", input_shape=(3, 2, 2), engines=engines)
    found = Interface.of("net", op)
    assert (found.input, found.output) == ("image_tensor", "result_tensor")


# -------------------------------------------------------------------------------------------------- what is refused

WRONG = [
    (b"", "the request is not JSON"),
    (b"\xff\xfe\x00", "the request is not JSON"),
    (b"[" * 100000, "the request is not JSON"),
    (b'{"inputs": [], "inputs": []}', "a name appears twice in one object"),
    (b"[]", "found another JSON value"),
    ({}, "inputs: expected one, image or x, found 0"),
    ({"inputs": {}}, "inputs: expected a list"),
    ({"inputs": [{"name": 1}]}, "inputs: expected a list"),
    ({"inputs": [tensor(), images()]}, "inputs: expected one, image or x, found 2"),
    ({"inputs": [tensor(name="y")]}, "input 'y': expected image or x"),
    ({"inputs": [tensor(name="y\n\x1b")]}, r"input 'y\n\x1b': expected image or x"),
    ({"inputs": [tensor()], "id": 5}, "id: expected a text"),
    ({"inputs": [tensor()], "id": "\ud800"}, "id: expected a text of Unicode"),
    ({"inputs": [tensor()], "parameters": []}, "the request: parameters: expected an object"),
    ({"inputs": [tensor(parameters=3)]}, "input 'x': parameters: expected an object"),
    ({"inputs": [tensor()], "parameters": {"binary_data_output": 1}}, "binary_data_output: expected true or false"),
    ({"inputs": [tensor()], "outputs": 5}, "outputs: expected a list"),
    ({"inputs": [tensor()], "outputs": [{"name": "y"}]}, "output 'y': expected out or result"),
    ({"inputs": [tensor()], "outputs": [{"name": "out"}, {"name": "out"}]}, "output 'out' appears twice"),
    ({"inputs": [tensor()], "outputs": [{"name": "out", "parameters": {"binary_data": "no"}}]}, "expected true or"),
    ({"inputs": [tensor()], "outputs": [{"name": "out", "parameters": {"classification": 3}}]}, "is not offered"),
    (
        {"inputs": [tensor()], "outputs": [{"name": "out", "parameters": {"shared_memory_region": "r"}}]},
        "'shared_memory_region' is not offered",
    ),
    ({"inputs": [tensor(datatype="FP64")]}, "input 'x': datatype: expected FP32, found 'FP64'"),
    ({"inputs": [without(tensor(), "datatype")]}, "datatype: expected FP32, found 'null'"),
    ({"inputs": [tensor(datatype=["FP32"])]}, "datatype: expected FP32, found a list"),
    ({"inputs": [images(datatype="FP32")]}, "input 'image': datatype: expected BYTES, found 'FP32'"),
    ({"inputs": [without(tensor(), "shape")]}, "shape: expected [N, 3, 2, 2], N of at least 1, found 'null'"),
    ({"inputs": [tensor(shape=[3, 2, 2])]}, "expected [N, 3, 2, 2], N of at least 1, found [3, 2, 2]"),
    ({"inputs": [tensor(shape=[1, 3, 4, 1])]}, "found [1, 3, 4, 1]"),
    ({"inputs": [tensor(shape=[0, 3, 2, 2], data=[])]}, "found [0, 3, 2, 2]"),
    ({"inputs": [tensor(shape=[-1, 3, 2, 2])]}, "found [-1, 3, 2, 2]"),
    ({"inputs": [tensor(shape=[True, 3, 2, 2])]}, "found a list"),
    ({"inputs": [tensor(shape=[1.0, 3, 2, 2])]}, "found a list"),
    ({"inputs": [tensor(shape=[1] * 1000)]}, "found a list"),
    ({"inputs": [images(shape=[1, 2])]}, "shape: expected [N], N of at least 1, found [1, 2]"),
    (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [%s, 3, 2, 2]}]}' % (b"9" * 40), "more than 30 digits"),
    ({"inputs": [tensor(shape=[2, 3, 2, 2])]}, "expected a list of 24 in data, found one of 12"),
    ({"inputs": [tensor(data=NUMBERS[1:])]}, "expected a list of 12 in data, found one of 11"),
    ({"inputs": [tensor(data=[])]}, "expected a list of 12 in data, found one of 0"),
    ({"inputs": [tensor(data=[[NUMBERS]])]}, "expected a list of 3 in data, found one of 1"),
    ({"inputs": [tensor(data=[[[1, 2], [3, 4], [5, 6]]])]}, "flat list, or nested as its shape"),
    ({"inputs": [tensor(data=[[[[1, 2], [3, 4]]] * 2 + [5]])]}, "flat list, or nested as its shape"),
    ({"inputs": [tensor(data=[[[[1, [2]], [3, 4]]] * 3])]}, "expected numbers only"),
    ({"inputs": [tensor(data=["1", *NUMBERS[1:]])]}, "expected numbers only"),
    ({"inputs": [tensor(data=[True, *NUMBERS[1:]])]}, "expected numbers only"),
    ({"inputs": [tensor(data=[None, *NUMBERS[1:]])]}, "expected numbers only"),
    ({"inputs": [tensor(data="QQ==")]}, "expected data, a list, or parameters.binary_data_size"),
    ({"inputs": [without(tensor(), "data")]}, "expected data, a list, or parameters.binary_data_size"),
    ({"inputs": [tensor(data=[1e39, *NUMBERS[1:]])]}, "expected finite float32 numbers"),
    ({"inputs": [tensor(data=[10**29 * 99, *NUMBERS[1:]])]}, "more than 30 digits"),
    ({"inputs": [tensor(data=[float("nan"), *NUMBERS[1:]])]}, "NaN is not a number"),
    (json.dumps({"inputs": [tensor()]}).replace("0.5", "1e999").encode(), "expected finite float32 numbers"),
    ({"inputs": [images(data=["QQ=="])]}, "expected a list of 2 in data, found one of 1"),
    ({"inputs": [images(data=["QQ==", 5])]}, "image: expected only texts in data"),
    ({"inputs": [images(data=[["QQ==", "QQ=="]])]}, "expected a list of 2 in data, found one of 1"),
    ({"inputs": [images(parameters={"binary_data_size": 0})]}, "expected data or binary_data_size, found both"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_refused(content, message):
    with pytest.raises(RequestError) as caught:
        parsed(content)
    text = str(caught.value)
    assert message in text
    assert caught.value.status == 400
    assert text.isprintable()
    assert len(text) < 250


def raw(entry, size):
    return {"inputs": [{**without(entry, "data"), "parameters": {"binary_data_size": size}}]}


FULL = np.array(NUMBERS, "<f4").tobytes()


@pytest.mark.parametrize(
    ("content", "data", "message"),
    [
        (raw(tensor(), 47), FULL, "binary_data_size: expected 48, the bytes behind the JSON, found '47'"),
        (raw(tensor(), 48), FULL + b"1", "binary_data_size: expected 49"),
        (raw(tensor(), 48.0), FULL, "binary_data_size: expected 48"),
        (raw(tensor(), -1), FULL, "binary_data_size: expected 48"),
        (raw(tensor(), "48"), FULL, "binary_data_size: expected 48"),
        (raw(tensor(), True), b"1", "binary_data_size: expected 1"),
        (raw(tensor(), 44), FULL[4:], "expected 48 bytes for shape [1, 3, 2, 2], found 44"),
        (raw(tensor(), 48), FULL[4:] + struct.pack("<f", np.nan), "expected finite float32 numbers"),
        (raw(tensor(), 48), FULL[4:] + struct.pack("<f", -np.inf), "expected finite float32 numbers"),
        ({"inputs": [tensor()]}, b"1", "1 bytes behind the JSON belong to no input"),
        (raw(images(), 5), elements(b"A"), "image: expected 2 elements as its shape says, found 1"),
        (raw(images(), 15), elements(b"A", b"B", b"C"), "5 bytes behind the 2 elements of its shape"),
        (raw(images(), 8), elements(b"A") + b"\1\0\0", "element 1: expected a length of 4 bytes, found 3"),
        (raw(images(), 9), elements(b"A") + b"\1\0\0\0", "element 1: says 1 bytes, and 0 are left"),
        (raw(images(), 9), elements(b"A") + b"\xff\xff\xff\xff", "element 1: says 4294967295 bytes"),
        (raw(images(), 9), elements(b"", b"A"), "element 0 is empty"),
    ],
)
def test_refused_bytes(content, data, message):
    with pytest.raises(RequestError) as caught:
        parsed(content, data)
    assert message in str(caught.value)
    assert caught.value.status == 400


@pytest.mark.parametrize("length", ["", "0", "-1", "+5", "9999", "1_0", "5 ", "9" * 5000, "٣"])
def test_refused_length_of_the_json(length):
    with pytest.raises(RequestError, match="Inference-Header-Content-Length: expected 1 to"):
        parse_request(json.dumps({"inputs": [tensor()]}).encode(), length, MODEL, LIMITS)


@pytest.mark.parametrize("entry", [images(shape=[5]), tensor(shape=[5, 3, 2, 2]), tensor(shape=[10**29, 3, 2, 2])])
def test_too_many_images_are_refused_before_their_data_is_looked_at(entry):
    with pytest.raises(RequestError, match="images in one request; expected at most 4") as caught:
        parsed({"inputs": [entry]})
    assert caught.value.status == 413


def test_a_tensor_that_does_not_fit_is_refused_before_it_is_predicted_with_others():
    """As when the model is replaced by one of another size while a request is on its way."""
    from ppcls_lite.serving.op import ImageOp
    from ppcls_lite.serving.tasks import Classification

    op = SimpleNamespace(input_shape=(3, 2, 2), task=Classification())
    assert len(ImageOp.prepare(op, Job(tensor=np.zeros((2, 3, 2, 2), np.float32)))) == 2
    with pytest.raises(RequestError, match=r"expected a tensor of \[3, 2, 2\] for each image, found \[3, 4, 4\]"):
        ImageOp.prepare(op, Job(tensor=np.zeros((2, 3, 4, 4), np.float32)))
