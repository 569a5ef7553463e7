"""Hostile and unusual requests: images of every kind are predicted as by Paddle Inference, all else is an error."""

import base64
import io
import json
import socket
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcls_lite.serving.compare import AnswerAgreement
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT
from tests.helpers.service import encoded, make_image, paddle_inference

GOOD = encoded(make_image())


@pytest.fixture(scope="module")
def predict(exported):
    return paddle_inference(exported.model)


@pytest.fixture(autouse=True)
def _serves_on(service):
    """After each test the next request is served, with the same answer."""
    before = service.results(GOOD)
    yield
    assert service.results(GOOD) == before
    assert service.process.poll() is None


# --------------------------------------------------------------------------------------------------- valid images


def pillow_bytes(mode, form, size=(44, 40), frames=1, **options):
    from PIL import Image

    rng = np.random.default_rng(3)
    images = [Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(frames)]
    images = [image.convert(mode) for image in images]
    stream = io.BytesIO()
    if frames > 1:
        options.update(save_all=True, append_images=images[1:])
    images[0].save(stream, form, **options)
    return stream.getvalue()


def exif_rotated():
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    return pillow_bytes("RGB", "JPEG", size=(80, 40), exif=exif)


IMAGES = {
    "grey": lambda: encoded(make_image(channels=1)),
    "grey PNG": lambda: encoded(make_image(channels=1), ".png"),
    "CMYK": lambda: pillow_bytes("CMYK", "JPEG"),
    "16 bit": lambda: encoded(make_image(dtype=np.uint16), ".png"),
    "alpha": lambda: encoded(make_image(channels=4), ".png"),
    "palette": lambda: pillow_bytes("P", "PNG"),
    "progressive": lambda: pillow_bytes("RGB", "JPEG", progressive=True),
    "EXIF": exif_rotated,
    "animated": lambda: pillow_bytes("RGB", "WEBP", frames=3),
    "animated PNG": lambda: pillow_bytes("RGB", "PNG", frames=3),
    "BMP": lambda: pillow_bytes("RGB", "BMP"),
    "TIFF": lambda: pillow_bytes("RGB", "TIFF"),
    "1x1": lambda: encoded(make_image(1, 1), ".png"),
    "8000x6000": lambda: encoded(cv2.resize(make_image(), (8000, 6000))),
    "long": lambda: encoded(make_image(8, 3000)),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images_of_every_kind(service, predict, kind):
    data = IMAGES[kind]()
    agreement = AnswerAgreement(kind)
    agreement.add(predict(data), *service.results(data))
    assert agreement.agrees, agreement


def test_several_images_in_one_request(service, predict):
    files = [encoded(make_image(seed=seed)) for seed in range(8)]
    agreement = AnswerAgreement("batch")
    for expected, found in zip([predict(data) for data in files], service.results(*files)):
        agreement.add(expected, found)
    assert agreement.agrees, agreement
    assert agreement.images == 8


def test_base64_with_line_breaks(service):
    text = base64.encodebytes(GOOD).decode()
    assert "\n" in text.strip()
    assert service.results(text) == service.results(GOOD)


# --------------------------------------------------------------------------------------------------- not images


def bomb(width, height):
    """A PNG of that size in a few kilobytes."""
    row = b"\0" * (width // 8 + 1)

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    packer, packed = zlib.compressobj(9), b""
    for _ in range(height):
        packed += packer.compress(row)
    packed += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def many_scans():
    """A progressive JPEG whose last scan is repeated: each repetition costs a pass over the whole image."""
    data = encoded(np.zeros((640, 640, 3), np.uint8))
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(data)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * 500 + data[-2:]


REFUSED = {
    "not an image": (b"not an image file", 53, "'image': not a decodable image (17 bytes)"),
    "a cut JPEG's header": (encoded(make_image(400, 400))[:200], 53, "not a decodable image (200 bytes)"),
    "an empty value": ("", 51, "the value of 'image' is empty"),
    "bad base64": ("!?" * 50, 51, "the value of 'image' is not base64 (100 characters)"),
    "base64 with a foreign character": ("%" + base64.b64encode(GOOD).decode()[1:], 51, "is not base64"),
    "cut base64": (base64.b64encode(GOOD).decode()[:-1], 51, "is not base64"),
    "Unicode instead of base64": ("图像" * 2, 51, "is not base64 (4 characters)"),
    "a decompression bomb": (bomb(30000, 30000), 52, "'image': 30000x30000 pixels; expected at most 67108864"),
    "a JPEG of 500 scans": (many_scans(), 52, "scans; expected at most 64"),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 53, "not a decodable image"),
    "a pickle": (b"cos\nsystem\n(S'touch ran'\ntR.", 53, "not a decodable image"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_values_that_are_not_an_image(service, kind):
    value, code, message = REFUSED[kind]
    before = service.memory()
    answer = service.ask(value)
    assert answer["err_no"] == code, answer
    assert message in answer["err_msg"]
    assert "\n" not in answer["err_msg"]
    assert (answer["key"], answer["value"]) == ([], [])
    assert service.memory() - before < 100


def test_a_cut_jpeg_is_refused_as_by_inference(service, predict):
    data = encoded(make_image(400, 400))
    for length in (len(data) // 2, len(data) - 2):
        with pytest.raises(UserError) as refusal:
            predict(data[:length])
        answer = service.ask(data[:length])
        assert (answer["err_no"], answer["err_msg"]) == (53, f"'image': {refusal.value}")


def test_one_bad_image_among_good_ones_is_named(service):
    answer = service.ask(GOOD, b"bad", GOOD, keys=["a", "b", "c"])
    assert (answer["err_no"], answer["err_msg"]) == (53, "'b': not a decodable image (3 bytes)")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
        (b"[" * 90_000, "the body is not JSON"),
        (b"9" * 100_000, "the body is not JSON: 'a number of more than 30 digits'"),
        (b"[]", "found another JSON value"),
        (b"null", "found another JSON value"),
        (b"{}", '"key": expected a list of texts, found nothing'),
        (b'{"value": ["x"]}', '"key": expected a list of texts, found nothing'),
        (b'{"key": ["image"]}', '"value": expected a list of texts, found nothing'),
        (b'{"key": "image", "value": "x"}', '"key": expected a list of texts, found a str'),
        (b'{"key": [], "value": []}', "found no key"),
        (b'{"key": ["a", "b"], "value": ["x"]}', "expected as many values as keys, found 2 keys, 1 values"),
        (b'{"key": [1], "value": ["x"]}', '"key": expected a list of texts, found a list with something else in it'),
        (b'{"key": ["a", "a"], "value": ["x", "x"]}', "the key 'a' appears twice"),
        (b'{"key": ["\\ud800"], "value": ["x"]}', "not Unicode"),
        (b'{"key": ["a"], "value": ["x"], "logid": "1"}', '"logid": expected a whole number'),
        (b'{"key": ["a"], "value": ["x"], "logid": -1}', '"logid": expected a whole number'),
        (b'{"key": ["a"], "value": ["x"], "tensors": [{"elem_type": 13}]}', "tensors are not accepted"),
    ],
)
def test_bodies_that_are_not_a_request(service, body, message):
    status, answer = service.post(body)
    assert answer["err_no"] == 51, answer
    assert message in answer["err_msg"]
    assert (answer["key"], answer["value"]) == ([], [])
    assert status == 400


def test_a_thousand_images(service):
    answer = service.ask(*[GOOD] * 1000)
    assert (answer["err_no"], answer["err_msg"]) == (52, "1000 images in one request; expected at most 32")


def test_a_hundred_megabytes(service):
    before = service.memory()
    status, answer = service.post(b"x" * 100_000_000)
    assert (status, answer["err_no"]) == (413, 52)
    assert answer["err_msg"] == "a body of 100000000 bytes; expected at most 16777216"
    assert service.memory() - before < 20


# ------------------------------------------------------------------------------------------------- the protocol


def raw(service, *pieces, close=True):
    """All bytes that the server sends until it closes the connection, after these raw bytes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if close:
            connection.shutdown(socket.SHUT_WR)
        data = b""
        while True:
            more = connection.recv(65536)
            if not more:
                return data
            data += more


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /imagenet/prediction HTTP/1.1\r\n\r\n",
        b"POST /imagenet/prediction HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /imagenet/prediction HTTP/1.1\r\nContent-Length: 1e9\r\n\r\n",
        b"POST /imagenet/prediction HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /imagenet/prediction HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"POST /imagenet/prediction HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort",
        b"POST /imagenet/../../etc/passwd HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST /other/prediction HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET /imagenet/prediction HTTP/1.1\r\n\r\n",
        b"PUT /imagenet/prediction HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST /imagenet/prediction HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 TLS\r\n\r\n",
    ],
)
def test_malformed_http(service, request_bytes):
    data = raw(service, request_bytes)
    answer = json.loads(data.rpartition(b"\r\n\r\n")[2] if b"HTTP/1" in data else data)
    assert answer["err_no"] == 51, data


def test_a_connection_serves_one_request_after_the_other(service):
    body = json.dumps({"key": ["image"], "value": [base64.b64encode(GOOD).decode()]}).encode()
    one = b"POST /imagenet/prediction HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert raw(service, one, one, one).count(b'"err_no": 0') == 3


def test_nothing_of_a_request_reaches_the_log_unescaped(service):
    evil = "a\nERROR 2026-01-01 00:00:00 [x.py:1] forged\x1b[31m\r\x00 ../../etc/passwd"
    assert service.ask("!", keys=[evil])["err_no"] == 51
    assert service.ask(b"not an image", keys=[evil])["err_no"] == 53
    log = service.errors
    assert "forged" in log  # it was logged
    assert not any(line.startswith("ERROR 2026-01-01") for line in log.splitlines())
    assert not set(log) & set(map(chr, [*range(10), *range(11, 32), 127]))
    assert all(len(line) < 2100 for line in log.splitlines())


def listening(port):
    """The addresses on which something listens at that port, as the kernel writes them."""
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    places = [cells[1].split(":") for cells in lines if cells[3] == "0A"]
    return [address for address, where in places if int(where, 16) == port]


def test_it_listens_on_this_machine_only(service):
    for port in (service.port, service.rpc_port):
        (address,) = listening(port)
        assert address in ("0100007F", "0000000000000000FFFF00000100007F")  # 127.0.0.1, also as an IPv6 address
