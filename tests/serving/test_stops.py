"""The end of a service: it answers what it has accepted, whatever clients do, and leaves nothing."""

import re
import threading
import time

import pytest

from ppcls_lite.serving.load import Question, run_load
from tests.helpers.scripts import LIMIT
from tests.helpers.service import Service
from tests.helpers.shell import wait_for
from tests.helpers.strangers import CROWDS, GOOD, HEAD, PATH, Crowd, connect, one_request, received
from tests.serving.test_load import body

PLACES = 48


@pytest.mark.parametrize("kind", CROWDS)
def test_it_ends_whatever_clients_do(converted, tmp_path, kind):
    service = Service(tmp_path, converted, f"limits.max_connections={PLACES}", "grace_seconds=2")
    with Crowd(service, PLACES, *CROWDS[kind]):
        service.process.terminate()
        assert service.process.wait(LIMIT) == 0
    assert "Traceback" not in service.log.read_text()


def test_a_second_signal_ends_at_once(converted, tmp_path):
    service = Service(tmp_path, converted, "grace_seconds=600")
    with connect(service) as connection:
        connection.sendall(HEAD % 1000 + b"\r\n{")  # under way, for the ten seconds that a body may take
        wait_for(lambda: service.ask(GOOD)["err_no"] == 0)
        service.process.terminate()
        service.process.terminate()  # as a group gets it again: the same signal
        wait_for(lambda: service.said(re.compile("stopping")))
        time.sleep(1)
        assert service.process.poll() is None
        service.process.terminate()
        assert service.process.wait(5) == 143


def test_a_stop_loses_no_request_that_it_has_accepted(converted, tmp_path):
    """16 clients were reset, 8 to 16 of their requests; now all get an answer, or 503 that they see."""
    service = Service(tmp_path, converted, "grace_seconds=5")
    expected = answer_of(service)
    timer = threading.Timer(1, service.process.terminate)
    timer.start()
    outcome = run_load(service.port, PATH, [Question(body(GOOD), expected)], 16, 2)
    assert service.process.wait(LIMIT) == 0
    assert len(outcome.seconds) > 16
    lost = [text for text in outcome.wrong if text.startswith("lost: ") and "refused" not in text]
    assert lost == []


def answer_of(service):
    answer = service.ask(GOOD)
    return dict(zip(answer["key"], answer["value"]))


def test_readiness_ends_before_the_service(converted, tmp_path):
    service = Service(tmp_path, converted, "grace_seconds=20")
    asked = b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"
    requests = {asked: b'"ready": false', HEAD % 2 + b"\r\n{}": b"the service stops"}
    with connect(service) as under_way, connect(service) as one, connect(service) as other:
        under_way.sendall(HEAD % 1000 + b"\r\n{")
        for waiting in (one, other):
            one_request(waiting)
        service.process.terminate()
        wait_for(lambda: service.said(re.compile("stopping")))
        for waiting, (data, said) in zip((one, other), requests.items()):
            waiting.sendall(data)
            found = received(waiting)
            assert found.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nConnection: close\r\n" in found
            assert said in found
    assert service.process.wait(LIMIT) == 0


# ------------------------------------------------------------------------------------------------ what is left


def test_the_next_start_clears_what_a_killed_service_left(converted, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for turn in range(3):
        folder = tmp_path / f"service{turn}"
        folder.mkdir()
        service = Service(folder, converted, "op.imagenet.local_service_conf.engine=openvino")
        left = [path.name for path in tmp_path.glob("ppcls_lite.*")]
        assert len(left) <= 2, left  # those of this one, each of an engine
        service.process.kill()
        service.process.wait()
