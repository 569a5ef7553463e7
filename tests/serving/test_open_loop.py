"""The load report and the soak: what their clients see of a service that stalls, refuses, is wrong, or grows."""

import json
import statistics

import pytest

from ppcls_lite.serving.load import Question, run_load
from ppcls_lite.serving.load_report import BEGIN, END, Row, as_markdown, find_knee
from ppcls_lite.serving.open_loop import Load, arrivals, offer
from tests.benchmarks import soak
from tests.helpers.scripts import assert_one_line, run_process
from tests.helpers.service import SCRIPT, Service, encoded, make_image
from tests.serving.test_load import body

GOOD = encoded(make_image())
PATH = "/imagenet/prediction"
STALLS = f"""
import runpy, time
from ppcls_lite.serving.request import Limits, limit_opencv
limit_opencv(Limits())
from ppcls_lite.serving.op import ImageOp
process, began = ImageOp.process, []

def stall(self, *words):
    began.append(time.monotonic())
    if len(began) == 40:
        time.sleep(1)
    return process(self, *words)

ImageOp.process = stall
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


def question(service):
    answer = service.ask(GOOD)
    assert answer["err_no"] == 0
    return Question(body(GOOD), dict(zip(answer["key"], answer["value"])))


def test_the_times_are_those_of_independent_users():
    times = arrivals(100, 50, seed=1)
    assert times == sorted(arrivals(100, 50, seed=1))
    assert 4500 < len(times) < 5500
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert statistics.pstdev(gaps) == pytest.approx(statistics.fmean(gaps), rel=0.1)  # exponential


def test_a_stall_is_seen_and_a_closed_loop_hides_it(converted, tmp_path):
    """One engine, which sleeps for a second once: one request of a closed loop, a second's worth of an open one."""
    found = {}
    for name in ("closed", "open"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "stalls.py").write_text(STALLS)
        options = ("op.imagenet.concurrency=1", "op.imagenet.batch_size=1")
        service = Service(folder, converted, *options, script=folder / "stalls.py")
        try:
            asked = [question(service)]
            if name == "closed":
                found[name] = run_load(service.port, PATH, asked, 1, 4)
            else:
                found[name] = offer(service.port, PATH, asked, 30, 4)
        finally:
            assert service.stop() == 0
    assert found["closed"].wrong == found["open"].wrong == []
    assert found["closed"].percentile(1) > 1000  # it was one
    assert found["closed"].percentile(0.97) < 500
    assert found["open"].percentile(0.9) > 500


