"""What an operator sees and does: metrics, the access log, a check, a reload, several models, several processes."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest
import yaml

from ppcls_lite.serving.load import Question, run_load
from tests.helpers.scripts import LIMIT, ROOT, run_process
from tests.helpers.service import SCRIPT, Service, encoded, make_image
from tests.helpers.shell import wait_for
from tests.serving.test_load import body

GOOD = encoded(make_image())
PATH = "/imagenet/prediction"
CONFIG = ROOT / "deploy/paddleserving/config.yml"


def page(service, path="/metrics"):
    """The text of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=LIMIT)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def figures(service):
    """{name with labels: value} of the metrics."""
    lines = [line for line in page(service).splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def headers(service, **sent):
    """The headers of a good answer, in small letters."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=LIMIT)
    connection.request("POST", PATH, body(GOOD), {name.replace("_", "-"): text for name, text in sent.items()})
    response = connection.getresponse()
    response.read()
    return {name.lower(): text for name, text in response.getheaders()}


@pytest.fixture(scope="module")
def logged(converted, tmp_path_factory):
    """A service that writes all requests into a file."""
    folder = tmp_path_factory.mktemp("logged")
    service = Service(folder, converted, "access_log=all", f"access_log_file={folder / 'access.log'}")
    service.lines = folder / "access.log"
    yield service
    assert service.stop() == 0


def logged_lines(service, path=None):
    """The lines of the access log, parsed."""
    return [json.loads(line) for line in (path or service.lines).read_text().splitlines()]


# ------------------------------------------------------------------------------------------------------- metrics


def test_requests_are_counted_by_their_outcome(logged):
    before = figures(logged)
    for values in ([GOOD], [GOOD, GOOD], ["!"], [b"not an image"], [GOOD] * 33):
        logged.ask(*values)
    after = figures(logged)

    def more(name):
        return after.get(name, 0) - before.get(name, 0)

    for outcome, count in (("ok", 2), ("form", 1), ("image", 1), ("limit", 1)):
        assert more(f'serving_requests_total{{model="imagenet",outcome="{outcome}",protocol="http"}}') == count
    assert more('serving_batch_images_sum{model="imagenet"}') == 3
    for stage in ("queue", "transform", "engine", "postprocess"):
        assert more(f'serving_stage_seconds_count{{model="imagenet",stage="{stage}"}}') >= 2, stage
        assert more(f'serving_stage_seconds_sum{{model="imagenet",stage="{stage}"}}') > 0
    assert after['serving_queue_length{model="imagenet"}'] == 0
    assert after['serving_connections{protocol="http"}'] >= 1
    assert after["serving_memory_bytes"] > 1e7
    assert after["serving_open_files"] > 10


def test_no_text_of_a_request_becomes_a_label(logged):
    for number in range(3):
        logged.post(b"{}", f"/nonsense{number}/prediction")
        logged.ask(GOOD, keys=[f"evil{number}"])
    assert not re.search("nonsense|evil", page(logged))


# ----------------------------------------------------------------------------------------------------- access log


def test_a_request_has_a_line_with_its_id(logged):
    assert headers(logged, X_Request_Id="my-id/7")["x-request-id"] == "my-id/7"
    made = headers(logged, X_Request_Id="two words")["x-request-id"]  # not what an id may be
    assert re.fullmatch("[0-9a-f]{32}", made)
    wait_for(lambda: made in logged.lines.read_text())
    line = next(line for line in logged_lines(logged) if line["id"] == "my-id/7")
    assert (line["protocol"], line["model"], line["status"], line["err_no"]) == ("http", "imagenet", 200, 0)
    assert (line["images"], line["client"], line["bytes"]) == (1, "127.0.0.1", len(body(GOOD)))
    assert line["ms"]["whole"] >= line["ms"]["engine"] > 0


def test_texts_from_a_request_are_one_escaped_line(logged):
    headers(logged, User_Agent='evil"\t\xff' + "x" * 1000, X_Request_Id="evil-agent")
    wait_for(lambda: "evil-agent" in logged.lines.read_text())
    line = next(line for line in logged_lines(logged) if line["id"] == "evil-agent")
    assert len(line["user_agent"]) == 200
    assert logged.lines.read_text().isascii()
    assert "\t" not in logged.lines.read_text()


def test_the_log_is_opened_again_for_logrotate(converted, tmp_path):
    path = tmp_path / "access.log"
    service = Service(tmp_path, converted, "access_log=all", f"access_log_file={path}")
    try:
        service.ask(GOOD)
        wait_for(lambda: path.exists() and path.read_text())
        path.rename(tmp_path / "access.log.1")
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: service.said(re.compile("the new models answer")))
        service.ask(GOOD)
        wait_for(lambda: path.exists() and path.read_text())
    finally:
        assert service.stop() == 0
    assert [len(logged_lines(service, one)) for one in (path, tmp_path / "access.log.1")] == [1, 1]


def test_only_errors_are_written_and_a_full_disk_stops_nobody(converted, tmp_path):
    service = Service(tmp_path, converted, "access_log=errors", "access_log_file=/dev/full")
    try:
        for _ in range(5):
            assert service.ask(GOOD)["err_no"] == 0
            assert service.ask("!")["err_no"] == 51
        assert wait_for(lambda: figures(service)["serving_log_lines_dropped_total"] == 5)
    finally:
        assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()


# ---------------------------------------------------------------------------------------------------------- check


def check(*options):
    return run_process(SCRIPT, "--check", "-o", *options)


def test_a_config_is_checked_without_serving(service, converted, tmp_path):
    """While a service has the ports: an operator checks before a reload."""
    model = f"op.imagenet.local_service_conf.model_config={converted}"
    ports = (f"http_port={service.port}", f"rpc_port={service.rpc_port}")
    outcome = check(model, *ports)
    assert outcome.status == 0, outcome.err
    assert "imagenet can be served" in outcome.out
    for option, message in (
        ("op.imagenet.local_service_conf.engine=openvno", "did you mean 'openvino'?"),
        ("access_log=everything", "access_log: expected off, errors, all, found 'everything'"),
        ("grace_seconds=0", "grace_seconds: expected a whole number of at least 1, found 0"),
        (f"access_log_file={tmp_path / 'no' / 'file'}", "cannot be written"),
    ):
        outcome = check(model, option, "access_log=all") if "file" in option else check(model, option)
        assert outcome.status == 1, option
        assert message in outcome.err


# --------------------------------------------------------------------------------------------------------- reload


@pytest.fixture
def own_model(converted, tmp_path):
    """A copy of the converted model that a test may change."""
    return shutil.copytree(converted, tmp_path / "own")


def test_a_new_model_is_loaded_beside_the_old_one(own_model, recognizer, exported, tmp_path, run_here):
    """Under load no request is lost, and each answer is that of one of the two models."""
    from tests.helpers.configs import random_weights, save_arrays

    weights = save_arrays(random_weights(seed=11), tmp_path / "other.pdparams")
    places = (f"Global.pretrained_model={weights}", f"Global.save_inference_dir={tmp_path / 'other'}")
    made = run_process("tools/export_model.py", "-c", exported.config, *(w for place in places for w in ("-o", place)))
    assert made.status == 0, made.err
    service = Service(tmp_path, own_model)
    try:
        old = service.results(GOOD)
        answer = service.ask(GOOD)
        expected = dict(zip(answer["key"], answer["value"]))
        for suffix in ("pdiparams", "pdmodel"):
            shutil.copy(next((tmp_path / "other").glob(f"*.{suffix}")), next(own_model.glob(f"*.{suffix}")))
        timer = threading.Timer(0.5, service.process.send_signal, (signal.SIGHUP,))
        timer.start()
        outcome = run_load(service.port, PATH, [Question(body(GOOD), expected)], 8, 5)
        assert wait_for(lambda: service.said(re.compile("the new models answer")))
        new = service.results(GOOD)
        assert new != old
        found = {json.loads(json.dumps(text)) for text in outcome.wrong}  # those of the new model are not the expected
        assert not any(text.startswith("lost") for text in found)
        assert all(repr(new[0]["scores"][0])[:8] in text for text in found)
        assert outcome.seconds
        assert figures(service)['serving_reloads_total{result="ok"}'] == 1
    finally:
        assert service.stop() == 0
    assert len(re.findall("asked: .*", service.log.read_text())) == 1


@pytest.mark.parametrize("fault", ["damaged", "gone", "misspelt"])
def test_a_reload_that_fails_changes_nothing(own_model, fault, tmp_path):
    config = yaml.safe_load(CONFIG.read_text())
    config["op"]["imagenet"].update(inference_config=None)
    config["op"]["imagenet"]["local_service_conf"]["model_config"] = str(own_model)
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config))
    script = tmp_path / "start.py"
    script.write_text(
        f"import runpy, sys\nsys.argv[1:] += ['-c', {str(path)!r}]\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    service = Service(tmp_path, own_model, script=script)
    try:
        before = service.results(GOOD)
        if fault == "misspelt":
            path.write_text(yaml.safe_dump({**config, "grace_second": 3}))
        else:
            weights = next(own_model.glob("*.pdiparams"))
            weights.write_bytes(weights.read_bytes()[:1000]) if fault == "damaged" else weights.unlink()
        service.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: service.said(re.compile("reload: the models stay as they are: .*")))
        assert service.results(GOOD) == before
        assert figures(service)['serving_reloads_total{result="failed"}'] == 1
        assert "Traceback" not in service.log.read_text()
    finally:
        assert service.stop() == 0


# ------------------------------------------------------------------------------------------------- several models


def test_several_models_in_one_service(service, converted, tmp_path):
    config = yaml.safe_load(CONFIG.read_text())
    one = config["op"].pop("imagenet")
    one.update(inference_config=None)
    one["local_service_conf"]["model_config"] = str(converted)
    config["op"] = {"first": one, "second": {**one, "batch_size": 2}}
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(config))
    script = tmp_path / "start.py"
    script.write_text(
        f"import runpy, sys\nsys.argv[1:] = ['-c', {str(path)!r}, '-o', 'http_port=0', 'rpc_port=0']\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    both = Service(tmp_path, converted, script=script)
    try:
        expected = service.ask(GOOD)
        for name in ("first", "second"):
            assert both.post(body(GOOD), f"/{name}/prediction") == (200, expected)
            assert json.loads(page(both, f"/{name}/ready")) == {"name": name, "ready": True}
        assert both.post(body(GOOD), "/third/prediction")[0] == 404
        assert figures(both)['serving_requests_total{model="second",outcome="ok",protocol="http"}'] == 1
    finally:
        assert both.stop() == 0
    assert "asked: first: 1 request of 1 image; second: 1 request of 1 image" in both.log.read_text()


# ---------------------------------------------------------------------------------------------- several processes


@pytest.fixture
def double(converted, tmp_path):
    """A service of two processes."""
    service = Service(tmp_path, converted, "processes=2", "grace_seconds=5")
    yield service
    assert service.stop() == 0


def workers(service):
    """The numbers of its processes that serve."""
    text = subprocess.run(["ps", "-o", "pid=", "--ppid", str(service.process.pid)], capture_output=True, text=True)
    return [int(number) for number in text.stdout.split()]


def test_two_processes_answer_as_one(double, service):
    answer = service.ask(GOOD)
    expected = dict(zip(answer["key"], answer["value"]))
    outcome = run_load(double.port, PATH, [Question(body(GOOD), expected)], 16, 2)
    assert outcome.wrong == []
    assert len(workers(double)) == 2
    total = figures(double)['serving_requests_total{model="imagenet",outcome="ok",protocol="http"}']
    assert total == len(outcome.seconds)  # of both, whichever is asked
    assert double.stop() == 0
    assert f"asked: {total:.0f} requests of 1 image" in double.log.read_text()


def test_a_process_that_is_killed_is_started_again(double):
    before = workers(double)
    os.kill(before[0], signal.SIGKILL)
    for _ in range(20):
        assert double.ask(GOOD)["err_no"] == 0  # the other one answers meanwhile
    assert wait_for(lambda: len(workers(double)) == 2 and before[0] not in workers(double))
    assert "process 0 of the service ended with -9 and is started again" in double.log.read_text()


def test_a_second_service_is_refused_its_ports(double, converted, tmp_path):
    for option, port in (("http_port", double.port), ("rpc_port", double.rpc_port)):
        for processes in (1, 2):
            options = [
                f"{option}={port}",
                f"processes={processes}",
                "http_port=0" if option == "rpc_port" else "rpc_port=0",
            ]
            model = f"op.imagenet.local_service_conf.model_config={converted}"
            outcome = run_process(SCRIPT, "-o", model, *options)
            assert outcome.status == 1
            assert f"{option}: 127.0.0.1:{port} cannot be listened on (Address already in use)" in outcome.err


def test_nothing_is_left_of_a_service_whose_supervisor_is_killed(converted, tmp_path):
    service = Service(tmp_path, converted, "processes=2")
    numbers = workers(service)
    service.process.kill()
    service.process.wait(LIMIT)
    assert wait_for(lambda: not any(os.path.exists(f"/proc/{number}") for number in numbers))
