"""Triton's own client asks a real service, with its defaults."""

import json

import numpy as np
import pytest

from ppcls_lite.infer.model.config import build_processing
from tests.helpers.service import encoded, make_image

triton = pytest.importorskip("tritonclient.http")
FILES = [encoded(make_image(seed=seed)) for seed in range(3)]


@pytest.fixture
def client(service):
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}") as found:
        yield found


def image_input(is_binary=True):
    found = triton.InferInput("image", [len(FILES)], "BYTES")
    found.set_data_from_numpy(np.array(FILES, object), binary_data=is_binary)
    return found


def results_of(answer):
    return [json.loads(text) for text in answer.as_numpy("result")]


def test_health_and_metadata(client, service):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(service.name)
    assert client.is_model_ready(service.name, "1")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["name"] == "ppcls_lite"
    metadata = client.get_model_metadata(service.name, "1")
    assert (metadata["name"], metadata["inputs"][0]) == (
        service.name,
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
    )


def test_images_with_the_clients_defaults(client, service):
    answer = client.infer(service.name, [image_input()], request_id="7")
    assert answer.get_response()["id"] == "7"
    assert results_of(answer) == service.results(*FILES)
    output = client.get_model_metadata(service.name)["outputs"][0]["name"]
    best = [result["class_ids"][0] for result in results_of(answer)]
    assert answer.as_numpy(output).argmax(axis=1).tolist() == best


@pytest.mark.parametrize("in_bytes", [True, False])
@pytest.mark.parametrize("out_bytes", [True, False])
def test_a_tensor_in_json_and_in_bytes(client, service, converted, in_bytes, out_bytes):
    transforms, _ = build_processing(converted)
    tensor = np.stack([transforms(data) for data in FILES])
    metadata = client.get_model_metadata(service.name)
    given = triton.InferInput(metadata["inputs"][1]["name"], list(tensor.shape), "FP32")
    given.set_data_from_numpy(tensor, binary_data=in_bytes)
    output = metadata["outputs"][0]["name"]
    outputs = [triton.InferRequestedOutput(name, binary_data=out_bytes) for name in ("result", output)]
    answer = client.infer(service.name, [given], outputs=outputs)
    assert results_of(answer) == service.results(*FILES)
    usual = client.infer(service.name, [image_input()]).as_numpy(output)
    assert answer.as_numpy(output).tobytes() == usual.tobytes()


def test_only_the_outputs_that_are_named(client, service):
    outputs = [triton.InferRequestedOutput("result", binary_data=False)]
    answer = client.infer(service.name, [image_input()], outputs=outputs)
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["result"]


def test_refusals_reach_the_clients_exception(client, service):
    given = triton.InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"no image"], object))
    with pytest.raises(triton.InferenceServerException, match=r"'image\[0\]'") as caught:
        client.infer(service.name, [given])
    assert caught.value.status() == "422"
    for compression in ("gzip", "deflate"):  # a bomb otherwise
        with pytest.raises(triton.InferenceServerException, match="Content-Encoding"):
            client.infer(service.name, [image_input()], request_compression_algorithm=compression)
    with pytest.raises(triton.InferenceServerException, match="expected imagenet"):
        client.infer("none", [given])
    assert results_of(client.infer(service.name, [image_input()]))  # the connection goes on
