"""Set-up of Paddle Serving: once and completely into the managed environment, never into one of the user."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.file_server import FileServer
from tests.helpers.preparation import PIP, SetUp, pack
from tests.helpers.shell import CONFIGS, assert_one_error, copy_tree, is_running

CONFIG = str(CONFIGS / "serving_paddleclas.txt")
MODEL = "./deploy/paddleserving/small_net_infer/"  # of that config
# This pip lists what a test says is installed, notes its constraints, and the wheels of Paddle Serving have one module
# of messages each, in the form of their time.
PIP_LISTS = """
import os, sys
if sys.argv[1] == "list": sys.exit(print(open(os.environ["NOTES"] + "/installed").read(), end=""))
"""
PIP_INSTALLS = """
import sysconfig
if "-c" in lines: (note / "constraints").write_text("\\n".join(lines["-c"]))
for part in ("server", "app", "client"):
    if any(word.startswith("paddle-serving-" + part) for word in sys.argv):
        package = Path(sysconfig.get_path("purelib"), "paddle_serving_" + part)
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / "a_pb2.py").write_text("DESCRIPTOR = f(serialized_pb=" + repr(bytes([10, 1, 97])) + ")\\n")
"""
# as much of protobuf as a renewed module calls
PROTOBUF = {
    "__init__.py": "",
    "descriptor_pool.py": "class Default:\n    def AddSerializedFile(self, data): return data\n",
    "internal/__init__.py": "",
    "internal/builder.py": "def BuildMessageAndEnumDescriptors(*words): pass\n"
    "BuildTopDescriptorsAndMessages = BuildMessageAndEnumDescriptors\n",
}


@pytest.fixture
def setup(tmp_path):
    made = SetUp(tmp_path, copy_tree(tmp_path))
    (made.notes / "pip.py").write_text(PIP_LISTS + PIP + PIP_INSTALLS)
    (made.notes / "installed").touch()
    made.run(CONFIG, "lite_train_lite_infer")  # the environment without Paddle Serving
    for name, text in PROTOBUF.items():
        path = site_packages(made) / "google/protobuf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return made


def site_packages(setup):
    (folder,) = setup.venv.glob("lib/python3.*/site-packages")
    return folder


def messages(setup):
    """The texts of the modules of messages of the three packages."""
    return [path.read_text() for path in sorted(site_packages(setup).glob("paddle_serving_*/*_pb2.py"))]


def serve(setup, **environment):
    return setup.run(CONFIG, "serving_infer", **environment)


def assert_only_the_model_is_fetched(run):
    """Nothing is said but that the config's exported model cannot be fetched: it is at no server."""
    assert run.status == 0, run.out + run.err
    assert run.out == f"note: {MODEL} could not be fetched; what the base chain exports is taken instead\n"
    for line in run.err.splitlines():
        assert line.startswith(("downloading https://", "https://", "error: cannot download https://")), line


def marker(setup):
    """The file that says which installation of Paddle Serving is complete."""
    return setup.venv / "ready-serving"


def pip_calls(setup):
    """The arguments of each pip that was started for Paddle Serving."""
    return (setup.notes / "pip").read_text().splitlines()[1:]


def test_it_is_installed_once_with_the_pins_of_the_environment(setup):
    run = serve(setup)
    assert run.status == 0, run.out + run.err
    assert run.out.startswith("installing Paddle Serving into .venv")
    plain, wheels, client = pip_calls(setup)
    assert plain.startswith(
        "install --disable-pip-version-check --no-input "
        f"-c {setup.tree}/requirements.txt -c {setup.tree}/requirements-serving.txt grpcio aiohttp flask "
    )
    assert "==" not in plain  # the versions are those of the two files
    assert "paddle-serving" not in plain
    assert "protobuf" not in plain
    assert "--no-deps paddle-serving-server==0.9.0 paddle-serving-app==0.9.0" in wheels
    assert "--no-deps --target" in client
    assert "--python-version 3.9" in client
    assert "--force-reinstall" not in plain + wheels + client
    assert len(messages(setup)) == 3
    assert all("AddSerializedFile(b'\\n\\x01a')" in text for text in messages(setup))
    run = serve(setup)
    assert_only_the_model_is_fetched(run)
    assert len(pip_calls(setup)) == 3
    assert not list(setup.tree.glob(".venv.lock*"))


def test_the_base_chain_does_not_install_it(setup):
    run = setup.run(CONFIG, "lite_train_lite_infer")
    assert (run.status, run.out, run.err) == (0, "", "")
    assert pip_calls(setup) == []
    assert not marker(setup).exists()


def test_other_pins_are_installed(setup):
    assert serve(setup).status == 0
    before = marker(setup).read_text()
    path = setup.tree / "requirements-serving.txt"
    path.write_text(path.read_text().replace("paddle-serving-app==0.9.0", "paddle-serving-app==0.8.3"))
    run = serve(setup)
    assert run.status == 0, run.out + run.err
    assert run.out.startswith("installing Paddle Serving into .venv")
    calls = pip_calls(setup)
    assert len(calls) == 6
    assert "paddle-serving-server==0.9.0 paddle-serving-app==0.8.3" in calls[4]
    assert marker(setup).read_text() != before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_installation_is_made_again(setup, number):
    (setup.notes / "wait").touch()
    process = setup.start(CONFIG, "serving_infer")
    pip = setup.pip()
    os.kill(process.pid, number)
    setup.finish(process)
    (setup.notes / "wait").unlink()
    assert not marker(setup).exists()
    run = serve(setup)
    assert run.status == 0, run.out + run.err
    assert not is_running(pip)
    assert all("--force-reinstall" in call for call in pip_calls(setup)[-3:])
    assert marker(setup).is_file()
    run = serve(setup)
    assert_only_the_model_is_fetched(run)


