"""The lane of Paddle's GPU build: what it installs and asks, and that each of its parts can fail it."""

import re

import pytest

from tests.chain.test_lanes import run_lane
from tests.helpers.environments import calls, make_ground
from tests.helpers.scripts import ROOT


@pytest.fixture
def place(tmp_path):
    return make_ground(tmp_path)


def lane(place):
    return run_lane(place, "gpu_package_lane")


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_it_installs_what_the_head_of_the_list_says_and_runs_every_part(place):
    outcome = lane(place)
    assert outcome.status == 0, outcome.err
    base, tensorrt, *resolved = calls(place[0], "pip")
    assert [word for word in base.split() if "==" in word] == [
        *(line for line in pins("requirements-gpu.txt") if "serving" not in line),
        *(line for line in pins("tests/requirements.txt") if line.startswith("pytest==")),
    ]
    assert tensorrt.endswith("--python-version 3.10 --only-binary :all: tensorrt==8.5.3.1")
    assert [re.search(r"--python-version (\S+)", call)[1] for call in resolved] == ["3.9", "3.10", "3.11", "3.12"]
    assert outcome.out.count(": all packages have wheels\n") == 4
    assert calls(place[0], "pytest") == ["-m pytest -p no:cacheprovider -rs tests/infer/test_inference_config.py"]
    assert calls(place[0], "chains") == ["classifier", "serving"]


def test_what_is_there_is_used_again_until_a_list_changes(place):
    def installations():
        return len([call for call in calls(place[0], "pip") if "--dry-run" not in call])

    lane(place)
    assert installations() == 2
    assert "installing" not in lane(place).out
    assert installations() == 2
    with open(place[1] / "requirements-cuda.txt", "a") as stream:
        stream.write("another==1\n")
    assert lane(place).status == 0
    assert installations() == 4


@pytest.mark.parametrize("fault", ["classifier.fails", "serving.fails", "options_fail", "no_gpu_wheel"])
def test_each_part_can_fail_it(place, fault):
    (place[0] / fault).touch()
    outcome = lane(place)
    assert outcome.status == 1
    assert calls(place[0], "chains") == ["classifier", "serving"]  # the others are run all the same
    assert ("Python 3.12: no wheel of paddlepaddle-gpu 2.6.2\n" in outcome.out) == (fault == "no_gpu_wheel")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("no_network", "the package index cannot be reached"), ("no_serving", "no grpcio")],
)
def test_what_cannot_be_installed_fails_with_the_reason(place, fault, reason):
    """This lane is run on demand only: a skip would look like a success."""
    (place[0] / fault).touch()
    outcome = lane(place)
    assert outcome.status == 1
    assert outcome.err == f"requirements-gpu.txt cannot be installed: {reason}\n"
    assert calls(place[0], "chains") == []


def test_a_list_that_does_not_fit_a_python_is_told(place):
    lane(place)
    (place[0] / "no_wheel").touch()
    outcome = lane(place)
    assert outcome.status == 1
    assert "Python 3.9: no wheel for this Python of paddlepaddle==3.1.1\n" in outcome.out


def test_it_runs_on_demand_only():
    main = (ROOT / "tests/run.sh").read_text().partition("\nmain() {")[2].partition("\n}\n")[0]
    assert main.count("gpu_package_lane") == 1
    assert re.search(r"if \[\[ \S+ == --gpu-package \]\]; then[^}]*?gpu_package_lane\s+exit\s+fi", main)
    assert "gpu-package" not in (ROOT / ".ci/run").read_text()
