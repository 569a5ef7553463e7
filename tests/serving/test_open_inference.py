"""The Open Inference Protocol: a real service's answers are those of Paddle Serving's form, to the last bit."""

import base64
import json
import threading

import numpy as np
import pytest

from tests.helpers.open_inference import LENGTH, ask, binary, elements, split_elements
from tests.helpers.service import Service, encoded, make_image


@pytest.fixture(scope="module")
def network(service):
    """The metadata of the real service's model."""
    status, content, _, _ = ask(service, "GET", f"/v2/models/{service.name}")
    assert status == 200
    return content


FILES = [encoded(make_image(seed=seed)) for seed in range(3)]


def infer(service, body, headers=None, version=""):
    return ask(service, "POST", f"/v2/models/{service.name}{version}/infer", body, headers)


def image_input(*files):
    return {"name": "image", "datatype": "BYTES", "shape": [len(files)]}


def results_in(content):
    (found,) = (output for output in content["outputs"] if output["name"] == "result")
    return found["data"]


def test_names_are_those_of_the_exported_model(network, converted):
    described = (converted / "serving_server_conf.prototxt").read_text()
    for tensor in (network["inputs"][1], network["outputs"][0]):
        assert f'  name: "{tensor["name"]}"' in described


def test_pages(service, network):
    name = service.name
    status, content, _, _ = ask(service, "GET", "/v2")
    assert (status, content["extensions"]) == (200, ["binary_tensor_data"])
    for path, expected in {
        "/v2/health/live": {"live": True},
        "/v2/health/ready": {"ready": True},
        f"/v2/models/{name}/ready": {"name": name, "ready": True},
        f"/v2/models/{name}/versions/1/ready": {"name": name, "ready": True},
        f"/v2/models/{name}/versions/1": network,
    }.items():
        assert ask(service, "GET", path)[:2] == (200, expected)
    assert network["name"] == name
    assert network["platform"] == "paddle"
    assert network["versions"] == ["1"]
    assert [(one["datatype"], len(one["shape"])) for one in network["inputs"]] == [("BYTES", 1), ("FP32", 4)]
    assert [(one["datatype"], len(one["shape"])) for one in network["outputs"]] == [("FP32", 2), ("BYTES", 1)]


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/v2/models/none", "model 'none': expected imagenet"),
        ("GET", "/v2/models/imagenet/versions/2", "version '2': expected 1"),
        ("GET", "/v2/models/imagenet/infer", "expected /v2/models/NAME or /v2/models/NAME/ready"),
        ("GET", "/v2/models/imagenet/ready/", "expected /v2/models/NAME or /v2/models/NAME/ready"),
        ("GET", "/v2/models", "expected /v2/models/NAME or /v2/models/NAME/ready"),
        ("POST", "/v2/models/none/infer", "model 'none': expected imagenet"),
        ("POST", "/v2/models/imagenet/versions/0/infer", "version '0': expected 1"),
        ("POST", "/v2/models/imagenet", "expected /v2/models/NAME/infer"),
    ],
)
def test_paths_that_there_are_not(service, method, path, message):
    body = b"{}" if method == "POST" else None
    status, content, _, _ = ask(service, method, path, body)
    assert status == 404
    assert list(content) == ["error"]
    assert message in content["error"]


@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_images_are_answered_as_by_paddle_serving(service, network, version):
    """In JSON and in bytes alike, to the last bit."""
    expected = [json.dumps(result, ensure_ascii=False) for result in service.results(*FILES)]
    texts = [base64.b64encode(data).decode() for data in FILES]
    request = {"id": "42", "inputs": [{**image_input(*FILES), "data": texts}]}
    status, content, _, _ = infer(service, json.dumps(request), version=version)
    assert status == 200, content
    assert (content["model_name"], content["model_version"], content["id"]) == (service.name, "1", "42")
    assert results_in(content) == expected
    scores = np.array(content["outputs"][0]["data"], np.float32).reshape(content["outputs"][0]["shape"])
    for row, result in zip(scores, map(json.loads, expected)):
        assert row[result["class_ids"]].tolist() == result["scores"]

    data = elements(*FILES)
    entry = {**image_input(*FILES), "parameters": {"binary_data_size": len(data)}}
    request = {"inputs": [entry], "parameters": {"binary_data_output": True}}
    status, content, parts, headers = infer(service, *binary(request, data), version=version)
    assert status == 200
    assert headers["Content-Type"] == "application/octet-stream"
    name = network["outputs"][0]["name"]
    assert parts[name] == scores.tobytes()
    assert content["outputs"][0]["shape"] == [
        3,
        *network["outputs"][0]["shape"][1:],
    ]
    assert [part.decode() for part in split_elements(parts["result"])] == expected


