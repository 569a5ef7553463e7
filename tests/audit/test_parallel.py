"""Several subjects at a time: their results in order, whatever becomes of the processes."""

import os
import signal
import time

import pytest

from audit import parallel

SUBJECTS = list(range(4 * parallel.LEAST))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(parallel, "_cores", lambda: 2)


def _children():
    """The children of this process, none of which may be left."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None


def test_results_are_in_the_order_of_the_subjects():
    found = list(parallel.in_order(lambda number: (number, os.getpid()), SUBJECTS))
    assert [number for number, _ in found] == SUBJECTS
    assert len({process for _, process in found}) == 2
    assert os.getpid() not in {process for _, process in found}
    assert _children() is None


def test_few_subjects_are_done_in_this_process():
    assert set(parallel.in_order(lambda _: os.getpid(), SUBJECTS[: parallel.LEAST])) == {os.getpid()}


@pytest.mark.parametrize("end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0])
def test_what_a_process_leaves_undone_is_done_here(end, capfd):
    ours = os.getpid()

    def work(number):
        if number == 5 and os.getpid() != ours:
            end()
        return number * number

    assert list(parallel.in_order(work, SUBJECTS)) == [number * number for number in SUBJECTS]
    assert capfd.readouterr() == ("", "")
    assert _children() is None


def test_nobody_goes_on_for_a_reader_that_has_left():
    results = parallel.in_order(lambda number: (time.sleep(0.2), number)[1], SUBJECTS)
    assert next(results) == 0
    begin = time.monotonic()
    results.close()
    assert time.monotonic() - begin < 1
    assert _children() is None
