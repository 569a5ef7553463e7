"""Both clients, the comparison of their answers with Paddle Inference, and requests over gRPC."""

import io
import json
import os
import re
import socket
import urllib.request

import numpy as np
import pytest

from ppcls_lite.serving.program import load_proto
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.scripts import LIMIT, assert_one_line, run_process
from tests.helpers.service import encoded, make_image

CLIENTS = {
    "http": "deploy/paddleserving/pipeline_http_client.py",
    "grpc": "deploy/paddleserving/pipeline_rpc_client.py",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(encoded(make_image(seed=number)))
    return folder


def where(service, kind):
    if kind == "http":
        return ["--url", f"http://127.0.0.1:{service.port}/{service.name}/prediction"]
    return ["--endpoint", f"127.0.0.1:{service.rpc_port}"]


@pytest.mark.parametrize("kind", CLIENTS)
def test_clients_and_comparison(service, exported, images, kind, tmp_path, run_here):
    proxies = {
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }
    files = {}
    for size in (1, 3):
        files[size] = tmp_path / f"{size}.json"
        options = [
            "--image_dir",
            images,
            "--batch_size",
            size,
            "--save",
            files[size],
            "--save_request",
            tmp_path / "r",
        ]
        outcome = run_process(CLIENTS[kind], *where(service, kind), *options, **proxies)
        assert outcome.status == 0, outcome.err
        assert f"{-(-5 // size)} requests, 5 images, 0 answered with an error" in outcome.out
    request = json.loads((tmp_path / "r").read_text())
    assert request["key"] == ["image", "image_1", "image_2"]
    answer = json.loads(files[1].read_text())[0]["answer"]
    assert (answer["err_no"], answer["err_msg"], answer["key"]) == (0, "", ["label", "prob", "result"])
    named = [f"one={files[1]}", f"three={files[3]}"]
    options = ["--inference_model_dir", exported.model, "--engine", "onednn", "--save", tmp_path / "agree.json"]
    outcome = run_here("tools/compare_serving.py", *options, *named)
    assert outcome.status == 0, outcome.err
    for name in ("one", "three"):
        assert f"{name}: largest difference 0 (bitwise equality required), 5 of 5 images identical" in outcome.out
    assert [entry["agrees"] for entry in json.loads((tmp_path / "agree.json").read_text())] == [True, True]
    kept = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "agree_predictions").iterdir()}
    assert set(kept) == {"one", "one_predicted", "three", "three_predicted"}
    assert kept["one"]["images"] == kept["one_predicted"]["images"] == kept["three"]["images"]
    saved = json.loads(json.loads(files[1].read_text())[0]["answer"]["value"][2])[0]
    scores = [[score for _, score in one["rows"]] for one in kept["one"]["images"].values()]
    assert np.float32(saved["scores"]).tolist() in np.float32(scores).tolist()


def last_bit(values):
    """The least change of a float32 number."""
    score = values["result"][0]["scores"][1]
    values["result"][0]["scores"][1] = float(np.nextafter(np.float32(score), np.float32(1)))


def round_scores(values):
    values["result"][0]["scores"] = [round(score, 5) for score in values["result"][0]["scores"]]


def swap_classes(values):
    values["result"][0]["class_ids"][:2] = reversed(values["result"][0]["class_ids"][:2])


def change_name(values):
    values["result"][0]["label_names"][0] = "another"


def change_label(values):
    values["label"][0] = "another"


def change_best_score(values):
    values["prob"][0] = round(values["prob"][0], 6)


def drop_scores(values):
    del values["result"][0]["scores"]


FAULTS = {
    last_bit: r"largest difference [1-9.]+e-\d+ .*, 5 of 5 with the same classes",
    round_scores: "5 of 5 with the same classes",
    swap_classes: "largest difference 0 .*, 4 of 5 with the same classes",
    change_name: "largest difference 0 .*, 4 of 5 with the same classes",
    change_label: "largest difference 0 .*, 4 of 5 with the same classes",
    change_best_score: r"largest difference [1-9.]+e-\d+ .*, 5 of 5 with the same classes",
    drop_scores: "largest difference inf .*, 4 of 5 with the same classes",
}


@pytest.fixture(scope="module")
def answers(service, images, tmp_path_factory):
    """What the service answered, as the client saved it."""
    path = tmp_path_factory.mktemp("answers") / "answers.json"
    outcome = run_process(CLIENTS["http"], *where(service, "http"), "--image_dir", images, "--save", path)
    assert outcome.status == 0, outcome.err
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_sees_a_wrong_answer(answers, exported, fault, tmp_path, run_here):
    """One answer of five, where the change is made in one number or word of it."""
    saved = json.loads(answers.read_text())
    answer = saved[2]["answer"]
    values = {key: json.loads(text) for key, text in zip(answer["key"], answer["value"])}
    fault(values)
    answer["value"] = [json.dumps(value) for value in values.values()]
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(saved))
    outcome = run_here("tools/compare_serving.py", "--inference_model_dir", exported.model, f"http={path}")
    assert_one_line(outcome, "its predictions are not those of the service")
    assert "4 of 5 images identical" in outcome.out
    assert re.match(f"http: .*{FAULTS[fault]}: DISAGREES\n$", outcome.out)


def test_another_engine_is_refused_even_where_its_answers_are_the_same(answers, exported, run_here):
    named = ("tools/compare_serving.py", "--inference_model_dir", exported.model, f"http={answers}")
    outcome = run_here(*named, "--engine", "openvino")
    assert_one_line(outcome, "the service computes with engine openvino, and predict_cls.py with onednn: Global of ")
    assert "5 of 5 images identical" in outcome.out
    outcome = run_here(*named, "--engine", "onednn", "-o", "Global.enable_mkldnn=False")
    assert_one_line(outcome, "the service computes with engine onednn, and predict_cls.py with paddle: Global of ")
    assert "0 of 5 images identical" in outcome.out


