"""The access log: what a line says, and what becomes of lines when a disk is full or a reader sleeps."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ppcls_lite.serving.access_log import AccessLog, line_of, request_id
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT, ROOT
from tests.helpers.shell import wait_for

MORE_THAN_WAIT = 15_000  # lines, which neither the queue nor a pipe can hold


def entry(identity, **changed):
    """What a request was, with the fields of an `Exchange`."""
    usual = {
        "client": "127.0.0.1", "protocol": "http", "model": "digits", "path": "/", "status": 400, "err_no": 51,
        "outcome": "", "images": 0, "bytes": 1, "seconds": 0.1, "job": None, "user_agent": "",
    }  # fmt: skip
    return SimpleNamespace(id=identity, **{**usual, **changed})


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(path):
    return [line["id"] for line in lines(path)]


# -------------------------------------------------------------------------------------------------------------- lines


@pytest.mark.parametrize("text", ["\n", '"', "\x1b[2J", "\u56fe", "\U0001f600", "\udc80", "\x00", "a"])
def test_texts_of_a_request_stay_in_one_line_that_a_pipe_takes_at_once(text):
    line = line_of(entry("a" * 128, path="/" + text * 10_000, user_agent=text * 10_000))
    assert line.endswith("}\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    assert len(line) < 4096
    assert json.loads(line)["path"] in [("/" + text * 10_000)[:length] for length in (200, 20)]


@pytest.mark.parametrize("header", ["a", "A-b_c.d:e/f=g+h", "9" * 128])
def test_a_good_id_is_kept(header):
    assert request_id(header) == header


@pytest.mark.parametrize("header", [None, "", "a" * 129, "a b", "a\n", 'a"', "\u00e9", "a{", "\u0661"])
def test_any_other_id_is_replaced(header):
    made = {request_id(header) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in made)


@pytest.mark.parametrize(("level", "kept"), [("off", 0), ("errors", 2), ("all", 3)])
def test_levels(tmp_path, level, kept):
    path = tmp_path / "access.log"
    log = AccessLog(level, path)
    for one in (entry("good", err_no=0, status=200), entry("bad"), entry("lost", err_no=0, outcome="lost")):
        log.add(one)
    log.close()
    assert path.exists() == (level != "off")
    assert len(lines(path) if kept else []) == kept


# ----------------------------------------------------------------------------------------------------- the file's name


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match=r"access_log_file: .*no/access.log cannot be written \(No such file"):
        AccessLog("all", tmp_path / "no/access.log")


def test_a_pipe_without_a_reader_does_not_hang_the_start(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"access_log_file: .*/pipe cannot be written"):
        AccessLog("all", tmp_path / "pipe")


def test_reopen_follows_a_renamed_file(tmp_path):
    path, old = tmp_path / "access.log", tmp_path / "old.log"
    log = AccessLog("all", path)
    log.add(entry("1"))
    wait_for(lambda: path.read_text())
    path.rename(old)
    log.add(entry("2"))
    wait_for(lambda: old.read_text().count("\n") == 2)
    log.reopen()
    log.add(entry("3"))
    log.close()
    assert (names(old), names(path)) == (["1", "2"], ["3"])


def test_a_file_that_cannot_be_opened_again_goes_on_and_is_tried_again(tmp_path):
    folder, moved = tmp_path / "logs", tmp_path / "moved"
    folder.mkdir()
    log = AccessLog("all", folder / "access.log")
    folder.rename(moved)
    log.reopen()
    log.add(entry("1"))
    wait_for(lambda: (moved / "access.log").read_text())
    folder.mkdir()
    log.add(entry("2"))
    log.close()
    assert (names(moved / "access.log"), names(folder / "access.log")) == (["1"], ["2"])
    assert log.dropped == 0


# ------------------------------------------------------------------------------------------------------- lines dropped


def test_after_a_full_disk_a_new_file_takes_lines_again(tmp_path):
    path = tmp_path / "access.log"
    path.symlink_to("/dev/full")
    log = AccessLog("all", path)
    log.add(entry("1"))
    wait_for(lambda: log.dropped == 1)
    path.unlink()
    log.reopen()
    log.add(entry("2"))
    log.close()
    assert names(path) == ["2"]
    assert log.dropped == 1


LIMITED = """
import resource, sys, time
sys.path.append("test_tipc/lib")
from ppcls_lite.serving.access_log import AccessLog
from tests.serving.test_access_log import entry
log = AccessLog("all", sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for number in range(20):
    log.add(entry(str(number)))
while log.dropped < 20 - 1000 // 200:
    time.sleep(0.01)
while not log._lines.empty():
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.add(entry("last"))
log.close()
print(log.dropped)
"""


def test_half_a_line_is_ended_before_the_next(tmp_path):
    path = tmp_path / "access.log"
    arguments = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    texts = path.read_text().splitlines()
    broken = [text for text in texts if not text.endswith("}")]
    assert len(broken) == 1
    whole = [json.loads(text)["id"] for text in texts if text not in broken]
    assert whole == [*map(str, range(len(whole) - 1)), "last"]
    assert int(done.stdout) == 20 - (len(whole) - 1)


def test_a_reader_that_sleeps_delays_nobody(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog("all", pipe)
    for number in range(MORE_THAN_WAIT):
        log.add(entry(str(number)))
    refused = log.dropped
    assert refused > 0
    os.set_blocking(reader, True)
    with open(reader) as stream:
        found = [json.loads(stream.readline())["id"] for _ in range(MORE_THAN_WAIT - refused)]
    assert found == [str(number) for number in range(len(found))]
    log.close()
    assert log.dropped == refused


WRITER = """
import sys
sys.path.append("test_tipc/lib")
from ppcls_lite.serving.access_log import AccessLog
from tests.serving.test_access_log import entry
log = AccessLog("all", sys.argv[1] or None)
for number in range(1000):
    log.add(entry(f"{sys.argv[2]}-{number}", path="\\U0001f600" * 200, user_agent="\\n" * 200))
while not log._lines.empty():
    pass
log.close()
"""


def writer(path, name, **options):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], cwd=ROOT, **options)


def test_two_processes_share_a_file_and_a_pipe_and_their_lines_stay_whole(tmp_path):
    path = tmp_path / "access.log"
    reader, end = os.pipe()
    writers = [writer(path, name) for name in "ab"] + [writer("", name, stderr=end) for name in "ab"]
    os.close(end)
    with open(reader) as stream:
        found = [json.loads(line)["id"] for line in stream]
    assert [process.wait(LIMIT) for process in writers] == [0] * 4
    expected = sorted(f"{name}-{number}" for name in "ab" for number in range(1000))
    assert sorted(found) == sorted(names(path)) == expected


def test_a_log_that_is_closed_ends_though_nobody_reads(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog("all", pipe)
    for number in range(MORE_THAN_WAIT):
        log.add(entry(str(number)))
    log.close()
    os.close(reader)  # the thread's write fails, and it ends by itself
    wait_for(lambda: log.dropped >= MORE_THAN_WAIT - 1000)
