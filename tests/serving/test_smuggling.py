"""Requests that are read in two ways, at the service itself: what they hold is never taken for a request."""

import socket

import pytest

from tests.helpers.smuggling import SHAPES, problem, send_shape


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_smuggled(service, name):
    connection = socket.create_connection(("127.0.0.1", service.port))
    assert problem(send_shape(connection, name, "/imagenet/prediction", "/imagenet/ready")) == ""
