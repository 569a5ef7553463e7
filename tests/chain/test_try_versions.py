"""tools/tables/versions.sh, with a Python and chains that end at once: what it installs, runs, keeps and resumes."""

import os
import signal
import subprocess

import pytest

from tests.helpers.environments import calls, make_ground
from tests.helpers.scripts import LIMIT, Outcome
from tests.helpers.shell import assert_one_error, wait_for

PAIR = ("--paddle", "3.1.1", "--python", "3.11")


@pytest.fixture
def place(tmp_path):
    return make_ground(tmp_path)


def start(place, *words):
    _, tree, environment = place
    return subprocess.Popen(
        ["bash", tree / "tools/tables/versions.sh", *words],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(place, *words):
    process = start(place, *words)
    out, err = process.communicate(timeout=LIMIT)
    return Outcome(process.returncode, out, err)


def kept(place, name="3.1.1_3.11"):
    return place[1] / "output/versions" / name


def tried(place):
    return dict(line.split("=", 1) for line in (kept(place) / "tried").read_text().splitlines())


def test_a_pair_is_installed_run_and_handed_to_the_table(place):
    outcome = run(place, *PAIR)
    assert outcome.status == 0, outcome.err
    assert calls(place[0], "chains") == ["classifier", "detector", "serving"]
    parts = [line.split("\t") for line in (kept(place) / "parts.tsv").read_text().splitlines()]
    assert [(part[0], part[1], part[3]) for part in parts] == [
        (name, "0", "") for name in ("classifier", "detector", "engines", "serving")
    ]
    found = tried(place)
    assert (found["paddle"], found["python"], found["packages"]) == ("3.1.1", "3.11.7", "pinned")
    assert (found["format"], found["reason"]) == ("pdmodel", "")
    (line,) = calls(place[0], "versions_table")
    assert line.endswith(f"--collect {kept(place).parent} --update docs/versions.md 3.1.1_3.11")


def test_packages_are_pinned_up_to_3_1_and_lower_bounds_after_it(place):
    for paddle in ("2.6.2", "3.1.1", "3.2.2"):
        assert run(place, "--paddle", paddle, "--python", "3.11", "--install").status == 0
        lines = (kept(place, f"{paddle}_3.11") / "base.txt").read_text().splitlines()
        assert f"paddlepaddle=={paddle}" in lines
        assert any(line.startswith("matplotlib" + (">=" if paddle == "3.2.2" else "==")) for line in lines)
        engines = (kept(place, f"{paddle}_3.11") / "engines.txt").read_text()
        assert ("paddle2onnx==1.3.1" in engines) == (paddle == "2.6.2")
    assert all("--only-binary :all:" in line for line in calls(place[0], "pip"))
    assert calls(place[0], "chains") == calls(place[0], "versions_table") == []


def test_what_was_tried_is_not_tried_again(place):
    run(place, *PAIR)
    outcome = run(place, *PAIR)
    assert "tried before" in outcome.out
    assert len(calls(place[0], "chains")) == 3
    assert len(calls(place[0], "versions_table")) == 2
    installed = calls(place[0], "pip")
    run(place, *PAIR, "--again")
    assert len(calls(place[0], "chains")) == 6
    assert calls(place[0], "pip") == installed  # the environment is kept


def test_an_environment_of_other_requirements_is_made_again(place):
    run(place, *PAIR, "--install")
    installed = len(calls(place[0], "pip"))
    with open(place[1] / "requirements.txt", "a") as stream:
        stream.write("another==1\n")
    run(place, *PAIR, "--install")
    assert len(calls(place[0], "pip")) > installed


def test_a_pair_that_was_interrupted_is_tried_again(place):
    ground = place[0]
    (ground / "stop").touch()
    process = start(place, *PAIR)
    assert wait_for(lambda: calls(ground, "chains"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 143
    assert not (kept(place) / "tried").exists()
    assert calls(ground, "versions_table") == []
    (ground / "stop").unlink()
    assert run(place, *PAIR).status == 0
    assert calls(ground, "chains") == ["classifier", "classifier", "detector", "serving"]


def test_a_chain_that_fails_is_recorded_and_the_others_go_on(place):
    (place[0] / "detector.fails").touch()
    outcome = run(place, *PAIR)
    assert outcome.status == 0
    assert "detector: exit code 1" in outcome.out
    assert "detector\t1\t" in (kept(place) / "parts.tsv").read_text()
    assert calls(place[0], "chains")[-1] == "serving"


def test_without_an_exported_model_nothing_is_served(place):
    script = place[0] / "classifier.sh"
    script.write_text("exit 1\n")
    outcome = run(place, *PAIR)
    assert "serving: not run: the classifier's chain has exported no model" in outcome.out
    assert calls(place[0], "chains") == ["detector"]


def test_without_paddle_serving_the_reason_is_kept(place):
    (place[0] / "no_serving").touch()
    run(place, *PAIR)
    assert (kept(place) / "parts.tsv").read_text().splitlines()[-1] == "serving\t-\t0.0\tno grpcio"


def test_a_paddle_without_a_wheel_is_a_result(place):
    (place[0] / "no_wheel").touch()
    outcome = run(place, *PAIR)
    assert outcome.status == 0, outcome.err
    assert tried(place)["reason"] == "no wheel for this Python of paddlepaddle==3.1.1"
    assert len(calls(place[0], "versions_table")) == 1


def test_no_network_is_none(place):
    (place[0] / "no_network").touch()
    outcome = run(place, *PAIR)
    assert outcome.status == 1
    assert "not installed: the package index cannot be reached" in outcome.out
    assert not (kept(place) / "tried").exists()
    assert calls(place[0], "versions_table") == []


def test_a_python_that_is_not_here_is_not_tried(place):
    outcome = run(place, "--paddle", "3.1.1", "--python", "3.10")
    assert outcome.status == 1
    assert "not tried: there is no Python 3.10 here" in outcome.out
    assert calls(place[0], "versions_table") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--paddle", "3.1"], "--paddle: expected a version such as 3.1.1, found '3.1'"),
        (["--python", "2.7"], "--python: expected a version such as 3.11, found '2.7'"),
        (["--keep"], "--keep: expected a folder"),
        (["--all"], "unknown option '--all'"),
        (["3.1.1"], "usage: "),
        (["--keep", "/dev/null/x"], "/dev/null/x: cannot be written"),
    ],
)
def test_wrong_words_are_one_line(place, words, said):
    assert_one_error(run(place, *words), said)
