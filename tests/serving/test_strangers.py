"""Clients that hold what others need: connections, calls, memory, time. The others are answered all the same."""

import contextlib
import json
import re
import resource
import socket
import threading
import time
from pathlib import Path

import grpc
import pytest

from ppcls_lite.serving.load import exchange
from ppcls_lite.serving.program import load_proto
from tests.helpers.scripts import LIMIT
from tests.helpers.service import SCRIPT, Service
from tests.helpers.strangers import CROWDS, GOOD, HEAD, Crowd, connect, get, received
from tests.serving.test_attack import bomb
from tests.serving.test_load import body

PLACES = 48
METHOD = "/baidu.paddle_serving.pipeline_serving.PipelineService/inference"


@pytest.fixture(scope="module")
def small(converted, tmp_path_factory):
    """A service of few places and short deadlines."""
    limits = {"max_connections": PLACES, "header_seconds": 2, "body_seconds": 2, "request_seconds": 20}
    options = [f"limits.{key}={value}" for key, value in limits.items()]
    service = Service(tmp_path_factory.mktemp("small"), converted, *options)
    yield service
    assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()


@pytest.fixture(autouse=True)
def _serves_on(request):
    """After each test of the small service the next request has the same answer."""
    service = request.getfixturevalue("small") if "small" in request.fixturenames else None
    before = service and service.results(GOOD)
    yield
    assert (service and service.results(GOOD)) == before


@pytest.mark.parametrize("kind", CROWDS)
def test_twice_as_many_connections_as_places(small, kind):
    with Crowd(small, 2 * PLACES, *CROWDS[kind]) as crowd:
        for _ in range(10):
            assert small.ask(GOOD)["err_no"] == 0
            assert get(small, "/ready") == (200, {"ready": True})
            assert get(small, "/live") == (200, {"live": True})
            time.sleep(0.1)
    assert crowd.connections


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (HEAD % 9 + b"X-Slow: ", "the header of the request took longer than 2 seconds"),
        (HEAD % 100 + b"\r\n{", "the body of the request took longer than 2 seconds"),
    ],
)
def test_a_request_that_takes_too_long_is_told_so(small, start, message):
    with connect(small) as connection:
        connection.sendall(start)
        head, _, content = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(content)["err_msg"] == message


def test_headers_that_are_too_large(small):
    """A hundred connections with 95 headers of 65 KB each held 1.3 GB."""
    before = small.memory()
    connections = [connect(small) for _ in range(PLACES)]
    line = b"X-Large: " + b"x" * 65_000 + b"\r\n"
    for _ in range(20):
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(line if _ else HEAD % 9 + line)
    assert small.memory() - before < 100
    for connection in connections:
        connection.close()
    with connect(small) as connection:
        connection.sendall(HEAD % 9 + b"".join(b"X-%d: 1\r\n" % number for number in range(100)) + b"\r\n")
        head, _, content = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(content)["err_msg"] == "102 headers; expected at most 64"


def test_pixels_of_a_whole_request(small):
    """Two requests of 32 images of 8192 x 8192 took 31 seconds and 1.4 GB."""
    before, image = small.memory(), bomb(8192, 8192)
    answer = small.ask(*[image] * 32)
    assert answer["err_no"] == 52
    assert "8192x8192 pixels, with the images before it 134217728; expected at most 67108864" in answer["err_msg"]
    assert small.memory() - before < 100


def test_a_client_that_waits_for_100_continue(small):
    """curl does with more than a megabyte: it waited a second for it."""
    data = body(GOOD)
    with connect(small) as connection:
        connection.sendall(HEAD % len(data) + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        answer, _ = exchange(connection, data)
    assert answer["err_no"] == 0
    with connect(small) as connection:  # what will be refused is not sent at all
        connection.sendall(HEAD % 100_000_000 + b"Expect: 100-continue\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 413 ")
    with connect(small) as connection:
        connection.sendall(HEAD % len(data) + b"Expect: the-unexpected\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 417 ")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 3\r\nContent-Length: 5\r\n\r\n",
        b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n",
        b"Content-Length: 5\r\nno colon\r\n\r\n",
    ],
)
def test_what_rfc_9112_refuses_is_answered_with_400_and_closed(small, lines):
    with connect(small) as connection:
        connection.sendall(b"POST /imagenet/prediction HTTP/1.1\r\nHost: a\r\n" + lines + b"hello")
        data = received(connection)
    assert re.match(rb"HTTP/1\.[01] 400 ", data)
    assert b"\r\nConnection: close\r\n" in data
    assert data.count(b"err_no") == 1


