"""deploy/paddleserving/systemd: systemd itself reads the unit, and what it starts is started here."""

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
import yaml

from tests.helpers.scripts import LIMIT, ROOT, run_process
from tests.helpers.service import LISTENING
from tests.helpers.shell import wait_for

UNIT = ROOT / "deploy/paddleserving/systemd/ppcls_lite@.service"
CONFIG = ROOT / "deploy/paddleserving/config.yml"
EXPOSURE = 25  # tenths: systemd calls up to 20 safe, and up to 50 medium


class Unit(configparser.RawConfigParser):
    """A unit's sections; of a key that is there twice, the last value."""

    def __init__(self, text):
        super().__init__(strict=False, delimiters="=", comment_prefixes="#", interpolation=None)
        self.optionxform = str
        self.read_string(text)


@pytest.fixture
def installed(tmp_path, converted):
    """A copy of the unit for the instance `digits`, with the folders of this test in place of those of the system."""
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/.venv").symlink_to(sys.prefix)
    (tmp_path / "opt/deploy").symlink_to(ROOT / "deploy")
    config = yaml.safe_load(CONFIG.read_text())
    config.update(http_port=0, rpc_port=0)
    operator = config["op"]["imagenet"]
    operator["inference_config"] = str(ROOT / "deploy/configs/inference_cls.yaml")
    operator["local_service_conf"]["model_config"] = str(converted)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/digits.yml").write_text(yaml.safe_dump(config))
    text = UNIT.read_text()
    assert text.count("/opt/ppcls_lite/") == 5
    text = text.replace("/opt/ppcls_lite", f"{tmp_path}/opt").replace("/etc/ppcls_lite", f"{tmp_path}/etc")
    path = tmp_path / "ppcls_lite@digits.service"
    path.write_text(text)
    return path


def analyze(*words):
    """(exit code, output) of systemd-analyze; skips where it is not installed."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (package systemd)")
    words = ["systemd-analyze", "--man=no", *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT)
    return done.returncode, done.stdout + done.stderr


def test_systemd_has_no_objection(installed):
    code, said = analyze("verify", installed)
    assert (code, [line for line in said.splitlines() if "ppcls_lite" in line]) == (0, [])


@pytest.mark.parametrize(
    ("text", "other", "said"),
    [
        ("TimeoutStopSec=30", "TimeoutStopSecs=30", "Unknown key"),
        ("TimeoutStopSec=30", "TimeoutStopSec=thirty", "Failed to parse"),
        ("/bin/kill -HUP", "/bin/kil -HUP", "not executable"),
        ("KillSignal=SIGTERM", "KillSignal=SIGTREM", "Failed to parse"),
    ],
)
def test_a_wrong_line_would_be_seen(installed, text, other, said):
    assert text in installed.read_text()
    installed.write_text(installed.read_text().replace(text, other))
    assert said in analyze("verify", installed)[1]


def test_what_it_may_do_is_little(installed):
    words = ["security", "--offline=true", f"--threshold={EXPOSURE}"]
    code, said = analyze(*words, installed)
    if "unrecognized option" in said:
        pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")
    assert code == 0, said
    for line in ("ProtectSystem=strict\n", "CapabilityBoundingSet=\n", "SystemCallFilter=@system-service\n"):
        installed.write_text(installed.read_text().replace(line, ""))
    assert analyze(*words, installed)[0] != 0


def words_of(path, key):
    """The words of a command in a unit, with its variables and its instance's name."""
    service = Unit(path.read_text())["Service"]
    return service[key].replace("${SCRIPT}", "classification_web_service.py").replace("%i", "digits").split()


def test_its_command_serves_and_ends_by_its_signal(installed, tmp_path):
    service = Unit(installed.read_text())["Service"]
    log = tmp_path / "log"
    with log.open("w") as stream:
        options = {"stdout": stream, "stderr": subprocess.STDOUT, "start_new_session": True}
        process = subprocess.Popen(words_of(installed, "ExecStart"), cwd=tmp_path, **options)
    try:
        wait_for(lambda: LISTENING.search(log.read_text()) or process.poll() is not None)
        assert LISTENING.search(log.read_text()), log.read_text()
        process.send_signal(getattr(signal, service["KillSignal"]))
        assert process.wait(LIMIT) == 0
        assert (tmp_path / "PipelineServingLogs").is_dir()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_its_check_refuses_a_wrong_config_and_no_other(installed, tmp_path):
    words = words_of(installed, "ExecStartPre")
    assert words[-1] == "--check"
    assert run_process(words[1], *words[2:], cwd=tmp_path).status == 0
    config = tmp_path / "etc/digits.yml"
    config.write_text(config.read_text().replace("grace_seconds", "grace_second"))
    wrong = run_process(words[1], *words[2:], cwd=tmp_path)
    assert wrong.status == 1
    assert "unknown section 'grace_second'" in wrong.err


def test_a_stop_has_longer_than_the_service_takes():
    service = Unit(UNIT.read_text())["Service"]
    grace = yaml.safe_load(CONFIG.read_text()).get("grace_seconds", 10)
    assert int(service["TimeoutStopSec"]) > grace
    assert f"grace_seconds ({grace})" in UNIT.read_text()


def test_every_file_that_it_names_is_there():
    for path in re.findall(r"/opt/ppcls_lite/(deploy/[\w./]+)", UNIT.read_text()):
        assert (ROOT / path).exists() or path.endswith("/"), path
