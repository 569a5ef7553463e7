"""The service: its settings, how it starts, stops and fails."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from ppcls_lite.utils.tensor_files import read_tensors, write_tensor
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.service import SCRIPT, Service, encoded, make_image
from tests.helpers.shell import wait_for

# ----------------------------------------------------------------------------------------------------- settings


def refused(tmp_path, *options, config=None, script=SCRIPT):
    """The error line of a server that cannot start."""
    settings = ["-c", config] if config else []
    done = subprocess.run(
        [sys.executable, str(script), *map(str, settings), "-o", "http_port=0", "rpc_port=0", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
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
        ("op.imagenet.local_service_conf.device_type=1", "local_service_conf.devices: expected the number of a GPU"),
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
        ({"op": {}}, "op: expected one operator for each model, found 0 operators"),
        ({"op": None}, "op: expected one operator for each model, found None"),
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


def test_batches_and_further_engines_change_no_bit(service, converted, tmp_path):
    settings = ["op.imagenet.concurrency=3", "op.imagenet.batch_size=3", "op.imagenet.auto_batching_timeout=20"]
    other = Service(tmp_path, converted, *settings)
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
        assert found == [service.results(data)[0] for data in files]
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
    status = service.process.wait(LIMIT)
    assert status == (-number if number == signal.SIGKILL else 0)
    assert processes(service.process.pid) == []
    for port in (service.port, service.rpc_port):  # free again at once
        with socket.create_server(("127.0.0.1", port)):
            pass
    assert not list(tmp_path.glob("__cache__*"))


BROKEN = f"""
import runpy, sys
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


def test_an_engine_that_fails_and_threads_that_die(tmp_path, converted):
    script = tmp_path / "broken.py"
    script.write_text(BROKEN)
    service = Service(tmp_path, converted, script=script)
    try:
        good = encoded(make_image())
        expected = service.results(good)
        for _ in range(5):  # more than there are engines: each comes back
            answer = service.ask(good, good)
            assert answer["err_no"] == 10000
            assert "planted" in answer["err_msg"]
        assert service.results(good) == expected
        for number in range(1, 5):  # a thread that dies is replaced, and its request is answered
            answer = service.ask(good, keys=["die"])
            assert answer["err_no"] == 10000
            assert "a thread of the service died: ValueError: planted" in answer["err_msg"]
            assert service.results(good) == expected
            assert service.log.read_text().count("a thread died and is replaced (ValueError: planted)") == number
        service.ask(good, keys=["die"])  # that is too often
        assert wait_for(lambda: service.process.poll() is not None)
        assert service.process.returncode == 1
        assert "error: 5 threads of imagenet have died within 60 seconds" in service.log.read_text()
        assert processes(service.process.pid) == []
    finally:
        service.stop()


@pytest.mark.parametrize("error", ["ImportError('hidden')", "TypeError('hidden\\nIf this call came from a _pb2.py …')"])
def test_paddle_serving_that_is_missing_or_of_another_protobuf(tmp_path, converted, error):
    """One line with the command that installs it."""
    hidden = tmp_path / "paddle_serving_server"
    hidden.mkdir()
    (hidden / "__init__.py").write_text(f"raise {error}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "-o", f"{MODEL}={converted}"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 1
    assert "error: Paddle Serving cannot be imported (hidden)" in done.stderr
    assert "bash test_tipc/prepare.sh CONFIG serving_infer" in done.stderr


# ------------------------------------------------------------------------------------------- scores of no numbers


def test_a_model_with_nan_in_it_is_not_served(tmp_path, converted):
    folder = shutil.copytree(converted, tmp_path / "server")
    (path,) = folder.glob("*params")
    arrays = [array.copy() for _, _, array in read_tensors(path)]
    with path.open("wb") as stream:
        for array in arrays:
            array.flat[0] = np.nan
            write_tensor(stream, array)
    assert "holds numbers that are nan or infinite" in refused(tmp_path, f"{MODEL}={folder}")


def test_a_detector_is_not_served(tmp_path, exported_detector):
    _, model = exported_detector
    settings = [f"{MODEL}={model}"]
    assert f"{model}: its predictions need DetectionBoxes" in refused(tmp_path, *settings)
    settings.append("op.imagenet.inference_config=null")
    assert f"{model}: expected a classifier, found a model with DetectionBoxes" in refused(tmp_path, *settings)


def test_scores_of_no_numbers_are_an_error_and_the_service_goes_on(tmp_path, converted):
    script = tmp_path / "start.py"
    script.write_text(
        "import os, runpy, sys\nimport numpy as np\nfrom ppcls_lite.serving.op import ImageOp\n"
        "predict = ImageOp.process\n"
        "def process(self, *words):\n"
        "    scores, code, text = predict(self, *words)\n"
        f"    return (scores if not os.path.exists({str(tmp_path / 'ill')!r}) else "
        "{'outputs': scores['outputs'] * np.nan}), code, text\n"
        "ImageOp.process = process\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    service = Service(tmp_path, converted, script=script)
    try:
        image = encoded(make_image())
        healthy = service.results(image)
        (tmp_path / "ill").touch()
        answer = service.ask(image)
        assert (answer["err_no"], answer["value"]) == (55, [])
        assert "the model's scores are nan or infinite for 1 of 1 images" in answer["err_msg"]
        (tmp_path / "ill").unlink()
        assert service.results(image) == healthy
    finally:
        assert service.stop() == 0
