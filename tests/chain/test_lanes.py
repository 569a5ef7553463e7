"""The lane `newest` of tests/run.sh: when its environment is made again, and when it is skipped."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers.environments import calls, make_ground
from tests.helpers.scripts import LIMIT, ROOT, Outcome


@pytest.fixture
def place(tmp_path):
    return make_ground(tmp_path)


def run_lane(place, name="newest_lane"):
    _, tree, environment = place
    done = subprocess.run(
        ["bash", "-c", f"set -uo pipefail; source tests/lanes.sh; {name}"],
        cwd=tree,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def make_old(place):
    """The environment was made two days ago."""
    marker = place[1] / ".venv-newest/venv/ready"
    before = time.time() - 2 * 24 * 3600
    os.utime(marker, (before, before))
    return time.strftime("%F", time.localtime(before))


def installed(place):
    return [line for line in calls(place[0], "pip") if "install" in line]


def test_all_names_are_resolved_without_pins(place):
    outcome = run_lane(place)
    assert outcome.status == 0, outcome.err
    lines = (place[1] / ".venv-newest/base.txt").read_text().splitlines()
    pins = [line for line in (place[1] / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert [line.partition(">=")[0] for line in lines] == [line.partition("==")[0] for line in pins]
    assert not any("==" in line.partition(";")[0] for line in lines)
    assert "numpy==2.4.6 paddlepaddle==3.1.1 protobuf==7.1" in outcome.out  # what pip has found is printed
    assert calls(place[0], "chains") == ["classifier", "detector", "serving"]
    (judged,) = calls(place[0], "known_failures")
    assert judged.endswith("/.venv-newest classifier=0 detector=0 serving=0")


def test_a_failure_is_judged_by_the_list(place):
    (place[0] / "detector.fails").touch()
    (place[0] / "judge_fails").touch()
    outcome = run_lane(place)
    assert calls(place[0], "known_failures")[0].endswith("classifier=0 detector=1 serving=0")
    assert outcome.status == 1  # that of tests/known_failures.py


def test_a_fresh_environment_is_used_again(place):
    run_lane(place)
    before = installed(place)
    outcome = run_lane(place)
    assert outcome.status == 0
    assert installed(place) == before
    assert "installing" not in outcome.out


def test_the_day_after_it_is_made_again(place):
    run_lane(place)
    before = len(installed(place))
    make_old(place)
    outcome = run_lane(place)
    assert "installing the newest packages" in outcome.out
    assert len(installed(place)) > before
    assert not (place[1] / ".venv-newest/venv.old").exists()


def test_another_list_of_names_makes_it_again(place):
    run_lane(place)
    before = len(installed(place))
    with open(place[1] / "requirements.txt", "a") as stream:
        stream.write("another==1\n")
    assert run_lane(place).status == 0
    assert len(installed(place)) > before


def test_without_a_network_the_old_one_is_used_and_named(place):
    run_lane(place)
    day = make_old(place)
    (place[0] / "no_network").touch()
    outcome = run_lane(place)
    assert outcome.status == 0, outcome.err
    assert f"note: not renewed (the package index cannot be reached); these are the packages of {day}" in outcome.out
    assert len(calls(place[0], "chains")) == 6
    (place[0] / "no_network").unlink()  # and made again as soon as there is one
    assert "installing the newest packages" in run_lane(place).out


@pytest.mark.parametrize(
    ("file", "reason"),
    [("no_network", "the package index cannot be reached"), ("no_wheel", "no wheel for this Python of paddle")],
)
def test_what_cannot_be_installed_is_a_skip_with_its_reason(place, file, reason):
    (place[0] / file).touch()
    outcome = run_lane(place)
    assert outcome.status == 0
    assert f"skipped: the newest packages cannot be installed: {reason}" in outcome.out
    assert calls(place[0], "chains") == []


def test_a_serving_that_cannot_be_installed_is_skipped_alone(place):
    (place[0] / "no_serving").touch()
    outcome = run_lane(place)
    assert "serving: skipped: it cannot be installed: no grpcio" in outcome.out
    assert calls(place[0], "chains") == ["classifier", "detector"]
    assert calls(place[0], "known_failures")[0].endswith("classifier=0 detector=0")


def test_an_interrupted_installation_is_made_again(place):
    run_lane(place)
    folder = place[1] / ".venv-newest"
    (folder / "venv").rename(folder / "venv.old")
    (folder / "venv").mkdir()  # the kill came while the new one was made
    before = installed(place)
    assert run_lane(place).status == 0
    assert installed(place) == before  # the old one is of today
    assert not (folder / "venv.old").exists()


def test_without_a_python_it_is_skipped(place, tmp_path):
    (place[0].parent / "bin/python3.11").unlink()
    for program in (*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()):  # this system may have a Python of its own
        if not program.name.startswith("python") and not (tmp_path / program.name).exists():
            (tmp_path / program.name).symlink_to(program)
    outcome = run_lane((place[0], place[1], {**place[2], "PATH": str(tmp_path)}))
    assert (outcome.status, outcome.out) == (0, "skipped: no Python from 3.9 to 3.13 found\n")


def test_the_oldest_lane_needs_python_3_9(place):
    outcome = run_lane(place, "compatibility_lane")
    assert (outcome.status, outcome.out) == (0, "skipped: no Python 3.9 found\n")


def test_the_runner_has_both_lanes():
    text = (ROOT / "tests/run.sh").read_text()
    assert "compatibility_lane || failed=1" in text
    assert "newest_lane || failed=1" in text
    assert "/.venv" in (ROOT / ".gitignore").read_text() or ".venv*" in (ROOT / ".gitignore").read_text()
