"""The service: its settings, how it starts, stops and fails."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from ppcls_lite.infer.engines import ENGINES
from tests.helpers.scripts import ROOT, assert_one_line, run_process
from tests.helpers.service import SCRIPT, Service, encoded, make_image
from tests.helpers.shell import is_running, wait_for

ENGINE = "onednn" if ENGINES.get("openvino").why_not() else "openvino"
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


# ------------------------------------------------------------------------------------------------------ clients


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
    options = ["--inference_model_dir", exported.model, "--engine", ENGINE, "--save", tmp_path / "agree.json", *named]
    outcome = run_here("tools/compare_serving.py", *options)
    assert outcome.status == 0, outcome.err
    for name in ("one", "three"):
        assert f"{name}: largest difference 0 (at most 0.0001 required), 5 of 5 images identical" in outcome.out
    assert [entry["agrees"] for entry in json.loads((tmp_path / "agree.json").read_text())] == [True, True, True]


def change_score(result):
    result["scores"][0] += 0.001


def change_name(result):
    result["label_names"][0] = "another"


def change_order(result):
    result["class_ids"].reverse()


def drop_scores(result):
    del result["scores"]


@pytest.mark.parametrize("fault", [change_score, change_name, change_order, drop_scores])
def test_the_comparison_sees_a_wrong_answer(service, exported, images, fault, tmp_path, run_here):
    path = tmp_path / "answers.json"
    run_process(CLIENTS["http"], *where(service, "http"), "--image_dir", images, "--save", path)
    saved = json.loads(path.read_text())
    results = json.loads(saved[2]["answer"]["value"][2])
    fault(results[0])
    saved[2]["answer"]["value"][2] = json.dumps(results)
    path.write_text(json.dumps(saved))
    outcome = run_here("tools/compare_serving.py", "--inference_model_dir", exported.model, f"http={path}")
    assert_one_line(outcome, "its predictions are not those of the service")
    assert "http: " in outcome.out
    assert "DISAGREES" in outcome.out


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
    (tmp_path / "large.png").write_bytes(encoded(make_image()) + b"x" * 20_000_000)
    outcome = run_process(CLIENTS["grpc"], *where(service, "grpc"), "--image_dir", tmp_path)
    assert_one_line(outcome, "RESOURCE_EXHAUSTED")
    assert service.results(encoded(make_image()))


def test_tensors_are_not_unpickled(service, tmp_path):
    """Paddle Serving's own request operator loads a byte tensor with pickle allowed."""
    import grpc

    from ppcls_lite.serving.program import load_proto

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    import io

    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    messages = load_proto("paddle_serving_server", "pipeline/proto/pipeline_service_pb2.py")
    request = messages.Request(key=["image"], value=["x"])
    request.tensors.add(name="image", elem_type=13, byte_data=stream.getvalue())
    with grpc.insecure_channel(f"127.0.0.1:{service.rpc_port}") as channel:
        method = "/baidu.paddle_serving.pipeline_serving.PipelineService/inference"
        call = channel.unary_unary(method, messages.Request.SerializeToString, messages.Response.FromString)
        answer = call(request, timeout=30)
    assert (answer.err_no, list(answer.key)) == (51, [])
    assert "tensors are not accepted" in answer.err_msg
    assert not (tmp_path / "ran").exists()


def test_ready_can_be_asked(service):
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{service.port}/{service.name}/ready", timeout=30) as response:
        assert json.loads(response.read()) == {"name": "imagenet", "ready": True}


# ----------------------------------------------------------------------------------------------------- settings


def refused(tmp_path, *options, config=None):
    """The error line of a server that cannot start."""
    settings = ["-c", config] if config else []
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, settings), "-o", "http_port=0", "rpc_port=0", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


MODEL = "op.imagenet.local_service_conf.model_config"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("op.imagenet.concurency=4", "unknown key 'concurency' in op.imagenet (did you mean 'concurrency'?)"),
        ("op.imagnet.concurrency=4", "unknown key 'imagnet' in op (did you mean 'imagenet'?)"),
        ("http_port=http", "http_port: expected a whole number, found 'http'"),
        ("http_port=70000", "http_port: expected 0 for a free port, or 1024 to 65535, found 70000"),
        ("host=not.a.host.invalid", "http_port: not.a.host.invalid:0 cannot be listened on"),
        ("limits.max_images=0", "limits.max_images: expected a whole number of at least 1, found 0"),
        ("op.imagenet.local_service_conf.engine=openvno", "(did you mean 'openvino'?)"),
        ("op.imagenet.local_service_conf.device_type=9", "device_type: expected 0 (CPU), 1 (GPU) or 2"),
        ("dag.is_thread_op=False", "dag.is_thread_op: expected True"),
        (f"{MODEL}=no/such", "no/such: expected a folder with an exported model, found nothing"),
        (MODEL, "expected KEY=VALUE"),
    ],
)
def test_impossible_settings(option, message, tmp_path, converted):
    options = [option] if option.startswith(MODEL) else [f"{MODEL}={converted}", option]
    assert message in refused(tmp_path, *options)


def test_impossible_config_files(tmp_path, converted):
    good = yaml.safe_load((ROOT / "deploy/paddleserving/config.yml").read_text())
    path = tmp_path / "config.yml"
    for change, message in [
        ({"op": {}}, "op: expected one operator, found 0 operators"),
        ({"op": None}, "op: expected one operator, found None"),
        ({"htp_port": 1}, "unknown section 'htp_port' (did you mean 'http_port'?)"),
        ({"limits": {"max_image": 3}}, "unknown key 'limits.max_image' (did you mean 'max_images'?)"),
        ({"dag": {"is_thread_op": "yes sir"}}, "dag.is_thread_op: expected True or False"),
    ]:
        path.write_text(yaml.safe_dump({**good, **change}))
        assert message in refused(tmp_path, config=path)
    assert "no such config file" in refused(tmp_path, config=tmp_path / "none.yml")


