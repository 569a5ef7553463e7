"""deploy/paddleserving/nginx: the real nginx, with that configuration, in front of two real services."""

import base64
import http.client
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from tests.helpers.nginx import CONF, KEY, NEEDS_NGINX, PASSWORD, Nginx
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.service import Service, encoded, make_image
from tests.helpers.shell import wait_for
from tests.helpers.smuggling import WeakServer

pytestmark = NEEDS_NGINX
PATH = "/imagenet/prediction"
METHOD = "/baidu.paddle_serving.pipeline_serving.PipelineService/inference"
IMAGE = encoded(make_image())


def body(data=IMAGE):
    return json.dumps({"key": ["image"], "value": [base64.b64encode(data).decode()]}).encode()


def ask(nginx, path=PATH, content=None, headers=KEY, method=None):
    """(status, answer, headers) over TLS; a POST where there is a body."""
    connection = http.client.HTTPSConnection("localhost", nginx.port, timeout=LIMIT)
    connection.sock = nginx.connect()
    try:
        connection.request(method or ("POST" if content else "GET"), path, content, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers
    finally:
        connection.close()


@pytest.fixture(scope="module")
def services(converted, tmp_path_factory):
    both = [Service(tmp_path_factory.mktemp("service"), converted) for _ in range(2)]
    yield both
    assert [service.stop() for service in both] == [0, 0]


@pytest.fixture(scope="module")
def nginx(services, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    running = Nginx(folder, [s.port for s in services], [s.rpc_port for s in services])
    yield running
    assert running.stop() == 0


def test_both_instances_answer_as_one_alone(nginx, services):
    expected = services[0].ask(IMAGE)
    assert expected["err_no"] == 0
    for _ in range(4):
        assert ask(nginx, content=body())[:2] == (200, expected)
    used = {line["instance"] for line in nginx.log if line["instance"]}
    assert used >= {f"127.0.0.1:{service.port}" for service in services}


def test_an_error_of_the_service_arrives_as_it_is(nginx, services):
    status, expected = services[0].post(body(b"not an image"))
    assert ask(nginx, content=body(b"not an image"))[:2] == (status, expected)


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "guessed"}, {"Authorization": "Basic dGVzdGVyOndyb25n"}])
@pytest.mark.parametrize("path", [PATH, "/imagenet/ready", "/ready", "/v2/models/imagenet/infer", METHOD])
def test_without_a_password_or_key_nothing_is_answered(nginx, path, headers):
    content = None if path.endswith("ready") else body()
    status, answer, said = ask(nginx, path, content, headers)
    assert (status, answer["err_no"]) == (401, 51)
    assert said["WWW-Authenticate"].startswith("Basic")


def test_a_password_does_as_well_as_a_key(nginx):
    for headers in (PASSWORD, KEY):
        assert ask(nginx, content=body(), headers=headers)[1]["err_no"] == 0
    assert ask(nginx, "/imagenet/ready", headers=PASSWORD)[0] == 200
    assert {"tester", "line 4"} <= {line["name"] for line in nginx.log}
    assert "right" not in (nginx.folder / "serving.log").read_text()
    assert KEY["X-Api-Key"] not in (nginx.folder / "serving.log").read_text()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "//metrics",
        "/x/../metrics",
        "/imagenet/reload",
        "/imagenet//ready/metrics",
        "/imagenet/prediction%0a",
        "/imagenet/prediction/..%2f..%2fmetrics",
        "/v2/repository/index",
    ],
)
def test_what_operates_the_service_is_not_public(nginx, path):
    for content in (None, b"{}"):
        assert ask(nginx, path, content)[0] == 404
    assert nginx.log[-1]["instance"] == ""


def test_nginx_itself_is_asked_without_a_password(nginx):
    assert ask(nginx, "/live", headers={})[:2] == (200, {"live": True})


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", "/ready"), ("DELETE", PATH), ("PUT", PATH)])
def test_each_path_has_its_method(nginx, method, path):
    assert ask(nginx, path, method=method)[0] == 405


def test_a_body_that_is_too_large_is_refused_in_the_form_of_the_service(nginx):
    status, answer, _ = ask(nginx, content=b"x" * (16 << 20) + b"x")
    assert (status, answer["err_no"]) == (413, 52)
    assert nginx.log[-1]["instance"] == ""


def test_a_request_id_is_the_clients_where_it_is_a_word(nginx):
    for text, kept in (("order-17.a", True), ('a" b', False), ("x" * 65, False)):
        ask(nginx, "/imagenet/ready", headers={**KEY, "X-Request-Id": text})
        assert (nginx.log[-1]["id"] == text) == kept
        assert nginx.log[-1]["id"]


def test_grpc_over_the_same_port(nginx, services):
    grpc = pytest.importorskip("grpc")
    from ppcls_lite.serving.program import load_proto

    messages = load_proto("paddle_serving_server", "pipeline/proto/pipeline_service_pb2.py")
    credentials = grpc.ssl_channel_credentials(nginx.certificate.read_bytes())
    with grpc.secure_channel(f"localhost:{nginx.port}", credentials) as channel:
        call = channel.unary_unary(
            METHOD,
            request_serializer=messages.Request.SerializeToString,
            response_deserializer=messages.Response.FromString,
        )
        request = messages.Request(key=["image"], value=[base64.b64encode(IMAGE).decode()])
        with pytest.raises(grpc.RpcError) as refused:
            call(request, timeout=LIMIT)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        answer = call(request, timeout=LIMIT, metadata=[("x-api-key", KEY["X-Api-Key"])])
    expected = services[0].ask(IMAGE)
    assert dict(zip(answer.key, answer.value)) == dict(zip(expected["key"], expected["value"]))