def test_a_tensor_of_the_models_own_transforms_is_answered_alike(service, network, converted):
    from ppcls_lite.infer.model.config import build_processing

    transforms, _ = build_processing(converted)
    tensors = np.stack([transforms(data) for data in FILES])
    name, shape = network["inputs"][1]["name"], network["inputs"][1]["shape"]
    assert list(tensors.shape[1:]) == shape[1:]
    entry = {"name": name, "datatype": "FP32", "shape": list(tensors.shape)}
    size = {"parameters": {"binary_data_size": tensors.nbytes}}
    request = {"inputs": [{**entry, **size}], "outputs": [{"name": "result"}]}
    status, content, parts, headers = infer(service, *binary(request, tensors.tobytes()))
    assert status == 200
    assert parts == {}
    assert LENGTH not in headers
    expected = [json.dumps(result, ensure_ascii=False) for result in service.results(*FILES)]
    assert [output["name"] for output in content["outputs"]] == ["result"]
    assert results_in(content) == expected
    many = np.tile(tensors, (10, 1, 1, 1))  # so long that it is parsed in another thread
    for array, data in ((tensors, tensors.tolist()), (tensors, tensors.ravel().tolist()), (many, many.tolist())):
        given = {**entry, "shape": list(array.shape), "data": data}
        status, content, _, _ = infer(service, json.dumps({"inputs": [given]}))
        assert status == 200
        assert results_in(content) == expected * (len(array) // len(tensors))


def test_faults_are_answered_in_one_line(service, network):
    name, shape = network["inputs"][1]["name"], network["inputs"][1]["shape"]
    for entry, status, message in [
        ({**image_input(b"A"), "data": ["!"]}, 400, "the value of 'image[0]' is not base64"),
        ({**image_input(b"A"), "data": ["QUJD"]}, 422, "'image[0]': "),
        ({**image_input(*b"A" * 33), "data": []}, 413, "33 images in one request; expected at most 32"),
        ({"name": name, "datatype": "FP32", "shape": [1, *shape[1:-1], 1], "data": [1]}, 400, "shape: expected [N, "),
    ]:
        found, content, _, _ = infer(service, json.dumps({"inputs": [entry]}))
        assert found == status
        assert list(content) == ["error"]
        assert message in content["error"]
    status, content, _, _ = infer(service, b"{}", {LENGTH: "3"})
    assert (status, list(content)) == (400, ["error"])
    status, content, _, _ = infer(service, b"{}", {"Content-Encoding": "gzip"})
    assert (status, list(content)) == (415, ["error"])


def test_requests_that_are_predicted_together_get_their_own_outputs(network, converted, tmp_path):
    """Names are those of the model, also with an engine that converts it."""
    settings = ["local_service_conf.engine=onnxruntime", "batch_size=4", "concurrency=1", "auto_batching_timeout=50"]
    other = Service(tmp_path, converted, *(f"op.imagenet.{text}" for text in settings))
    try:
        assert ask(other, "GET", f"/v2/models/{other.name}")[1] == network
        name, shape = network["inputs"][1]["name"], network["inputs"][1]["shape"]
        bodies = []
        for number in range(8):
            values = np.random.default_rng(number).standard_normal((1 + number % 2, *shape[1:]), np.float32)
            entry = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
            entry["parameters"] = {"binary_data_size": values.nbytes}
            request = {"inputs": [entry], "parameters": {"binary_data_output": True}}
            bodies.append(binary(request, values.tobytes()))
        alone = [infer(other, *body)[2] for body in bodies]
        assert len({part[network["outputs"][0]["name"]] for part in alone}) == len(bodies)
        together = [None] * len(bodies)

        def send(number):
            together[number] = infer(other, *bodies[number])[2]

        threads = [threading.Thread(target=send, args=(number,)) for number in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert together == alone
    finally:
        assert other.stop() == 0


def test_a_recogniser(rec_service):
    metadata = ask(rec_service, "GET", f"/v2/models/{rec_service.name}")[1]
    (features,) = metadata["outputs"][0]["shape"][1:]
    text = base64.b64encode(FILES[0]).decode()
    status, content, _, _ = infer(rec_service, json.dumps({"inputs": [{**image_input(FILES[0]), "data": [text]}]}))
    assert status == 200, content
    assert results_in(content) == [json.dumps(result) for result in rec_service.results(FILES[0])]
    assert content["outputs"][0]["shape"] == [1, features]
