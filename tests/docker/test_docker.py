"""deploy/docker: docker is not run here, but its Dockerfiles run nothing but two scripts, and these are."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
import requests

from tests.helpers.scripts import ROOT
from tests.helpers.shell import wait_for

FOLDER = ROOT / "deploy/docker"
DOCKERFILES = sorted(FOLDER.glob("Dockerfile.*"))
INSTALL = [["system"], ["python", "cpu"], ["python", "gpu"]]


def lines_of(path):
    """[(instruction, the rest)] of a Dockerfile without continued lines."""
    lines = path.read_text().splitlines()
    return [line.split(" ", 1) for line in lines if line and not line.startswith("#")]


def run(*words, **more):
    environment = {**os.environ, "TIPC_PYTHON": sys.executable, **more}
    return subprocess.run(["bash", *map(str, words)], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("path", DOCKERFILES, ids=[path.name for path in DOCKERFILES])
def test_a_dockerfile_calls_nothing_but_the_scripts(path):
    lines = lines_of(path)
    commands = [shlex.split(rest) for instruction, rest in lines if instruction == "RUN"]
    assert len(commands) == 2
    for command in commands:
        assert command[:2] == ["bash", "deploy/docker/install.sh"]
        assert command[2:] in INSTALL
    words = dict(lines)
    entry, default = json.loads(words["ENTRYPOINT"]), json.loads(words["CMD"])
    assert entry == ["bash", "deploy/docker/run.sh"]
    assert default[0] == "certify"
    assert (ROOT / "test_tipc/configs" / default[1]).is_dir()
    for instruction, rest in lines:
        if instruction == "COPY":
            assert all((ROOT / source).exists() for source in rest.split()[:-1])
    # the packages of the system are a layer of their own, which a change of the code does not make again
    assert [instruction for instruction, _ in lines].index("RUN") < [rest for _, rest in lines].index(". .")


def test_packages_have_names_that_debian_allows():
    lists = [FOLDER / "apt_packages.txt", ROOT / "tests/apt_packages.txt"]
    lines = [line for path in lists for line in path.read_text().splitlines()]
    names = [line for line in lines if not line.startswith("#")]
    assert len(names) == len(set(names)) > 8
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in names)


def test_without_apt_get_there_is_one_line(tmp_path):
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    done = run(FOLDER / "install.sh", "system", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "error: there is no apt-get: install what deploy/docker/apt_packages.txt names yourself" in done.stderr


def test_continuous_integration_installs_what_tests_need(tmp_path):
    assert "install.sh system tests/apt_packages.txt" in (ROOT / ".ci/run").read_text()
    asked = tmp_path / "dpkg-query"  # as on a machine that has all of them
    asked.write_text('#!/bin/sh\necho "${4}" >>"$0.log"\nprintf installed\n')
    asked.chmod(0o755)
    (tmp_path / "apt-get").symlink_to(asked)
    done = run(FOLDER / "install.sh", "system", "tests/apt_packages.txt", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done
    assert {"cmake", "nginx-light"} <= set((tmp_path / "dpkg-query.log").read_text().split())


@pytest.mark.parametrize("words", [[], ["everything"], ["python"], ["python", "tpu"]])
def test_other_words_print_the_usage(words):
    done = run(FOLDER / "install.sh", *words)
    assert done.returncode == 1
    assert "install.sh python cpu" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["certify"], "certify: expected the name of a model"),
        (["certify", "AlexNet"], "unknown model 'AlexNet'; known: "),
        (["certify", "MobileNetV3_small_x1_0", "lite"], "unknown mode 'lite'"),
        (["serve"], "serve: expected the folder of an exported model, found ''"),
        (["serve", FOLDER], "expected inference.pdmodel or inference.json"),
    ],
)
def test_wrong_words_are_one_line(words, message):
    done = run(FOLDER / "run.sh", *words)
    assert done.returncode == 1, done
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]


def test_any_other_command_is_run():
    assert run(FOLDER / "run.sh", "echo", "a b").stdout == "a b\n"
    assert "run.sh serve FOLDER" in run(FOLDER / "run.sh").stdout


def test_a_model_is_served_to_other_machines(exported, tmp_path):
    command = ["bash", str(FOLDER / "run.sh"), "serve", str(exported.model), "http_port=0", "rpc_port=0"]
    environment = {**os.environ, "TIPC_PYTHON": sys.executable, "TMPDIR": str(tmp_path)}
    environment |= {"SERVING_LOG_PATH": str(tmp_path), "SERVING_HOME": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("w") as stream:
        options = {"stdout": stream, "stderr": subprocess.STDOUT, "start_new_session": True}
        process = subprocess.Popen(command, env=environment, **options)
    try:
        wait_for(lambda: "listening: " in log.read_text() or process.poll() is not None)
        found = re.search(r"listening: http://0\.0\.0\.0:(\d+)/imagenet/prediction", log.read_text())
        assert found, log.read_text()
        image = ROOT / "test_images/astronaut.jpg"
        client = ROOT / "deploy/paddleserving/pipeline_http_client.py"
        url = f"http://127.0.0.1:{found[1]}/imagenet/prediction"
        words = [sys.executable, client, "--url", url, "--image_dir", image]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 images, 0 answered with an error" in done.stdout
        assert requests.get(f"http://127.0.0.1:{found[1]}/imagenet/ready", timeout=10).status_code == 200
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
