"""Downloads from a real server that cuts, stalls, lies, redirects, and changes its file; on full disks; killed."""

import hashlib
import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ppcls_lite.utils import download as module
from ppcls_lite.utils.download import DownloadError, download, file_name
from tests.helpers.file_server import FileServer
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import wait_for

BODY = pickle.dumps({"w": np.random.default_rng(0).normal(size=50_000)})  # 400 kB
NAME = "Net_pretrained.pdparams"
FETCH = ROOT / "test_tipc/lib/fetch.py"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0)
    monkeypatch.delenv(module.MIRROR, raising=False)
    with FileServer(BODY).running() as running:
        yield running


@pytest.fixture
def get(server, tmp_path):
    """Download NAME from the server into the folder `kept`; the lines that it says are get.said."""

    def get(tail=""):
        return download(f"{server.address}/dygraph/{NAME}{tail}", tmp_path / "kept", get.said.append)

    get.said, get.path = [], tmp_path / "kept" / NAME
    return get


def ranges(server):
    return [ranged for _, ranged in server.requests]


def refused(get, *texts, tail=""):
    """The one line of the error; nothing is at the place of the file."""
    with pytest.raises(DownloadError) as raised:
        get(tail)
    message = str(raised.value)
    assert "\n" not in message
    for text in texts:
        assert re.search(text, message), message
    assert not get.path.exists()
    return message


# ---- once, and the same every time


def test_a_file_is_fetched_once_and_nothing_else_is_left(get, server):
    assert get() == get() == get.path
    assert get.path.read_bytes() == BODY
    assert ranges(server) == [None]
    assert sorted(os.listdir(get.path.parent)) == [NAME, f"{NAME}.lock", f"{NAME}.sha256"]
    assert get.said == [f"downloading {server.address}/dygraph/{NAME} to {get.path}"]
    done = subprocess.run(["sha256sum", "-c", f"{NAME}.sha256"], cwd=get.path.parent, capture_output=True, check=False)
    assert done.returncode == 0


def test_the_library_has_the_file_of_the_chain():
    assert Path(module.__file__).resolve() == ROOT / "test_tipc/lib/download.py"


def test_a_file_that_changed_since_it_came_is_not_used(get):
    get()
    get.path.write_bytes(BODY[:-1] + b"!")
    with pytest.raises(DownloadError, match=r"SHA-256 is .* delete both"):
        get()


def test_a_file_that_was_put_there_by_hand_is_taken(get, server):
    get.path.parent.mkdir()
    get.path.write_bytes(b"mine")
    assert get().read_bytes() == b"mine"
    assert server.requests == []
    assert Path(f"{get.path}.sha256").exists()


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_digest_in_the_address(get, by_hand):
    tail = f"#sha256={hashlib.sha256(BODY).hexdigest()}"
    if by_hand:
        get.path.parent.mkdir()
        get.path.write_bytes(BODY)
    assert get(tail) == get.path
    with pytest.raises(DownloadError, match=r"its SHA-256 is .*, and the address states 0{64}; delete it"):
        get(f"#sha256={'0' * 64}")
    get.path.unlink()
    refused(get, f"and the address states {'0' * 64}", tail=f"#sha256={'0' * 64}")
    refused(get, "expected 64 hexadecimal digits", tail="#sha256=12")


# ---- a server that fails


def test_a_cut_connection_is_continued(get, server):
    server.cuts, server.cut_at = 2, 1000
    get()
    assert ranges(server) == [None, "bytes=1000-", "bytes=2000-"]
    assert get.path.read_bytes() == BODY
    assert "the connection ended after 1000 of" in get.said[1]


def test_a_connection_that_is_cut_again_and_again(get, server):
    server.cuts, server.cut_at = 99, 10
    refused(get, rf"cannot download .*after 40 of {len(BODY)} bytes.*put it at {get.path}")
    server.cuts = 0
    assert get().read_bytes() == BODY  # and the next call goes on
    assert ranges(server)[-1] == "bytes=40-"


def test_attempts_that_bring_much_do_not_count(get, server, monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 1000)
    server.cuts, server.cut_at = 9, 1000
    assert get().read_bytes() == BODY