def test_another_name_label_file_and_limit(tmp_path, converted):
    """The settings that an entrant changes: the operator's name, the transforms' config, the label file."""
    (tmp_path / "labels.txt").write_text("0 alpha\n1 beta\n2 gamma\n")
    content = {"Global": {}, "PostProcess": {"topk": 2, "class_id_map_file": str(tmp_path / "labels.txt")}}
    (tmp_path / "inference.yaml").write_text(yaml.safe_dump(content))
    config = yaml.safe_load((ROOT / "deploy/paddleserving/config.yml").read_text())
    operator = config["op"].pop("imagenet")
    operator["inference_config"] = "inference.yaml"
    operator["local_service_conf"]["model_config"] = str(converted)
    config.update(op={"fruit": operator}, limits={"max_images": 2}, http_port=0, rpc_port=0)
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
    script = tmp_path / "start.py"
    script.write_text(
        f"import runpy, sys\nsys.argv[1:] = ['-c', {str(tmp_path / 'config.yml')!r}]\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    service = Service(tmp_path, converted, script=script)
    try:
        assert service.name == "fruit"
        (result,) = service.results(encoded(make_image()))
        assert len(result["class_ids"]) == 2
        assert set(result["label_names"]) <= {"alpha", "beta", "gamma"}
        assert service.ask(*[encoded(make_image())] * 3)["err_msg"] == "3 images in one request; expected at most 2"
    finally:
        assert service.stop() == 0


@pytest.mark.parametrize("engine", ["paddle", "onednn"])
def test_engines_and_batching_give_the_same_answers(service, converted, tmp_path, engine):
    settings = [f"op.imagenet.local_service_conf.engine={engine}", "op.imagenet.batch_size=3"]
    other = Service(tmp_path, converted, *settings, "op.imagenet.auto_batching_timeout=20")
    try:
        files = [encoded(make_image(seed=seed)) for seed in range(12)]
        found = [None] * len(files)

        def ask(number):
            found[number] = other.results(files[number])[0]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(files))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for data, result in zip(files, found):
            (expected,) = service.results(data)
            assert result["class_ids"] == expected["class_ids"]
            assert result["scores"] == pytest.approx(expected["scores"], abs=1e-4)
    finally:
        assert other.stop() == 0


# ------------------------------------------------------------------------------------------- processes and ports


@pytest.mark.parametrize("option", ["http_port", "rpc_port"])
def test_a_taken_port(option, tmp_path, converted, service):
    port = service.port if option == "http_port" else service.rpc_port
    line = refused(tmp_path, f"{MODEL}={converted}", f"{option}={port}")
    assert f"error: {option}: 127.0.0.1:{port} cannot be listened on (Address already in use)" in line


def processes(session):
    """Numbers of the processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            cells = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(cells[3]) == session and cells[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_server_that_ends(number, tmp_path, converted):
    service = Service(tmp_path, converted)
    assert processes(service.process.pid) == [service.process.pid]
    service.process.send_signal(number)
    status = service.process.wait(20)
    assert status == (-number if number == signal.SIGKILL else 0)
    assert processes(service.process.pid) == []
    for port in (service.port, service.rpc_port):  # free again at once
        with socket.create_server(("127.0.0.1", port)):
            pass
    assert not list(tmp_path.glob("__cache__*"))


BROKEN = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
from ppcls_lite.serving.request import Limits, limit_opencv
limit_opencv(Limits())
from ppcls_lite.serving.op import ImageOp
process, parse = ImageOp.process, ImageOp._parse_channeldata_batch

def fail(self, feed_batch, logid=0):
    if len(feed_batch[0]["images"]) == 2:
        raise RuntimeError("planted")
    return process(self, feed_batch, logid)

def die(self, batch, channels):
    found = parse(self, batch, channels)
    for entry in found[0].values():
        if "die" in next(iter(entry.values())):
            raise ValueError("planted")
    return found

ImageOp.process, ImageOp._parse_channeldata_batch = fail, die
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


def test_an_engine_that_fails_and_a_thread_that_dies(tmp_path, converted):
    script = tmp_path / "broken.py"
    script.write_text(BROKEN)
    service = Service(tmp_path, converted, script=script)
    try:
        good = encoded(make_image())
        for _ in range(5):  # more than there are engines: each comes back
            answer = service.ask(good, good)
            assert answer["err_no"] == 10000
            assert "planted" in answer["err_msg"]
        assert service.results(good)
        with pytest.raises(OSError, match=r"closed|reset"):  # the answer never comes: the connection ends
            service.ask(good, keys=["die"])
        assert wait_for(lambda: service.process.poll() is not None)
        assert service.process.returncode == 1
        assert "error: a thread of the pipeline has died" in service.log.read_text()
        assert not is_running(service.process.pid)
    finally:
        service.stop()


def test_paddle_serving_that_is_missing(tmp_path, converted):
    """Without the package: one line with the command that installs it."""
    hidden = tmp_path / "paddle_serving_server"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('hidden')")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "-o", f"{MODEL}={converted}"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "error: Paddle Serving cannot be imported (hidden)" in done.stderr
    assert "bash test_tipc/prepare.sh CONFIG serving_infer" in done.stderr
