"""Bodies and messages of millions of values, which would hold up everybody while they are parsed, are refused first."""

import json

import grpc
import pytest

from ppcls_lite.serving.front import parse
from ppcls_lite.serving.hostile import check_json, read_message
from ppcls_lite.serving.paddle_serving import pipeline_service_pb2 as messages
from ppcls_lite.serving.request import Code, RequestError
from ppcls_lite.serving.rpc import HEALTH, SERVICE
from tests.helpers.scripts import LIMIT
from tests.helpers.service import encoded, make_image

GOOD = messages.Request(key=["image", "b"], value=["AAAA", ""], name="imagenet", method="prediction", logid=1 << 62)
MANY = {"empty lists": b"[],", "empty objects": b"{},", "floats": b"1.5,", "texts": b'"",', "deep": b"["}


@pytest.mark.parametrize("kind", MANY)
def test_json_of_too_many_values(kind):
    with pytest.raises(RequestError, match="in the JSON text; expected at most 100000") as caught:
        parse(b'{"key": [' + MANY[kind] * 200_000 + b'""], "value": []}')
    assert caught.value.code == Code.LIMIT


def test_json_of_as_many_values_as_a_request_may_have():
    texts = ["x"] * 40_000
    assert parse(json.dumps({"key": texts, "value": texts}).encode())["key"] == texts
    numbers = b"[" + b"1," * 150_000 + b"1]"
    check_json(numbers, 100_000)
    with pytest.raises(RequestError, match="150001 values in the JSON text; expected at most 149999"):
        check_json(numbers, 49_999)


def test_a_message_is_read_as_protobuf_reads_it():
    assert read_message(messages.Request, GOOD.SerializeToString(), 7, ("tensors",)) == GOOD
    unknown = b"\x78\x01" + b"\x7d" + b"\0" * 4 + b"\x79" + b"\0" * 8 + b"\x7a\x01x"  # field 15, of each form
    read = read_message(messages.Request, GOOD.SerializeToString() + unknown, 11)
    assert read.key == GOOD.key
    assert read_message(messages.Request, b"", 0) == messages.Request()


REFUSED = {
    "too many fields": (GOOD.SerializeToString() + b"\x0a\x00", "more than 7 fields in the message", Code.LIMIT),
    "a tensor": (b"\x1a\x00", "tensors are not accepted", Code.FORM),
    "a group": (b"\x7b\x7c", "expected a message of the service, found 2 bytes", Code.FORM),
    "a cut length": (b"\x0a", "found 1 bytes of something else", Code.FORM),
    "a length without its bytes": (b"\x0a\x05abc", "found 5 bytes of something else", Code.FORM),
    "a length of 2^63": (b"\x0a" + b"\xff" * 9 + b"\x01", "of something else", Code.FORM),
    "an endless number": (b"\x30" + b"\xff" * 30, "of something else", Code.FORM),
    "not Unicode": (b"\x0a\x01\xff", "found 3 bytes of something else", Code.FORM),
    "field 0": (b"\x00\x01", "of something else", Code.FORM),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_message_that_is_refused(fault):
    data, message, code = REFUSED[fault]
    with pytest.raises(RequestError) as caught:
        read_message(messages.Request, data, 7, ("tensors",))
    assert message in str(caught.value)
    assert caught.value.code == code


def test_every_cut_of_a_message_is_read_or_refused():
    data = GOOD.SerializeToString()
    for end in range(len(data)):
        try:
            expected = messages.Request.FromString(data[:end])
        except Exception:  # of several classes, by the version of protobuf
            with pytest.raises(RequestError):
                read_message(messages.Request, data[:end], 7)
        else:
            assert read_message(messages.Request, data[:end], 7) == expected


@pytest.mark.parametrize("field", [b"\x0a\x00", b"\x12\x00", b"\x1a\x00", b"\x30\x00"])
def test_a_call_of_millions_of_fields_is_refused_at_once(service, field):
    with grpc.insecure_channel(f"127.0.0.1:{service.rpc_port}") as channel:
        infer = channel.unary_unary(f"/{SERVICE}/inference", None, messages.Response.FromString)
        answer = infer(field * (7 << 20), timeout=LIMIT)
    assert (answer.err_no, answer.err_msg) == (52, "more than 1064 fields in the message")
    assert service.results(encoded(make_image()))


@pytest.mark.parametrize("data", [b"\x0a\x00" * (7 << 20), b"\x0a\x05abc"])
def test_a_question_after_health_that_is_refused(service, data):
    with grpc.insecure_channel(f"127.0.0.1:{service.rpc_port}") as channel:
        check = channel.unary_unary(f"/{HEALTH}/Check", None, None)
        with pytest.raises(grpc.RpcError) as refused:
            check(data, timeout=LIMIT)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert check(b"", timeout=LIMIT) == b"\x08\x01"
