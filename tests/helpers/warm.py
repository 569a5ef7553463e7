"""Run many Paddle scripts quickly: a process that has imported Paddle forks once per script.

Everything else is as for a script that is started by itself: its arguments, folder, environment, output and exit code;
with TIPC_OBSERVE in the environment it is observed. Models are exported as `.pdmodel`: Paddle's import decides it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.scripts import LIMIT, ROOT

OBSERVER = ROOT / "test_tipc/lib/observe"
SERVER = """
import json, os, runpy, sys, traceback
import cv2, numpy, yaml
import paddle, paddle.inference
import PIL.Image
observer = sys.argv[1]
for line in sys.stdin:
    task = json.loads(line)
    child = os.fork()
    if child == 0:
        log = os.open(task["log"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        for number in (1, 2):
            os.dup2(log, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(task["folder"])
        os.environ.update(task["environment"])
        sys.argv = task["words"]
        if "TIPC_OBSERVE" in os.environ:
            sys.path.insert(0, observer)
            import tipc_observe
            sys.path.pop(0)
            tipc_observe.watch()
        sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    print("ended", os.waitstatus_to_exitcode(status), flush=True)
"""


class Warm:
    """`run(words, folder, log)` runs a script; a context manager."""

    def __enter__(self):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TIPC_")}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER, str(OBSERVER)],
            env={**kept, "OMP_NUM_THREADS": "1", "FLAGS_enable_pir_api": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(LIMIT)

    def run(self, words, folder, log, **environment):
        """The exit code of the script `words[0]`, run in `folder`; its output is in the file `log`."""
        task = {"words": list(map(str, words)), "folder": str(folder), "log": str(log), "environment": environment}
        print(json.dumps(task), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("ended "):
                return int(line.split()[1])
        raise AssertionError("the process with Paddle has died")

    def observe(self, words, folder, log, deep=False):
        """The same, observed, or observed deeply: the folder of the recording, beside the log."""
        recorded = Path(f"{log}_observed")
        recorded.mkdir()
        status = self.run(words, folder, log, TIPC_OBSERVE=str(recorded), TIPC_OBSERVE_DEEP=str(int(deep)))
        assert status == 0, Path(log).read_text()
        return recorded
