"""deploy/paddleserving/rehearse_rolling.py: real instances behind the real nginx, each in a network namespace."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.nginx import need
from tests.helpers.scripts import LIMIT, ROOT, Outcome, run_process
from tests.helpers.shell import wait_for

SCRIPT = "deploy/paddleserving/rehearse_rolling.py"
CHANGE = re.compile(r"change of (\d) instances: (\d+) requests, (\d+) right, (\d+) lost, (\d+) wrong; exit codes (.*)")
TRIED = re.compile(r"(\d+) without a connection, (\d+) refused with 503, (\d+) predicted twice")


def model(converted):
    return ["-o", f"op.imagenet.local_service_conf.model_config={converted}"]


@contextmanager
def alone():
    """No other process of these tests rehearses while the block runs; it leaves no namespace."""
    with Path(tempfile.gettempdir(), "test_rehearse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        listed = subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout
        assert re.findall(r"^serving_\S+", listed, re.MULTILINE) == []


def rehearse(*options):
    """The `Outcome`; skips where namespaces or nginx are not there."""
    done = run_process(SCRIPT, "--clients", "4", *options)
    if done.status == 77:
        pytest.skip(done.err.strip().splitlines()[-1])
    return done


def numbers(done):
    """(instances, requests, right, lost, wrong) of a change, then (no connection, refused, predicted twice)."""
    change, tried = CHANGE.search(done.out), TRIED.search(done.out)
    assert change, done
    assert tried, done
    return tuple(map(int, change.groups()[:5])), tuple(map(int, tried.groups()))


@pytest.fixture(scope="module")
def change(converted):
    """A change of three instances, after an earlier run that was killed has left a namespace with a process."""
    need("ip", "nginx")
    with alone():
        old = None
        if subprocess.run(["ip", "netns", "add", "serving_7"], capture_output=True).returncode == 0:
            old = subprocess.Popen(["ip", "netns", "exec", "serving_7", "sleep", str(LIMIT)])
        done = rehearse("--seconds", "1", *model(converted))
        if old:
            assert old.wait(LIMIT) == -signal.SIGKILL
    return done


def test_every_instance_was_changed_and_no_answer_is_wrong(change):
    (instances, requests, right, lost, wrong), (_, _, twice) = numbers(change)
    assert (instances, wrong, twice) == (3, 0, 0)
    assert right > 100
    assert requests == right + lost
    assert CHANGE.search(change.out)[6] == "[0, 0, 0]"
    assert change.status == int(lost > 0)


def test_no_request_is_lost(change):
    assert numbers(change)[0][3] == 0
    assert change.status == 0


def test_each_number_of_instances_was_measured(change):
    rows = re.findall(r"^ +(\d) +(\d+\.\d) +\d+\.\d +\d+\.\d +0 +0$", change.out, re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert all(float(row[1]) > 0 for row in rows)
    assert "all on the same cores" in change.out


def test_a_crash_would_be_seen_to_lose_requests(converted):
    need("ip", "nginx")
    with alone():
        done = rehearse("--kill", "--instances", "2", "--seconds", "0", *model(converted))
    (_, _, _, lost, wrong), (_, _, twice) = numbers(done)
    assert done.status == 1
    assert (lost > 0, wrong, twice) == (True, 0, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing(converted, number, tmp_path):
    need("ip", "nginx")
    log = tmp_path / "log"
    with alone():
        with log.open("w") as stream:
            words = [sys.executable, str(ROOT / SCRIPT), *model(converted)]
            process = subprocess.Popen(words, stdout=stream, stderr=subprocess.STDOUT)
        wait_for(lambda: "requests/s" in log.read_text() or process.poll() is not None)
        if process.poll() == 77:
            pytest.skip(log.read_text().strip().splitlines()[-1])
        process.send_signal(number)
        assert process.wait(LIMIT) == 128 + number


def test_without_root_or_programs_there_is_one_line(converted, tmp_path):
    done = run_process(SCRIPT, *model(converted), PATH=str(tmp_path))
    assert done.status == 77
    assert done.err == "error: there is no command ip: apt-get install iproute2 nginx-light\n"


def test_a_wrong_option_is_said_at_once():
    done = run_process(SCRIPT, "-o", "http_prt=1")
    assert done.status == 1
    assert "http_prt" in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="is root in a namespace of its own only where root may make one")
def test_without_the_right_to_make_namespaces_there_is_one_line(converted):
    need("ip", "nginx", "setpriv")
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, str(ROOT / SCRIPT), *model(converted)]
    with alone():
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 77, Outcome(done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("error: network namespaces are not permitted: ip netns add serving_front: ")
    assert len(done.stderr.splitlines()) == 1
