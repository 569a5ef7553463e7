"""An open loop counts every request, whatever the server does: what is not counted would pass for sound."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from ppcls_lite.serving import open_loop
from ppcls_lite.serving.load import Question
from ppcls_lite.serving.load_report import KEPT, find_knee, summarise
from ppcls_lite.serving.open_loop import Load, arrivals, offer
from tests.helpers.ill_server import EXPECTED, answer, ill_server
from tests.helpers.scripts import LIMIT, ROOT, with_library

QUESTIONS = [Question(b"{}", EXPECTED)]


def in_this_process(port, times, seconds):
    """The `Load` of requests at these times, by a client that sees what the test has changed."""
    return Load(0, *asyncio.run(open_loop._Client(port, "/x", QUESTIONS).run(times, seconds)))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (answer(b'{"error": "another form"}'), "wrong: {'error': 'another form'}"),
        (answer(b'{"err_no": 0}'), "wrong: {'err_no': 0}"),
        (answer(b"[0]"), "lost: ValueError('an answer that is not a JSON object"),
        (answer(b"<html>"), "lost: JSONDecodeError"),
        (answer(b"\xff"), "lost: UnicodeDecodeError"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            'lost: ValueError("an answer without a Content-Length',
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "lost: LimitOverrunError"),
        (answer()[:-1], "lost: TimeoutError"),
        (None, "lost: TimeoutError"),
    ],
)
def test_an_answer_of_another_form_is_counted(content, text, monkeypatch):
    monkeypatch.setattr(open_loop, "ANSWER_SECONDS", 0.3)
    with ill_server(lambda: content) as port:
        load = in_this_process(port, [0.0] * 30, 0.1)
    assert (load.sent, len(load.seconds), len(load.refused), len(load.wrong)) == (30, 0, 0, 30)
    assert all(one.startswith(text) for one in load.wrong)


def test_an_idle_connection_that_the_server_has_closed_is_not_used():
    with ill_server(answer, idle_seconds=0.3) as port:
        load = in_this_process(port, [0.0] * 5 + [1.0] * 5, 1)
    assert (load.wrong, len(load.seconds)) == ([], 10)


def test_a_queue_that_is_worked_off_afterwards_is_not_throughput():
    """One request at a time, 25 ms each: of 80 a second it answers 40, though each of them in the end."""
    lock = threading.Lock()

    def slow():
        with lock:
            time.sleep(0.025)
        return answer()

    with ill_server(slow) as port:
        few, many = offer(port, "/x", QUESTIONS, 4, 2), offer(port, "/x", QUESTIONS, 80, 2)
    assert few.wrong == many.wrong == []
    assert len(many.seconds) == many.sent == len(arrivals(80, 2, 0))
    assert many.offered == many.sent / 2
    rows = summarise(40, [[few], [many]])
    assert [row.part for row in rows] == [0.1, 2]
    assert rows[1].throughput < KEPT * rows[1].offered
    assert find_knee(rows) is rows[0]


def test_more_connections_than_the_soft_limit_of_descriptors():
    code = (
        "import resource, sys\nfrom tests.serving.test_open_loop_counts import QUESTIONS, offer\n"
        "if __name__ == '__main__':\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (60, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "    load = offer(int(sys.argv[1]), '/x', QUESTIONS, 400, 0.5)\n"
        "    print(load.sent, len(load.seconds), load.wrong[:1])\n"
    )

    def late():
        time.sleep(0.6)
        return answer()

    with ill_server(late) as port:
        command = [sys.executable, "-c", code, str(port)]
        done = subprocess.run(command, cwd=ROOT, env=with_library(), capture_output=True, text=True, timeout=LIMIT)
    count = len(arrivals(400, 0.5, 0))
    assert done.stdout == f"{count} {count} []\n", done.stderr