def test_what_becomes_of_each_request_is_counted(converted, tmp_path):
    service = Service(tmp_path, converted, "limits.max_queue=2")
    try:
        good, bad = question(service), Question(b"{")
        load = offer(service.port, PATH, [good, bad], 40, 2)
        assert (load.wrong, len(load.seconds) + len(load.refused)) == ([], (load.sent + 1) // 2)
        flood = offer(service.port, PATH, [good], 2000, 1)
        assert flood.wrong == []
        assert flood.refused
        assert len(flood.seconds) + len(flood.refused) == flood.sent
        wrong = offer(service.port, PATH, [Question(body(GOOD), {"result": "[]"})], 20, 1)
        assert wrong.seconds == []
        assert wrong.wrong[0].startswith("wrong: ")
    finally:
        assert service.stop() == 0
    lost = offer(service.port, PATH, [good], 20, 0.5)
    assert lost.wrong[0].startswith("lost: ")


def test_waiting_longer_than_allowed_is_refused_at_once(converted, tmp_path):
    service = Service(tmp_path, converted, "limits.max_wait_ms=1", "op.imagenet.batch_size=1")
    try:
        load = offer(service.port, PATH, [question(service)], 2000, 1)
        assert load.refused
        assert load.seconds
        status, answer = 0, {}
        for _ in range(3):  # alone it waits for nobody
            status, answer = service.post(body(GOOD))
        assert (status, answer["err_no"]) == (200, 0)
    finally:
        assert service.stop() == 0


# -------------------------------------------------------------------------------------------------- the report


def rows(*values):
    """Rows of (part, throughput, p99) of a capacity of 100 a second."""
    return [Row(part, 100 * part, rate, 0.0, p99 / 2, p99, 0.0) for part, rate, p99 in values]


def test_the_knee():
    good = [(0.1, 10, 10), (0.5, 50, 12), (0.8, 79, 29)]
    assert find_knee(rows(*good, (0.9, 90, 31))).part == 0.8  # slower than three times the first
    assert find_knee(rows(*good, (0.9, 80, 20))).part == 0.8  # not all is answered
    assert find_knee(rows(*good, (0.9, 80, 20), (1.0, 100, 20))).part == 0.8  # what follows does not count
    assert find_knee(rows((0.1, 5, 10))) is None
    table = list(as_markdown(found := rows(*good), found[2], "about"))
    assert "| 0.80 (knee) | 80 | 79 | 0 % | 14.5 | 29.0 | 2.9 |" in table


def test_a_short_report(exported, tmp_path):
    document = tmp_path / "load.md"
    document.write_text(f"# Load\n\n{BEGIN}\n{END}\n")
    files = ("--plot", tmp_path / "load.png", "--save", tmp_path / "load.json", "--update", document)
    short = ("--steps", "0.2", "1", "3", "--seconds", "0.5", "--rounds", "1", "-o", "limits.max_queue=4")
    words = ("deploy/paddleserving/load_report.py", "--dirname", exported.model, *short)
    outcome = run_process(*words, *files)
    assert outcome.status == 0, outcome.err
    found = json.loads((tmp_path / "load.json").read_text())
    assert [round(row["part"], 2) for row in found["rows"]] == [0.2, 1, 3]
    assert found["rows"][2]["refused"] > 0
    assert document.read_text().count("\n| ") == 5
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    assert_one_line(run_process(*words, "--limit", "0.001"), "p99 at 3 of the capacity: ", "at most 0.001")


# ---------------------------------------------------------------------------------------------------- the soak


def samples(part="half", **changed):
    """Two hundred samples of a service that does not grow, with functions of the number for what changes."""
    still = {"memory": lambda n: 500 + n % 7, "descriptors": lambda n: 60 + n % 3, "threads": lambda n: 30}
    return [{"part": part, **{key: f(n) for key, f in {**still, **changed}.items()}} for n in range(200)]


def load(**changed):
    return Load(
        *{
            "rate": 9,
            "sent": 9,
            "seconds": [0.1],
            "refused": [],
            "wrong": [],
            "duration": 1,
            "wall": 1,
            "cpu": 1,
            **changed,
        }.values()
    )


def test_a_service_that_does_not_grow_is_sound():
    summary, faults = soak.judge(samples(), {"half": [load()]})
    assert faults == []
    assert abs(summary["half"]["memory_growth"]) < 10


@pytest.mark.parametrize(
    ("key", "function", "message"),
    [
        ("memory", lambda n: 500 + 0.4 * n, "half: memory grew by 64, more than 50"),
        ("descriptors", lambda n: 60 + n // 4, "half: descriptors grew by 40, more than 20"),
        ("threads", lambda n: 30 + n // 5, "half: threads grew by 32, more than 20"),
    ],
)
def test_a_service_that_grows_is_not(key, function, message):
    _, (fault,) = soak.judge(samples(**{key: function}), {"half": [load()]})
    assert fault == message


def test_wrong_answers_are_not_sound():
    _, faults = soak.judge(samples(), {"half": [load(), load(wrong=["lost: x"])]})
    assert faults == ["half: lost: x"]


def test_a_short_soak(converted, tmp_path):
    minutes = ("--half", "0.1", "--twice", "0.05", "--every", "0.2")
    outcome = run_process("tests/benchmarks/soak.py", "--model", converted, *minutes, "--save", tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    for part in ("half", "twice"):
        assert summary[part]["good"] > 0
        assert summary[part]["wrong"] == 0
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) > 20
    assert outcome.status == 0 or " grew by " in outcome.err  # it warms up, and opens its connections