SLOW = f"""
import runpy, time
from ppcls_lite.serving.request import Limits, limit_opencv
limit_opencv(Limits())
from ppcls_lite.serving.op import ImageOp
process = ImageOp.process

def slow(self, feed_batch, logid=0):
    if len(feed_batch[0]["images"]) == 2:
        time.sleep(3)
    return process(self, feed_batch, logid)

ImageOp.process = slow
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


def test_a_request_has_its_time(converted, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    service = Service(tmp_path, converted, "limits.request_seconds=1", script=tmp_path / "slow.py")
    try:
        status, answer = service.post(body(GOOD, GOOD))
        assert (status, answer["err_no"]) == (503, 54)
        assert answer["err_msg"] == "no answer within 1 seconds; try again"
        assert service.ask(GOOD)["err_no"] == 0  # by the other engine
    finally:
        assert service.stop() == 0


ERRORS = {  # err_no: (status, images)
    51: (400, ["!"]),
    52: (413, [GOOD] * 33),
    53: (422, [b"not an image"]),
}


@pytest.mark.parametrize("number", ERRORS)
def test_each_kind_of_error_has_one_status(small, number):
    status, images = ERRORS[number]
    texts = json.loads(body(*images))
    found, answer = small.post(json.dumps(texts).encode())
    assert (found, answer["err_no"]) == (status, number)


def test_the_status_of_the_official_form(converted, tmp_path):
    service = Service(tmp_path, converted, "always_200=True")
    try:
        for _, images in ERRORS.values():
            status, answer = service.post(body(*images))
            assert (status, answer["err_no"] > 0) == (200, True)
        assert service.post(b"", "/other/prediction")[0] == 404  # no service answers there
    finally:
        assert service.stop() == 0


# ---------------------------------------------------------------------------------------------------------- gRPC


def ask_grpc(channel, seconds=LIMIT):
    messages = load_proto("paddle_serving_server", "pipeline/proto/pipeline_service_pb2.py")
    call = channel.unary_unary(METHOD, messages.Request.SerializeToString, messages.Response.FromString)
    content = json.loads(body(GOOD))
    return call(messages.Request(**content), timeout=seconds)


def test_calls_that_never_send(small):
    """32 of one connection held all threads; they end with a deadline of the service, and stop nobody before."""
    with grpc.insecure_channel(f"127.0.0.1:{small.rpc_port}") as silent:
        never = threading.Event()
        calls = [silent.stream_unary(METHOD).future(wait_in(never)) for _ in range(32)]
        with grpc.insecure_channel(f"127.0.0.1:{small.rpc_port}") as channel:
            assert ask_grpc(channel).err_no == 0
        codes = {call.exception(LIMIT).code() for call in calls}
        never.set()
    assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}


def wait_in(event):
    """An iterator of requests that never comes to one."""
    event.wait(LIMIT)
    yield from ()


def test_idle_connections_of_grpc_and_few_descriptors(converted, tmp_path):
    """260 of them with 256 descriptors ended HTTP."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    code = "import resource, runpy, sys\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
    try:
        script = tmp_path / "few.py"
        script.write_text(f"{code}runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n")
        service = Service(tmp_path, converted, script=script)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    idle = []
    try:
        assert "limits.max_connections: 8192, and 256 descriptors; in effect: 64" in service.log.read_text()
        for _ in range(260):
            with contextlib.suppress(OSError):
                idle.append(socket.create_connection(("127.0.0.1", service.rpc_port), timeout=LIMIT))
                idle[-1].sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        for _ in range(3):
            assert service.ask(GOOD)["err_no"] == 0
        start = cpu_seconds(service)
        time.sleep(1)
        assert cpu_seconds(service) - start < 0.5  # it does not spin
    finally:
        for connection in idle:
            connection.close()
        assert service.stop() == 0


def cpu_seconds(service):
    cells = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(cells[11]) + int(cells[12])) / 100


def test_the_health_of_grpc(small):
    """grpc.health.v1, without its package: a request with the service's name, an answer with a number."""
    with grpc.insecure_channel(f"127.0.0.1:{small.rpc_port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        for name in ("", "imagenet", "baidu.paddle_serving.pipeline_serving.PipelineService"):
            assert check(b"\n" + bytes([len(name)]) + name.encode() if name else b"", timeout=LIMIT) == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as refused:
            check(b"\n\x05other", timeout=LIMIT)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
