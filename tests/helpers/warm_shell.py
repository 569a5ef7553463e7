"""Bash in which `python SCRIPT` starts at once: a process that has imported Paddle forks for each script.

A script has its words, folder, environment, streams and exit code, as one that is started by itself. What starts no
script, such as `python -c`, is run by the interpreter.

    python -m tests.helpers.warm_shell SOCKET       the process that forks
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.helpers.scripts import LIMIT, ROOT, with_library

# what is called instead of `python`: its words and streams go to the process with Paddle, the exit code comes back
CALL = """
import json, os, socket, sys
at, python, *words = sys.argv[1:]
if not (words and words[0].endswith(".py")) and words[:2] != ["-m", "ppcls_lite"]:
    os.execv(python, [python, *words])
with socket.socket(socket.AF_UNIX) as server:
    server.connect(at)
    socket.send_fds(server, [b"0"], [0, 1, 2])
    server.sendall(json.dumps([words, os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    answer = server.makefile().read()
sys.exit(int(answer or 1))
"""


class WarmShell:
    """`run(text, folder)` runs a text in bash; a context manager. `programs` is the folder with its `python`."""

    def __init__(self, folder):
        self.socket, self.programs = Path(folder) / "socket", Path(folder) / "programs"

    def __enter__(self):
        self.programs.mkdir()
        (self.programs / "call.py").write_text(CALL)
        for name in ("python", "python3"):
            words = f'-S -E "{self.programs}/call.py" "{self.socket}" "{sys.executable}"'
            (self.programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            (self.programs / name).chmod(0o755)
        kept = {key: value for key, value in with_library().items() if not key.startswith("TIPC_")}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.helpers.warm_shell", str(self.socket)],
            env={**kept, "OMP_NUM_THREADS": "1", "FLAGS_enable_pir_api": "0"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(LIMIT)
        self.process.stdout.close()

    def run(self, text, folder):
        """The completed process of a text, without TIPC_PYTHON's like, in `folder`."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TIPC_", "FLAGS_"))}
        environment = {
            **kept,
            "PATH": f"{self.programs}{os.pathsep}{kept['PATH']}",
            "TIPC_PYTHON": sys.executable,
            "CUDA_VISIBLE_DEVICES": "",
        }
        return subprocess.run(
            ["bash", "-c", text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )


def serve(at):
    """Fork for each call until SIGTERM."""
    import cv2  # noqa: F401
    import paddle.inference  # noqa: F401
    import yaml  # noqa: F401

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(at)
        server.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children that wait for a script
        while True:
            call, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(call)
            call.close()


def _answer(call):
    """Run the script of one call in a further process, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, *_ = socket.recv_fds(call, 1, 3)
    words, folder, environment = json.loads(call.makefile().read())
    child = os.fork()
    if child == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        _run(words)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    call.sendall(str(os.waitstatus_to_exitcode(status) & 255).encode())
    os._exit(0)


def _run(words):
    module = words[1] if words[0] == "-m" else None
    sys.argv = words[1:] if module else words
    if module:
        sys.path[0] = os.getcwd()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(words[0]))
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
