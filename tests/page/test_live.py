"""On a terminal a running step has one line; elsewhere all output is as it ever was, and nothing is left behind."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from steps import read_steps
from tests.helpers.scripts import LIMIT, ROOT

SCRIPT = r"""
set -uo pipefail
source "$TOOL/common_func.sh"
main() {
    parse_options --verbose -- "$@"
    RUN[model]=m RUN[mode]=x RUN[python]=python3 RUN[versions]=v RUN[commit]=c RUN[tool]=t
    ROOT=/tmp
    open_output "$FOLDER"
    start_record "$FOLDER/results.log"
    run_step train "$FOLDER/train.log" . bash -c "$PROGRAM"
    skip_step 'infer gpu' 'no GPU'
    run_step predict "$FOLDER/predict.log" . bash -c 'echo one; echo "error: it broke" >&2; exit 3'
    echo end
}
main "$@"
"""
LINES = r"""for i in 1 2 3 4; do
    printf '[2026/11/26 07:45:01] ppcls_lite INFO: \033[31m[Epoch %d/4]\033[0m 损失 loss: 1.5%d' $i $i
    printf ', and more words than fit\n'
    sleep 0.35
done"""
CLEARED = "\r\x1b[K"


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "chain.sh"
    path.write_text(SCRIPT)
    return path


class Terminal:
    """A script on a terminal of its own, which is its controlling one: Ctrl-C reaches it as from a keyboard."""

    def __init__(self, script, *words, program=LINES, columns=60, **environment):
        self.folder, self.sent = script.parent / "out", b""
        usual = {"TOOL": str(ROOT / "test_tipc"), "FOLDER": str(self.folder), "PROGRAM": program, "LC_ALL": "C.UTF-8"}
        usual.update({"TERM": "xterm", "TIPC_LIVE_TEST": str(self.folder), **environment})
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            # the leader of the session is a shell, as ever
            command = ["bash", "-c", 'bash "$@"; exit $?', "bash", str(script), *words]
            os.execvpe("bash", command, {**kept, **usual})

    def read(self, until=None):
        """What was sent, up to the words `until`, or to the end."""
        while until is None or until.encode() not in self.sent:
            try:
                part = os.read(self.screen, 1 << 16)
            except OSError:  # Linux says so when the last process has closed the terminal
                break
            if not part:
                break
            self.sent += part
        return self.sent.decode(errors="replace")

    def end(self):
        """The exit code, or minus the signal that ended it."""
        self.read()
        os.close(self.screen)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def shown(sent):
    """The lines that stay on the screen, without colours."""
    lines = [line.rpartition(CLEARED)[2].rstrip("\r") for line in sent.split("\n")]
    return [re.sub(r"\x1b\[\d+m", "", line) for line in lines if line]


def live(sent):
    """The texts of the live lines, in their order."""
    return [text.split("\r\n")[0] for text in sent.split(CLEARED)[1:]]


def width(text):
    return sum(1 if ord(sign) < 128 else 2 for sign in text)


def test_one_live_line_and_one_that_stays(script):
    terminal = Terminal(script)
    sent = terminal.read()
    assert terminal.end() == 0
    assert "==== train" not in sent
    drawn = [line for line in live(sent) if line.startswith("train  ")]
    assert len(drawn) >= 3
    assert re.match(r"train  [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] \d s  loss: 1\.5\d  \[Epoch \d/4\] 损失 ", drawn[-1])
    assert len({line[7] for line in drawn}) >= 3, "it turns"
    lines = shown(sent)
    assert re.fullmatch(r"passed   train  \d\.\d s  train\.log", lines[0])
    assert lines[1] == "skipped  infer gpu  0.0 s  no GPU"
    assert re.fullmatch(r"failed   predict  \d\.\d s  predict\.log  exit code 3: it broke", lines[2])
    assert lines[3] == f"The last lines of {terminal.folder}/predict.log:"
    assert "    error: it broke" in lines
    assert lines[-1] == "end"
    assert "\x1b[?25l" not in sent, "the cursor stays"


def test_the_log_has_everything(script):
    assert Terminal(script).end() == 0
    piped = run(script, script.parent / "piped")
    ours, theirs = ((script.parent / name / "train.log").read_text() for name in ("out", "piped"))
    hide = re.compile(r"(# (?:started|ended): ).*|\S*/(?:out|piped)\b")
    assert hide.sub(r"\1", ours) == hide.sub(r"\1", theirs)
    assert (ours.count("损失 loss: 1.5"), piped.stdout.count("损失 loss: 1.5")) == (5, 6)  # the command has it, too


@pytest.mark.parametrize("columns", [10, 24, 60, 200])
def test_it_fits_the_width(script, columns):
    terminal = Terminal(script, columns=columns)
    sent = terminal.read()
    terminal.end()
    drawn = [line for line in live(sent) if re.match(r"train  [⠋-⣿]", line)]
    assert drawn
    assert all(width(line) < columns for line in drawn)


@pytest.mark.parametrize(
    ("words", "environment"), [(["--verbose"], {}), ([], {"TERM": "dumb"}), ([], {"CI": "true"}), ([], {"TERM": ""})]
)
def test_all_output_is_shown_where_it_is_wanted(script, words, environment):
    terminal = Terminal(script, *words, program="echo loss: 1.5", **environment)
    sent = terminal.read()
    assert terminal.end() == 0
    assert CLEARED not in sent
    assert "\r\n==== train ====\r\n# command: bash -c " in sent
    assert "\r\nloss: 1.5\r\n" in sent
    assert "Run successfully with command - m" in sent
    assert "==== infer gpu: skipped (no GPU) ====" in sent


def test_without_colour_and_without_utf_8(script):
    terminal = Terminal(script, NO_COLOR="1", LC_ALL="C")
    sent = terminal.read()
    terminal.end()
    assert not re.search(r"\x1b\[\d", "".join(sent.split("The last lines")[0]))
    assert any(re.match(r"train  [|/\\-] \d s", line) for line in live(sent))


def test_a_pipe_has_what_it_always_had(script):
    done = run(script, script.parent / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert CLEARED not in done.stdout
    begin, middle, end = done.stdout.partition("\n==== infer gpu: skipped (no GPU) ====\n")
    assert begin.startswith("\n==== train ====\n# command: bash -c ")
    assert begin.endswith(f" - {script.parent}/out/train.log ! \x1b[0m\n")
    assert middle
    assert end.endswith("\nend\n")
    assert "passed   train" not in done.stdout


@pytest.mark.parametrize(
    ("how", "status"), [("key", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, 137)]
)
def test_no_process_is_left_behind(script, how, status):
    terminal = Terminal(script, program="echo begun; sleep 60")
    terminal.read(until="s  begun")
    if how == "key":
        os.write(terminal.screen, b"\x03")
    else:
        os.kill(int(os.readlink(f"{terminal.folder}.lock").split(".")[0]), how)
    assert terminal.end() == status
    wait_until_nothing_runs(terminal.folder)
    sent = terminal.sent.decode()
    if how == signal.SIGKILL:
        return
    assert "interrupted: ending what was started" in shown(sent)
    assert CLEARED not in sent.rpartition("interrupted")[2]
    assert [step.result for step in read_steps(terminal.folder / "steps.tsv")] == ["failed"]


def test_ctrl_c_ends_every_one_of_many(tmp_path):
    """A trap that waits for a process while bash waits for the step hangs once in a while; seen in 7 of 48 runs."""
    terminals = []
    for number in range(8):
        path = tmp_path / str(number) / "chain.sh"
        path.parent.mkdir()
        path.write_text(SCRIPT)
        terminals.append(Terminal(path, program="echo begun; sleep 60"))
    for terminal in terminals:
        terminal.read(until="s  begun")
        os.write(terminal.screen, b"\x03")
    end = time.monotonic() + 30
    for terminal in terminals:
        while os.waitpid(terminal.pid, os.WNOHANG)[0] == 0:
            assert time.monotonic() < end, terminal.sent
            time.sleep(0.1)
        os.close(terminal.screen)


def wait_until_nothing_runs(folder):
    """Until no process has the test's mark in its environment any more, for ten seconds at most."""
    mark, end = f"TIPC_LIVE_TEST={folder}".encode(), time.monotonic() + 10
    while True:
        left = [path for path in Path("/proc").glob("[0-9]*/environ") if mark in read_bytes(path)]
        if not left:
            return
        assert time.monotonic() < end, [read_bytes(path.with_name("cmdline")) for path in left]
        time.sleep(0.2)


def read_bytes(path):
    try:
        return path.read_bytes().replace(b"\0", b"\n")
    except OSError:
        return b""


def run(script, folder):
    environment = {**os.environ, "TOOL": str(ROOT / "test_tipc"), "FOLDER": str(folder), "PROGRAM": LINES}
    command = ["bash", str(script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
