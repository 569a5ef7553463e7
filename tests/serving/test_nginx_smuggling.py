"""Requests that are read in two ways, through the real nginx: no back end ever sees what they hold as a request."""

import re

import pytest

from tests.helpers import http2
from tests.helpers.nginx import KEY, NEEDS_NGINX, Nginx
from tests.helpers.service import Service
from tests.helpers.smuggling import SHAPES, WeakServer, problem, send_shape

pytestmark = NEEDS_NGINX
MORE = [f"{name}: {value}".encode() for name, value in KEY.items()]
KEY_OF_HTTP2 = [(name.lower(), value) for name, value in KEY.items()]
READY, POST = "/imagenet/ready", "/imagenet/prediction"
# nginx takes a line feed alone for the end of a line, and so what follows for a request to itself, which it refuses;
# the back end sees neither
SECOND_REFUSED_BY_NGINX = "a line feed in a chunk's extension"
ALLOWED = re.compile(rf"(GET|HEAD) {READY} HTTP/1.1|POST {POST} HTTP/1.1")
# what says where a body ends; nginx always passes a Content-Length on
FRAMING = re.compile(rb"(?i)content.length|transfer.encoding")


class Site:
    """nginx in front of one back end; `weak` where that is a `WeakServer`."""

    def __init__(self, nginx, weak=None):
        self.nginx, self.weak = nginx, weak

    def problem(self, name):
        """What is wrong with the answers to a shape and the marker behind it."""
        answers = send_shape(self.nginx.connect(), name, POST, READY, MORE)
        if name == SECOND_REFUSED_BY_NGINX:
            assert answers.pop(1).status == 404
        return problem(answers)

    def faults(self):
        """What the back end has seen since the last call that is another request, or may be read in two ways."""
        found = [line for line in self.weak.seen if not ALLOWED.fullmatch(line)]
        found += [head for head in self.weak.heads if len(FRAMING.findall(head)) > head.startswith(b"POST")]
        self.weak.seen.clear()
        self.weak.heads.clear()
        return found


@pytest.fixture(scope="module")
def weak_site(tmp_path_factory):
    weak = WeakServer()
    nginx = Nginx(tmp_path_factory.mktemp("weak"), [weak.port])
    yield Site(nginx, weak)
    assert nginx.stop() == 0
    weak.stop()


@pytest.fixture(scope="module")
def site(converted, tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("service"), converted)
    nginx = Nginx(tmp_path_factory.mktemp("site"), [service.port])
    yield Site(nginx)
    assert nginx.stop() == 0
    assert service.stop() == 0


@pytest.mark.parametrize("name", SHAPES)
def test_the_weakest_back_end_sees_no_second_request(weak_site, name):
    assert weak_site.problem(name) == ""
    assert weak_site.faults() == []


@pytest.mark.parametrize("name", http2.SHAPES)
def test_the_weakest_back_end_sees_no_second_request_of_http2(weak_site, name):
    http2.send_http2(weak_site.nginx.connect("h2"), name, POST, READY, KEY_OF_HTTP2)
    assert weak_site.problem("an underscore") == ""
    assert weak_site.faults() == []


def test_requests_of_http2_do_arrive(weak_site):
    assert weak_site.faults() == []
    for name in ("chunks", "GET with a body"):
        http2.send_http2(weak_site.nginx.connect("h2"), name, POST, READY, KEY_OF_HTTP2)
    assert weak_site.weak.seen == [f"POST {POST} HTTP/1.1", f"GET {READY} HTTP/1.1"]


@pytest.mark.parametrize("name", SHAPES)
def test_the_service_behind_nginx_answers_the_next_request_rightly(site, name):
    assert site.problem(name) == ""
    # what another client asks then takes the same connection between nginx and the service
    assert site.problem("an underscore") == ""


def test_a_configuration_that_lets_a_body_through_would_be_seen(tmp_path):
    weak = WeakServer()
    edits = [
        ("rules.conf", "if ($body_without_post) {\n    return 400;\n}\n", ""),
        ("rules.conf", '    proxy_pass_request_body off;\n    proxy_set_header Content-Length "";\n', ""),
    ]
    nginx = Nginx(tmp_path, [weak.port], edits=edits)
    send_shape(nginx.connect(), "GET with a body", POST, READY, MORE)
    assert "GET /smuggled HTTP/1.1" in weak.seen
    weak.seen.clear()
    http2.send_http2(nginx.connect("h2"), "GET with a body", POST, READY, KEY_OF_HTTP2)
    assert "GET /smuggled HTTP/1.1" in weak.seen
    assert nginx.stop() == 0
    weak.stop()
