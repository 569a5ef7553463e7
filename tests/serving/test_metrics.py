"""The numbers for Prometheus without a server: those of the start, and those of several processes together."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ppcls_lite.serving.metrics import FOLDER, OUTCOMES, PROTOCOLS, Metrics, forget_process
from tests.helpers.scripts import LIMIT, ROOT


class Models(dict):
    """What `Metrics` asks of a service's models."""

    def __init__(self, replaced=0, **reloads):
        super().__init__(digits=SimpleNamespace(waiting=3, under_way=4))
        self.reloads, self._replaced = reloads, replaced

    def replaced(self, name):
        return self._replaced


def made(models, refused=0):
    return Metrics(models, SimpleNamespace(connections=[1, 2], refused=refused), SimpleNamespace(calls=5))


def exchange(model="digits", protocol="http", err_no=0, outcome="", job=None):
    return SimpleNamespace(model=model, protocol=protocol, err_no=err_no, outcome=outcome, seconds=0.1, job=job)


def samples(text):
    """{name{labels}: value} of a page."""
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(figures):
    kind, content = figures.page()
    assert kind.startswith("text/plain; version=")
    return samples(content.decode())


def test_every_outcome_is_there_before_the_first_request():
    found = read(made(Models()))
    requests = {name: value for name, value in found.items() if name.startswith("serving_requests")}
    assert len(requests) == len(PROTOCOLS) * len(OUTCOMES)
    assert set(requests.values()) == {0}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [({}, "ok"), ({"err_no": 52}, "limit"), ({"err_no": 5000}, "error"), ({"err_no": 54, "outcome": "lost"}, "lost")],
)
def test_a_request_is_counted_and_makes_no_series(changed, outcome):
    figures = made(Models())
    before = read(figures)
    figures.observe(exchange(protocol="v2", **changed))
    after = read(figures)
    name = f"serving_requests_total{sorted(['digits', 'v2', outcome])}"
    assert {name: value for name, value in after.items() if name.startswith("serving_requests") and value} == {name: 1}
    assert {name.split("[")[0] for name in after.keys() - before.keys()} <= {
        "serving_stage_seconds_bucket",
        "serving_stage_seconds_count",
        "serving_stage_seconds_sum",
    }


def test_totals_follow_what_was_counted():
    models = Models(replaced=1, ok=2, failed=0)
    figures = made(models, refused=7)
    for _ in range(2):  # a page counts nothing twice
        found = read(figures)
        assert found["serving_threads_replaced_total['digits']"] == 1
        assert found["serving_reloads_total['ok']"] == 2
        assert found["serving_closed_connections_total[]"] == 7
    models.reloads["failed"] += 1
    figures.dropped = lambda: 9
    found = read(figures)
    assert found["serving_reloads_total['failed']"] == 1
    assert found["serving_log_lines_dropped_total[]"] == 9


PROCESS = """
import sys
sys.path.append("test_tipc/lib")
from tests.serving.test_metrics import Models, exchange, made
figures = made(Models(replaced=2, ok=3), refused=5)
for _ in range(int(sys.argv[1])):
    figures.observe(exchange())
    figures.observe_batch("digits", 2, 0.1)
figures.refresh()
print("# end", flush=True)
for line in sys.stdin:
    print(figures.page()[1].decode() + "# end", flush=True)
"""


class Process:
    """One of a service's processes."""

    def __init__(self, folder, requests, monkeypatch):
        monkeypatch.setenv(FOLDER, str(folder))
        command = [sys.executable, "-c", PROCESS, str(requests)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=ROOT, **pipes)
        monkeypatch.delenv(FOLDER)
        self._read()

    def _read(self):
        lines = []
        while not lines or lines[-1] != "# end\n":
            lines.append(self.process.stdout.readline())
            assert lines[-1], "the process has ended"
        return "".join(lines)

    def page(self):
        print("page", file=self.process.stdin, flush=True)
        return samples(self._read())

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=LIMIT)


@pytest.fixture
def two(tmp_path, monkeypatch):
    processes = [Process(tmp_path, requests, monkeypatch) for requests in (2, 5)]
    yield processes
    for process in processes:
        process.kill()


def test_any_process_answers_for_all_and_no_total_falls_when_one_ends(two, tmp_path):
    first, second = two
    before = first.page()
    assert before.keys() == second.page().keys()
    assert before["serving_requests_total['digits', 'http', 'ok']"] == 7
    assert before["serving_batch_images_sum['digits']"] == 14
    assert before["serving_stage_seconds_count['digits', 'whole']"] == 7
    assert before["serving_queue_length['digits']"] == 6
    second.kill()
    forget_process(second.process.pid, tmp_path)
    after = first.page()
    assert after["serving_queue_length['digits']"] == 3
    assert after["serving_connections['http']"] == 2
    assert after["serving_memory_bytes[]"] < 0.8 * before["serving_memory_bytes[]"]
    totals = {name: value for name, value in before.items() if "_total[" in name or "_bucket[" in name}
    assert totals == {name: after[name] for name in totals}
    assert totals["serving_reloads_total['ok']"] == 6


def test_a_process_that_starts_has_an_empty_file_for_a_moment(two, tmp_path):
    before = two[0].page()
    (tmp_path / "counter_1.db").touch()
    (tmp_path / "gauge_livesum_1.db").symlink_to(tmp_path / "removed")
    assert two[0].page().keys() == before.keys()