def test_a_failed_installation_is_reported_and_tried_again(setup):
    (setup.notes / "fail").touch()
    run = serve(setup)
    assert run.status == 1
    assert run.err.splitlines()[-1] == "error: installing Paddle Serving failed; all of pip's output is in .venv.log"
    assert "no such package" in run.err
    assert len(pip_calls(setup)) == 1  # nothing is installed after the failure
    assert not marker(setup).exists()
    (setup.notes / "fail").unlink()
    assert serve(setup).status == 0
    assert len(pip_calls(setup)) == 4
    assert marker(setup).is_file()


def test_messages_that_cannot_be_renewed_are_a_failed_installation(setup):
    (site_packages(setup) / "google/protobuf/internal/builder.py").unlink()
    run = serve(setup)
    assert run.status == 1
    assert "protobuf cannot load it, expected 3.20 or newer" in run.err
    assert run.err.splitlines()[-1] == "error: installing Paddle Serving failed; all of pip's output is in .venv.log"
    assert not marker(setup).exists()
    assert all("serialized_pb" in text for text in messages(setup))


def test_another_way_to_renew_the_messages_is_applied(setup):
    assert serve(setup).status == 0
    script = setup.tree / "test_tipc/lib/renew_pb2.py"
    script.write_text(script.read_text().replace("Generated protocol buffer code", "Made anew"))
    run = serve(setup)
    assert run.status == 0, run.out + run.err
    assert run.out.startswith("installing Paddle Serving into .venv")
    assert all("Made anew" in text for text in messages(setup))


def test_an_environment_of_the_user_is_left_alone(setup):
    """The missing packages are named, with the command that installs them."""
    hide = setup.notes / "hide"
    hide.mkdir()
    body = "import sys\nsys.modules.update(dict.fromkeys(['grpc'], None))\n"
    (hide / "sitecustomize.py").write_text(body)
    run = serve(setup, TIPC_PYTHON=sys.executable, PYTHONPATH=str(hide))
    command = f"bash test_tipc/install_serving.sh {sys.executable}"
    assert_one_error(run, "has no grpc", command)
    bare = f"{setup.notes}/env/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", f"{setup.notes}/env"], check=True)
    assert_one_error(serve(setup, TIPC_PYTHON=bare), "has no paddle cv2")
    assert pip_calls(setup) == []
    assert not marker(setup).exists()


def test_the_script_for_an_environment_of_the_user(setup):
    script = ["bash", str(setup.tree / "test_tipc/install_serving.sh")]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: usage: bash test_tipc/install_serving.sh PYTHON [PIP_OPTION...] (see --help)\n"
    done = subprocess.run([*script, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Install Paddle Serving 0.9.0")
    environment = {
        **os.environ,
        "NOTES": str(setup.notes),
        "SERVING_SERVER": "paddle-serving-server-gpu==0.9.0.post112",
    }
    # pip gets what is there as constraints, without versions that it cannot read
    there = ["numpy==2.5.5", "torch==2.9.0+cu130", "x.y_z==1!2.0rc1.post2.dev3", "a-b==26.10.19.post1"]
    odd = ["distro-info==1.1build1", "-e git+https://host/x", "x @ file:///x", ""]
    (setup.notes / "installed").write_text("\n".join([*there, *odd]))
    command = [*script, str(setup.venv / "bin/python"), "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    plain, wheels, _ = pip_calls(setup)
    assert re.search(r" -q -c /dev/fd/\d+ grpcio aiohttp flask [a-zA-Z_ -]+$", plain)
    assert (setup.notes / "constraints").read_text().splitlines() == there
    assert "--no-deps paddle-serving-server-gpu==0.9.0.post112 paddle-serving-app==0.9.0" in wheels
    assert "-c " not in wheels
    assert all("AddSerializedFile" in text for text in messages(setup))


def test_an_exported_model_by_its_address(setup, tmp_path):
    """It is fetched and unpacked to the folder that is served; where it cannot be had, that is said."""
    archive = pack(tmp_path / "a.tar", "small_net_infer/", "small_net_infer/inference.pdmodel").read_bytes()
    config = tmp_path / "config.txt"
    folder = "--dirname:./deploy/models/small_net_infer/"
    config.write_text(re.sub("(?m)^--dirname:.*", folder, Path(CONFIG).read_text()))
    with FileServer(archive).running() as server:
        server.status, server.cuts = 404, 1
        run = setup.run(str(config), "serving_infer", TIPC_MIRROR=server.address)
        assert run.status == 0, run.err
        assert "error: cannot download" in run.err
        assert "note: ./deploy/models/small_net_infer/ could not be fetched; what the base chain exports is" in run.out
        run = setup.run(str(config), "serving_infer", TIPC_MIRROR=server.address)
        assert run.status == 0, run.err
        assert (setup.tree / "deploy/models/small_net_infer/inference.pdmodel").read_text() == "x"
        assert setup.run(str(config), "serving_infer", TIPC_MIRROR=server.address).err == ""
        assert len(server.requests) == 2
