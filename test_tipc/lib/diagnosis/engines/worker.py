"""A child process that runs the exported model: a crash within an engine ends it, and not the diagnosis.

One child serves many requests, since Paddle's import takes a second; after a crash, or an answer that does not come in
time, the next request starts another one. It holds one predictor at a time, and ends behind an engine that keeps more.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diagnosis.engines.worker_child import RAN

LIMIT = 300  # seconds that an answer may take: the largest networks load and run in a tenth of it
_PATIENCE = 10  # seconds that a process may take to end
_CHILD = Path(__file__).with_name("worker_child.py")


class EngineError(Exception):
    """The engine gave no outputs: `cause` is `crash`, `timeout` or `refused`, the message says it in words.

    `passes` are the IR passes that had begun before a crash.
    """

    def __init__(self, cause, words, passes=()):
        super().__init__(words)
        self.cause, self.passes = cause, list(passes)


class Answer(NamedTuple):
    """`outputs` are those of each sample, a list of arrays in the model's order; `passes` the IR passes that ran."""

    outputs: list
    passes: list


class Worker:
    """Runs the `Exported` model with any `Settings`; `close()` ends the child, as the end of a `with` does.

    `starts` is the number of children so far, `pid` that of the running one, or None.
    """

    def __init__(self, exported, limit=LIMIT):
        self.exported, self.limit, self.starts = exported, limit, 0
        self._child, self._rest = None, b""
        self._folder = tempfile.TemporaryDirectory(prefix="engines_")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def folder(self):
        """A temporary folder that `close()` removes."""
        return self._folder.name

    @property
    def pid(self):
        return self._child and self._child.pid

    def run(self, settings, samples):
        """The `Answer` for a list of samples, each an array for every input; EngineError where there is none."""
        names = [[f"{row}_{place}" for place in range(len(arrays))] for row, arrays in enumerate(samples)]
        inputs, outputs = self._path("inputs.npz"), self._path("outputs.npz")
        arrays = (np.ascontiguousarray(array) for sample in samples for array in sample)
        np.savez(inputs, **dict(zip((name for row in names for name in row), arrays)))
        feeds = [feed.name for feed in self.exported.feeds]
        answer = self._ask(settings, inputs=inputs, names=names, outputs=outputs, feeds=feeds)
        with np.load(outputs, allow_pickle=False) as stored:
            found = [[stored[f"{row}_{place}"] for place in range(count)] for row, count in enumerate(answer["counts"])]
        os.unlink(outputs)
        if settings.openvino:  # it keeps all that it loaded: 300 MB for each predictor of ResNet50_vd
            self._end()
        return Answer(found, list(dict.fromkeys(answer["passes"])))

    def listed(self, settings):
        """The names of the IR passes that Paddle lists for settings, most of which find nothing to do in a network."""
        return list(dict.fromkeys(self._ask(settings)["listed"]))

    def close(self):
        """End the child and remove its files."""
        self._end()
        self._folder.cleanup()

    def _path(self, name):
        return os.path.join(self._folder.name, name)

    def _ask(self, settings, **request):
        request["settings"] = asdict(settings)
        if self._child is None:
            self._start()
        try:
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:  # it ended since the last answer
            raise self._crashed() from None
        line = self._line(time.monotonic() + self.limit)
        if line is None:
            self._end()
            raise EngineError("timeout", f"the engine gave no answer within {self.limit:g} seconds")
        if not line:
            raise self._crashed()
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError("refused", answer["error"])
        return answer

    def _line(self, until):
        """The next line of the child; b"" where it ended, None where none comes in time."""
        file = self._child.stdout.fileno()
        while b"\n" not in self._rest:
            ready, _, _ = select.select([file], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            part = os.read(file, 1 << 16)
            if not part:
                return b""
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _start(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TIPC_OBSERVE")}
        environment.update(GLOG_v="0", GLOG_minloglevel="0", GLOG_logtostderr="1", PYTHONWARNINGS="ignore")
        model = [str(self.exported.structure), str(self.exported.params)]
        self._child = subprocess.Popen(
            [sys.executable, str(_CHILD), *model, self._path("said")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        self._rest, self.starts = b"", self.starts + 1

    def _crashed(self):
        """The EngineError of a child that ended by itself."""
        status = self._end(kill=False)
        said = Path(self._path("said"))
        ran = dict.fromkeys(RAN.findall(said.read_text(errors="replace")) if said.is_file() else ())
        if status >= 0:
            return EngineError("crash", f"the engine ended its process with exit code {status}", ran)
        known = {one.value: f" ({one.name})" for one in signal.Signals}
        return EngineError("crash", f"the engine crashed with signal {-status}{known.get(-status, '')}", ran)

    def _end(self, kill=True):
        """End the child and wait for it, so that no zombie stays; its exit status."""
        child, self._child = self._child, None
        if child is None:
            return 0
        if kill:
            child.kill()
        with contextlib.suppress(BrokenPipeError):  # a part of a request may wait in it
            child.stdin.close()
        child.stdout.close()
        try:
            return child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # it closed its pipe, and lives on
            child.kill()
            return child.wait()