def test_answers_that_are_the_same_for_all_images_are_refused(exported, images, tmp_path, run_here):
    """A model that ignores its images, and a service that is right about it."""
    arrays = random_weights()
    for name in ("fc.weight", "fc.bias"):
        arrays[name] = np.zeros_like(arrays[name])
    weights = save_arrays(arrays, tmp_path / "zeros.pdparams")
    places = [f"Global.pretrained_model={weights}", f"Global.save_inference_dir={tmp_path / 'model'}"]
    made = run_process("tools/export_model.py", "-c", exported.config, *(w for place in places for w in ("-o", place)))
    assert made.status == 0, made.err
    third = float(np.float32(1 / 3))
    result = {"class_ids": [0, 1, 2], "scores": [third] * 3, "label_names": ["red", "green", "blue"]}
    answer = {"err_no": 0, "err_msg": "", "key": ["result"], "value": [json.dumps([result])]}
    names = sorted(map(str, images.iterdir()))
    constant = "the scores of 5 different images differ by at most 0: the answers do not depend on the image\n"
    for sent, status in ((names, 1), (names[:1] * 5, 0)):
        path = tmp_path / "answers.json"
        path.write_text(json.dumps([{"images": [name], "answer": answer} for name in sent]))
        outcome = run_here("tools/compare_serving.py", "--inference_model_dir", tmp_path / "model", f"http={path}")
        assert outcome.status == status, outcome
        assert (constant in outcome.out) is bool(status)
        assert ("note: this is one image, which cannot show whether" in outcome.out) is not bool(status)


def test_a_name_may_not_hide_another_file(exported, tmp_path, run_here):
    named = [f"http={tmp_path / name}" for name in "ab"]
    outcome = run_here("tools/compare_serving.py", "--inference_model_dir", exported.model, *named)
    assert_one_line(outcome, "http=: expected a name once, found it again with another file")


def test_the_comparison_refuses_other_files(exported, tmp_path, run_here):
    path = tmp_path / "answers.json"
    for content, message in [
        ("[{}]", "expected the answers of a client"),
        ("{", "expected the answers of a client"),
        (json.dumps([{"images": ["a"], "answer": {"err_no": 53, "err_msg": "no"}}]), "a: answered with error 53: no"),
        (
            json.dumps([{"images": ["a"], "answer": {"err_no": 0, "key": ["result"], "value": ["[]"]}}]),
            "1 images were sent, and 0 answered",
        ),
    ]:
        path.write_text(content)
        outcome = run_here("tools/compare_serving.py", "--inference_model_dir", exported.model, f"http={path}")
        assert_one_line(outcome, str(path), message)
    path.write_text("[]")
    outcome = run_here("tools/compare_serving.py", "--inference_model_dir", exported.model, f"http={path}")
    assert_one_line(outcome, "not those of the service")  # no image, no proof


@pytest.mark.parametrize("kind", CLIENTS)
def test_clients_report_errors(service, kind, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    outcome = run_process(CLIENTS[kind], *where(service, kind), "--image_dir", tmp_path)
    assert_one_line(outcome, "1 of 1 requests were answered with an error")
    assert "not a decodable image" in outcome.out
    with socket.create_server(("127.0.0.1", 0)) as other:  # answers nothing
        port = other.getsockname()[1]
        place = {"http": ["--url", f"http://127.0.0.1:{port}/x/y"], "grpc": ["--endpoint", f"127.0.0.1:{port}"]}[kind]
        assert_one_line(run_process(CLIENTS[kind], *place, "--timeout", 1), str(port), "no answer")
    assert_one_line(run_process(CLIENTS[kind], *place, "--timeout", 1), str(port), "no answer")


def test_messages_that_are_too_large_for_grpc(service, tmp_path):
    before = service.results(encoded(make_image()))
    (tmp_path / "large.png").write_bytes(encoded(make_image()) + b"x" * 20_000_000)
    outcome = run_process(CLIENTS["grpc"], *where(service, "grpc"), "--image_dir", tmp_path)
    assert_one_line(outcome, "RESOURCE_EXHAUSTED")
    assert service.results(encoded(make_image())) == before


def test_tensors_are_not_unpickled(service, tmp_path):
    """Paddle Serving's own request operator loads a byte tensor with pickle allowed."""
    import grpc

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    stream = io.BytesIO()
    np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    messages = load_proto("paddle_serving_server", "pipeline/proto/pipeline_service_pb2.py")
    request = messages.Request(key=["image"], value=["x"])
    request.tensors.add(name="image", elem_type=13, byte_data=stream.getvalue())
    with grpc.insecure_channel(f"127.0.0.1:{service.rpc_port}") as channel:
        method = "/baidu.paddle_serving.pipeline_serving.PipelineService/inference"
        call = channel.unary_unary(method, messages.Request.SerializeToString, messages.Response.FromString)
        answer = call(request, timeout=LIMIT)
    assert (answer.err_no, list(answer.key)) == (51, [])
    assert "tensors are not accepted" in answer.err_msg
    assert not (tmp_path / "ran").exists()


def test_ready_can_be_asked(service):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{service.port}/{service.name}/ready", timeout=LIMIT) as response:
        assert json.loads(response.read()) == {"name": "imagenet", "ready": True}
