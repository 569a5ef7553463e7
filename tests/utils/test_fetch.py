"""Exported models that are fetched in an archive, from a real server, and unpacked to the place that a config names."""

import os
import subprocess
import sys

import pytest

from tests.helpers.file_server import FileServer
from tests.helpers.preparation import pack
from tests.helpers.scripts import LIMIT, ROOT

FETCH = ROOT / "test_tipc/lib/fetch.py"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("TIPC_MIRROR", raising=False)
    with FileServer(b"").running() as running:
        yield running


def test_an_archive_is_unpacked_to_its_place(server, tmp_path):
    server.body = pack(tmp_path / "a.tar", "./Net_infer/", "./Net_infer/inference.pdmodel", "other").read_bytes()
    address, place = f"{server.address}/Net_infer.tar", tmp_path / "deploy/models/Net_infer"
    command = [sys.executable, FETCH, address, tmp_path / "kept", "--unpack", place]
    for _ in range(2):
        assert subprocess.run(command, check=False, timeout=LIMIT).returncode == 0
    assert (place / "inference.pdmodel").read_text() == "x"
    assert len(server.requests) == 1
    assert not (place.parent / "other").exists()


@pytest.mark.parametrize(
    ("members", "why"),
    [
        (["../x", "Net_infer/a"], "lies outside the folder"),
        (["other/a"], "expected a folder Net_infer in it, found none"),
        ([], "expected a folder Net_infer in it, found none"),
    ],
)
def test_an_archive_that_must_not_or_cannot_be_unpacked(server, tmp_path, members, why):
    server.body = pack(tmp_path / "a.tar", *members).read_bytes()
    words = [f"{server.address}/Net_infer.tar", tmp_path / "kept", "--unpack", tmp_path / "x/Net_infer"]
    done = subprocess.run([sys.executable, FETCH, *words], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1
    assert why in done.stderr
    assert done.stderr.endswith(f"; delete {tmp_path}/kept/Net_infer.tar to download it again\n")
    assert os.listdir(tmp_path / "x") == []


def test_half_an_archive_is_not_unpacked(server, tmp_path):
    server.body = pack(tmp_path / "a.tar", ("Net_infer/a", None, "x" * 20_000)).read_bytes()[:9000]
    words = [f"{server.address}/Net_infer.tar", tmp_path / "kept", "--unpack", tmp_path / "Net_infer"]
    done = subprocess.run([sys.executable, FETCH, *words], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1
    assert not (tmp_path / "Net_infer").exists()
