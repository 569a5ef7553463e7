"""tools/train.py on a terminal: one line for each epoch there, and the log's lines in the file, as ever."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import paddle
import pytest

from ppcls_lite.train import progress
from ppcls_lite.utils.log import setup_logging
from tests.helpers.scripts import LIMIT, ROOT

BAR = re.compile(r"Epoch (\d+)/2 +(\d+)%\|")


def on_terminal(command, columns):
    """(exit code, all that a terminal of that width was sent)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        sent = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # Linux says so when the last process has closed the terminal
                break
            if not part:
                break
            sent += part
        status = process.wait(LIMIT)
    os.close(ours)
    return status, sent.decode().replace("\r\n", "\n")


def seen(sent, columns):
    """The lines that stay on the screen: after a carriage return, a text is written over."""
    lines = []
    for line in sent.split("\n"):
        shown = ""
        for text in line.split("\r"):
            shown = text + shown[len(text) :]
        lines.append(shown.replace("\x1b[A", "").rstrip())
        assert all(len(text) <= columns for text in line.split("\r") if BAR.match(text))
    return lines


@pytest.fixture
def command(config, write_config):
    config["Global"].update(epochs=2, print_batch_step=2)
    config["DataLoader"]["Eval"]["sampler"]["drop_last"] = True  # a warning between two lines
    return [sys.executable, str(ROOT / "tools/train.py"), "-c", str(write_config(config))]


@pytest.mark.parametrize("columns", [120, 40])
def test_a_terminal_has_one_line_for_each_epoch(command, tmp_path, columns):
    status, sent = on_terminal(command, columns)
    assert status == 0, sent
    lines = seen(sent, columns)
    bars = [line for line in lines if BAR.search(line)]
    assert [BAR.search(line).groups() for line in bars] == [("1", "100"), ("2", "100")]
    assert all(line.startswith("Epoch ") for line in bars)
    if columns == 120:
        assert all(re.search(r" 4/4 \[.*loss \d+\.\d{4}, \d+\.\d images/s, eta 0:0", line) for line in bars)
    assert not any("[Train]" in line for line in lines)
    assert sum("[Eval][Epoch " in line for line in lines) == 2
    log = (tmp_path / "out/log_train.txt").read_text()
    assert log.count("[Train][Epoch") == 4
    assert "100%" not in log


def test_an_error_has_a_line_of_its_own(command, tmp_path):
    status, sent = on_terminal(
        [*command, "-o", "Optimizer.lr.learning_rate=1e30", "-o", "Optimizer.lr.warmup_epoch=0"], 100
    )
    assert status == 1
    (error,) = [line for line in seen(sent, 100) if "error: " in line]
    assert error.startswith("error: the loss ")


def test_a_pipe_has_the_lines_of_the_log(command, tmp_path):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.stdout == (tmp_path / "out/log_train.txt").read_text()
    assert done.stdout.count("[Train][Epoch") == 4
    assert "\r" not in done.stdout + done.stderr


def test_the_time_left_of_a_resumed_training_counts_its_own_steps(monkeypatch, capsys):
    """From its second epoch of three on: 6 steps are left after the first two, of 2 seconds each."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    setup_logging()
    shown = progress.Progress(steps_per_epoch=4, epochs=3, every=2)
    shown.start()
    for step in range(2):
        shown.data_ready()
        clock.now += 2.0
        shown.step_done(2, step, 0.1, {"loss": paddle.to_tensor(1.0)}, 8)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("avg_ips: 4.00000 images/sec, eta: 0:00:12")