@pytest.fixture
def start(tmp_path):
    """`start(ports, (file, text, replacement)...)` starts another nginx."""
    started = []

    def start_one(ports, *edits):
        started.append(Nginx(tmp_path, ports, edits=edits))
        return started[-1]

    yield start_one
    assert [running.stop() for running in started] == [0] * len(started)


def test_too_many_requests_of_one_address(services, start):
    edits = [("site.conf", "rate=100r/s", "rate=1r/m"), ("site.conf", "burst=200", "burst=3")]
    narrow = start([services[0].port], *edits)
    found = [ask(narrow, "/imagenet/ready") for _ in range(6)]
    assert [status for status, *_ in found] == [200] * 4 + [429] * 2
    assert found[-1][1]["err_no"] == 54


def begin(nginx, text):
    """A connection on which that much of a request was sent."""
    connection = nginx.connect()
    connection.sendall(text.replace("KEY", f"X-Api-Key: {KEY['X-Api-Key']}").encode())
    return connection


HALF = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nKEY\r\nContent-Length: 100\r\n\r\n{{"


def test_too_many_connections_of_one_address(services, start):
    narrow = start([services[0].port], ("site.conf", "limit_conn connections 64", "limit_conn connections 2"))
    slow = [begin(narrow, HALF) for _ in range(2)]
    assert wait_for(lambda: ask(narrow, "/imagenet/ready")[0] == 429)
    for connection in slow:
        connection.close()
    assert wait_for(lambda: ask(narrow, "/imagenet/ready")[0] == 200)


def test_a_slow_request_is_ended_and_reaches_no_instance(start):
    weak = WeakServer()
    edits = [("nginx.conf", f"client_{part}_timeout 10s", f"client_{part}_timeout 1s") for part in ("header", "body")]
    quick = start([weak.port], *edits)
    for text in (HALF, HALF[:40], HALF[:-3], "PRI"):
        with begin(quick, text) as connection:
            assert connection.recv(1 << 16).split(b"\r\n")[0] in (b"HTTP/1.1 408 Request Time-out", b"")
    assert weak.seen == []
    weak.stop()


REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"


def test_what_one_instance_refuses_with_503_is_predicted_by_another_one_once(start):
    ending, other = WeakServer(REFUSED), WeakServer()
    running = start([ending.port, other.port])
    for _ in range(6):
        assert ask(running, content=b"{}")[:2] == (200, {"ready": True})
    assert len(other.seen) == 6
    assert ending.seen
    ending.stop(), other.stop()


def test_a_503_of_all_is_answered_as_it_is(start):
    full = WeakServer(REFUSED)
    running = start([full.port])
    status, answer, headers = ask(running, content=b"{}")
    assert (status, answer, headers["Retry-After"]) == (503, {}, "1")
    full.stop()


def test_what_an_instance_may_have_predicted_is_not_predicted_again(start):
    broken, other = WeakServer(b""), WeakServer()
    running = start([broken.port, other.port])
    statuses = [ask(running, content=b"{}")[0] for _ in range(6)]
    assert set(statuses) == {200, 502}
    assert len(broken.seen) + len(other.seen) == 6
    broken.stop(), other.stop()


def test_nginx_with_non_idempotent_would_be_seen_to_predict_twice(start):
    broken, other = WeakServer(b""), WeakServer()
    again = (
        "rules.conf",
        "proxy_next_upstream error timeout http_503;\nproxy",
        "proxy_next_upstream error non_idempotent;\nproxy",
    )
    running = start([broken.port, other.port], again)
    assert {ask(running, content=b"{}")[0] for _ in range(6)} == {200}
    assert len(broken.seen) + len(other.seen) > 6
    broken.stop(), other.stop()


def test_an_instance_that_dies_loses_no_request_that_comes_after(converted, services, start, tmp_path_factory):
    other = Service(tmp_path_factory.mktemp("dies"), converted)
    running = start([services[0].port, other.port])
    assert {ask(running, content=body())[1]["err_no"] for _ in range(8)} == {0}
    other.process.kill()
    other.process.wait()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(running, content=body())[:2], range(40)))
    assert {(status, answer["err_no"]) for status, answer in answers} == {(200, 0)}
    tried = [line for line in running.log if f"127.0.0.1:{other.port}" in line["instance"].split(", ")[0]]
    assert any("," in line["instance"] for line in tried)  # nginx did try the dead one


def test_without_any_instance_the_answer_has_the_form_of_the_service(start):
    running = start([1])
    status, answer, _ = ask(running, content=body())
    assert (status, answer["err_no"]) == (502, 54)


def seconds_or_size(name, text):
    """The numbers of a directive in the configuration, without their unit."""
    return [int(number) for number in re.findall(rf"^\s*{name} (\d+)[smk]?;", (CONF / text).read_text(), re.MULTILINE)]


def test_the_limits_fit_those_of_the_service():
    limits = yaml.safe_load((ROOT / "deploy/paddleserving/config.yml").read_text())["limits"]
    assert seconds_or_size("client_max_body_size", "site.conf") == [limits["max_body_mb"]]
    idle = seconds_or_size("keepalive_timeout", "site.conf")
    assert len(idle) == 2
    assert max(idle) < limits.get("idle_seconds", 30)
    (wait,) = seconds_or_size("proxy_read_timeout", "rules.conf")
    assert wait >= limits.get("request_seconds", 60)
    assert seconds_or_size("grpc_read_timeout", "rules.conf") == [wait]
