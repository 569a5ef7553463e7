"""Requests of the Open Inference Protocol, made and read without the code under test."""

import http.client
import json
import struct

from tests.helpers.scripts import LIMIT

LENGTH = "Inference-Header-Content-Length"


def ask(service, method, path, body=None, headers=None):
    """(status, content of the JSON, {name: bytes of each binary output}, headers) of the service's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=LIMIT)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        data = response.read()
    finally:
        connection.close()
    length = int(response.headers.get(LENGTH, len(data)))
    content, start, parts = json.loads(data[:length]), length, {}
    for output in content.get("outputs", []):
        size = output.get("parameters", {}).get("binary_data_size")
        if size is not None:
            parts[output["name"]] = data[start : start + size]
            start += size
    assert start == len(data)
    return response.status, content, parts, response.headers


def binary(content, *parts):
    """(body, headers) of a request with binary data."""
    text = json.dumps(content).encode()
    return b"".join([text, *parts]), {LENGTH: str(len(text))}


def elements(*values):
    """Elements of BYTES as bytes."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def split_elements(data):
    """The elements in bytes of BYTES."""
    found = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found