def test_silence(get, server, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    server.cuts, server.cut_at, server.stall = 1, 1000, 5
    get()
    assert ranges(server) == [None, "bytes=1000-"]
    assert "timed out; trying again" in get.said[1]


def test_a_few_bytes_now_and_then(get, server, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    monkeypatch.setattr(module, "SLOWEST", 10**9)
    server.piece, server.pause = 1000, 0.03
    refused(get, "slower than 1e")


def test_a_server_that_is_busy(get, server):
    server.status, server.cuts = 503, 3
    assert get().read_bytes() == BODY
    server.cuts, server.status = 1, 403  # and one that says no
    get.path.unlink()
    refused(get, "the server answers 403 Forbidden")


def test_a_length_that_is_too_long(get, server):
    server.length = 5
    refused(get, rf"the connection ended after {len(BODY)} of {len(BODY) + 5} bytes|could not be continued")


@pytest.mark.parametrize("how", ["form", "md5"])
def test_a_length_that_is_too_short(get, server, how):
    server.length = -5
    server.md5 = how == "md5"
    refused(get, "not a whole weights file" if how == "form" else "its MD5 is not the one that the server states")
    assert not Path(f"{get.path}.part").exists()


def test_no_length_at_all(get, server):
    server.length = None
    assert get().read_bytes() == BODY
    get.path.unlink()
    server.cuts, server.cut_at = 1, 1000  # nobody can tell that this was cut, but for the form of the file
    refused(get, "not a whole weights file")


def test_an_absurd_length(get, server):
    server.length = 10**18
    refused(get, "cannot keep .*No space left on device: 10000000000.* MB are needed, and .* MB are free")


@pytest.mark.parametrize("right", [True, False])
def test_a_stated_md5(get, server, right):
    server.md5 = True if right else b"0" * 16
    server.cuts, server.cut_at = 1, 1000
    if right:
        assert get().read_bytes() == BODY
    else:
        refused(get, f"its MD5 is not the one that the server states, {'30' * 16}")


def test_an_empty_file(get, server):
    server.body = b""
    refused(get, "an empty file came")


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
def test_a_page_in_place_of_the_file(get, server, kind):
    server.body, server.content_type = b"\n <!DOCTYPE HTML><title>Sign in</title>", kind
    refused(get, "sends a web page, not the file; does a proxy expect a login")
    server.body, server.content_type = BODY, "application/octet-stream"
    assert get().read_bytes() == BODY


def test_a_page_does_not_end_what_has_come_already(get, server):
    server.cuts, server.cut_at = 99, 10
    refused(get, "after 40 of")
    server.cuts, server.content_type = 0, "text/html; charset=utf-8"
    refused(get, "sends a web page")
    assert Path(f"{get.path}.part").read_bytes() == BODY[:40]


def test_redirections(get, server):
    server.redirects = 2
    assert get().read_bytes() == BODY
    assert get.path.name == NAME
    get.path.unlink()
    server.redirects = 99
    refused(get, "the server answers 302")


def test_a_redirection_away_from_https_is_refused():
    class Answer:
        url, headers = "http://a.b/c", None

    with pytest.raises(module._Refused, match=r"redirects to http://a.b/c, which is not encrypted"):
        module._check_answer("https://a.b/c", Answer)


@pytest.mark.parametrize("blind", [False, True], ids=["begins again", "continues all the same"])
@pytest.mark.parametrize("longer", [0, 100])
def test_a_file_that_changes_on_the_server_is_not_mixed(get, server, blind, longer):
    server.cuts, server.cut_at, server.blind = 99, 1000, blind
    refused(get, "after 4000 of")
    server.cuts, server.tag = 0, '"two"'
    server.body = pickle.dumps({"w": np.ones(50_000 + longer)})
    assert get().read_bytes() == server.body


def test_a_part_of_which_nothing_is_known_begins_again(get, server):
    get.path.parent.mkdir()
    Path(f"{get.path}.part").write_bytes(b"x" * 500)
    assert get().read_bytes() == BODY
    assert ranges(server) == [None]


def test_absent_and_off_line(server, tmp_path):
    with pytest.raises(DownloadError, match=r"absent \(the server answers 404 Not Found\); .*put it at .*absent"):
        download(f"{server.address}/absent", tmp_path)
    with pytest.raises(DownloadError, match=r"http://127.0.0.1:9/a.tar \(.*put it at .*a.tar"):
        download("http://127.0.0.1:9/a.tar", tmp_path)


# ---- addresses


def test_names_of_files():
    assert file_name("https://a.b/c/d_infer.tar?x=y/z#sha256=0") == "d_infer.tar"


@pytest.mark.parametrize(
    "url",
    ["ftp://a.b/c", "file:///etc/passwd", "https://a.b", "https://a.b/", "http:///c", "https://a.b/..", "c", "",
     "https://a.b/c d", "https://a.b/c\nd", "https://a.b:x/c", "https://[a/c", "https://a.b/.hidden", "http://a.b/ü"],
)  # fmt: skip
def test_what_is_no_address(url, tmp_path):
    with pytest.raises(DownloadError, match="expected http://… or https://…, with the name of a file"):
        download(url, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_mirror(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TIPC_MIRROR", f"{server.address}/mirror/")
    assert download(f"https://a.b/dygraph/{NAME}?v=1", tmp_path, print).read_bytes() == BODY
    assert server.requests == [(f"/mirror/dygraph/{NAME}?v=1", None)]
    monkeypatch.setenv("TIPC_MIRROR", "a.b")
    with pytest.raises(DownloadError, match=r"TIPC_MIRROR: expected http://…"):
        download("https://a.b/other.pdparams", tmp_path)


# ---- disks and processes


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's always-full device")
def test_a_full_disk(get):
    get.path.parent.mkdir()
    Path(f"{get.path}.part").symlink_to("/dev/full")
    refused(get, rf"cannot keep {get.path} \(No space left on device\); .*put it at")


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cannot keep .*/file/Net_pretrained.pdparams \("):
        download(f"{server.address}/{NAME}", tmp_path / "file")


def start(server, folder, *options, limit=""):
    command = f'{limit} exec "$@"'
    words = [sys.executable, FETCH, f"{server.address}/{NAME}", folder, *options]
    return subprocess.Popen(
        ["bash", "-c", command, "-", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process):
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


def test_a_quota_that_ends_it_and_the_next_call_that_goes_on(server, tmp_path):
    status, out, err = end(start(server, tmp_path, limit="ulimit -f 100;"))
    assert (status, out) == (1, "")
    assert f"error: cannot keep {tmp_path}/{NAME} (File too large)" in err
    have = (tmp_path / f"{NAME}.part").stat().st_size
    assert 0 < have <= 102_400
    assert end(start(server, tmp_path))[0] == 0
    assert (tmp_path / NAME).read_bytes() == BODY
    assert ranges(server) == [None, f"bytes={have}-"]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_it_goes_on_at_the_next_call(server, tmp_path, sent):
    server.cuts, server.cut_at, server.stall = 1, 200_000, 5
    process = start(server, tmp_path)
    part = tmp_path / f"{NAME}.part"
    assert wait_for(lambda: part.exists() and part.stat().st_size >= 100_000)
    process.send_signal(sent)
    end(process)
    assert not (tmp_path / NAME).exists()
    have = part.stat().st_size
    assert end(start(server, tmp_path))[0] == 0
    assert (tmp_path / NAME).read_bytes() == BODY
    assert ranges(server) == [None, f"bytes={have}-"]


def test_killed_when_all_had_come(get, server):
    get()
    get.path.rename(f"{get.path}.part")
    Path(f"{get.path}.part.json").write_text(f'{{"length": {len(BODY)}, "tag": null, "md5": null}}')
    assert get().read_bytes() == BODY
    assert ranges(server) == [None]


def test_two_processes_at_once(server, tmp_path):
    server.piece, server.pause = 100_000, 0.1
    ends = [end(process) for process in [start(server, tmp_path) for _ in range(2)]]
    assert [status for status, _, _ in ends] == [0, 0]
    assert ranges(server) == [None]
    assert sum("waiting: another process downloads" in err for _, _, err in ends) == 1
    assert (tmp_path / NAME).read_bytes() == BODY


def test_progress_without_a_terminal_is_a_line(server, tmp_path):
    status, out, err = end(start(server, tmp_path))
    assert (status, out) == (0, "")
    first, second = err.splitlines()
    assert first == f"downloading {server.address}/{NAME} to {tmp_path}/{NAME}"
    assert re.fullmatch(rf"{NAME}: 0.4 of 0.4 MB, 100 %, [\d.]+ MB/s", second)


def test_progress_on_a_terminal_is_a_line_that_changes(server, tmp_path):
    server.piece, server.pause = 100_000, 0.3
    terminal, screen = os.openpty()
    words = [sys.executable, FETCH, f"{server.address}/{NAME}", tmp_path]
    assert subprocess.run(words, stderr=screen, check=False, timeout=LIMIT).returncode == 0
    os.close(screen)
    text = os.read(terminal, 10_000).decode()
    shown = re.findall(rf"\r\x1b\[K{NAME}: [\d.]+ of 0.4 MB, (\d+) %", text)
    assert len(shown) >= 2
    assert shown[-1] == "100"
