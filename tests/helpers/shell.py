"""Ground for the tests of the shell code: a copy of the repository to run in, configs, and programs for their steps."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from steps import read_steps
from tests.helpers.scripts import FIXTURES, LIMIT, ROOT

CONFIGS = FIXTURES / "tipc"
OFFICIAL = CONFIGS / "official"  # of the official suites, with an archive of all
DRIVER = "test_tipc/test_train_inference_python.sh"
MODE = "lite_train_lite_infer"

# Each program notes its arguments, folder and step mark, so that a test sees what it was really given.
NOTE = """
import json, os, sys, time, signal, subprocess
from pathlib import Path
name = Path(__file__).stem
with open(Path(__file__).with_name("calls"), "a") as stream:
    print(json.dumps([name, sys.argv[1:], os.getcwd(), sys.stdin.read()]), file=stream)
options = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
"""
PROGRAMS = {
    "train": """
folder = Path(options.get("Global.output_dir") or options.get("--output-dir"))
folder.mkdir(parents=True, exist_ok=True)
(folder / "latest.pdparams").write_bytes(b"weights")
cost = "avg_reader_cost: 0.1 sec, avg_batch_cost: 0.1 sec, avg_samples: 8, avg_ips: 80.0 images/sec"
print(f"[Train][Epoch 1/1][Iter: 1/1]loss: 0.12345, {cost}")
""",
    "eval": "print('top1: 0.5')",
    "export": """
folder = Path(options.get("Global.save_inference_dir") or options["--save-inference-dir"])
folder.mkdir(parents=True, exist_ok=True)
(folder / "inference.pdmodel").write_text(str(time.time()))
""",
    "infer": "print('class id(s): [1]')",
}


class Run(NamedTuple):
    """How a script ended, and the folder of its output."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def steps(self):
        """[(name, result, reason)] of the steps that the run recorded."""
        return [(step.name, step.result, step.reason) for step in read_steps(self.folder / "steps.tsv")]

    @property
    def results(self):
        """{name: result}"""
        return {name: result for name, result, _ in self.steps}

    @property
    def logs(self):
        return sorted(path.name for path in self.folder.glob("*.log"))


def copy_tree(folder):
    """A checkout without its data's weight, in a folder whose name has a blank: what the scripts need, and no more."""
    tree = folder / "a b"
    tree.mkdir()
    for name in ("test_tipc", "tools", "ppcls_lite", "deploy"):
        ignored = shutil.ignore_patterns("__pycache__", "output")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("lite_data", "test_images"):
        (tree / name).symlink_to(ROOT / name)
    for name in ("requirements.txt", "requirements-serving.txt"):
        shutil.copy(ROOT / name, tree)
    return tree


class Chain:
    """A config whose steps are small programs in a folder of the test, and the driver that runs it."""

    def __init__(self, tree, folder, dialect="paddleclas"):
        self.tree, self.folder = tree, folder
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name, body in PROGRAMS.items():
            self.program(name, body)
        self.text = (CONFIGS / f"{dialect}.txt").read_text().replace("PROGRAMS", str(self.programs))
        self.path = folder / "train_infer_python.txt"

    def program(self, name, body):
        """Replace the program of a step."""
        (self.programs / f"{name}.py").write_text(NOTE + body)

    def set(self, key, value):
        """Give the first line of that key another value."""
        lines = self.text.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith(key + ":"))
        lines[at] = f"{key}:{value}"
        self.text = "\n".join(lines) + "\n"
        return self

    def output(self, mode=MODE):
        return self.folder / "output" / "small_net" / mode

    def command(self, *options, mode=MODE, config=None):
        self.path.write_text(self.text)
        script = str(self.tree / "test_tipc/test_train_inference_python.sh")
        return ["bash", script, str(config or self.path), mode, *options]

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TIPC_")}
        return {**kept, "TIPC_PYTHON": sys.executable, "TIPC_OUTPUT": str(self.folder / "output"), **more}

    def run(self, *options, mode=MODE, config=None, cwd=None, **environment):
        typed = self.folder / "typed"
        typed.write_text("what no step may read\n")
        with typed.open() as keyboard:
            process = subprocess.Popen(
                self.command(*options, mode=mode, config=config),
                cwd=cwd or self.tree,
                env=self.environment(**environment),
                stdin=keyboard,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            return self.finish(process, mode)

    def start(self, *options, mode=MODE, **environment):
        """The driver in a process group of its own, as a terminal starts it; see `finish`."""
        return subprocess.Popen(
            self.command(*options, mode=mode),
            cwd=self.tree,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def finish(self, process, mode=MODE):
        out, err = process.communicate(timeout=LIMIT)
        return Run(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"), self.output(mode))

    def calls(self, name=None):
        """[(program, arguments, folder, standard input)] in the order in which they were run."""
        path = self.programs / "calls"
        calls = [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
        return [call for call in calls if name in (None, call[0])]

    def arguments(self, name):
        """Of the only call of a program."""
        (call,) = self.calls(name)
        return call[1]


def bash(text, *arguments, tree=ROOT, **environment):
    """Run text in a bash that has sourced common_func.sh and train_config.sh; arguments are its $1, $2, …"""
    source = 'set -uo pipefail; source "$0/test_tipc/common_func.sh"; source "$0/test_tipc/lib/train_config.sh"\n'
    source += "RUN[mode]=${MODE:-none}\n"
    done = subprocess.run(
        ["bash", "-c", source + text, str(tree), *map(str, arguments)],
        env={key: value for key, value in {**os.environ, **environment}.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
    )
    return Run(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), None)


def dry_run(config, mode=MODE, *options, tree=ROOT, **environment):
    """What `--dry_run` prints, and how it ended."""
    return bash(
        f'bash "$0/{DRIVER}" "$@" --dry_run',
        config,
        mode,
        *options,
        tree=tree,
        CUDA_VISIBLE_DEVICES=None,
        **environment,
    )


def wait_for(condition, seconds=LIMIT):
    """Whether `condition()` became true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_running(pid):
    """Whether the process lives; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_one_error(run, *expected):
    """One line on standard error, which holds the expected texts; exit status 1."""
    assert run.status == 1, run
    assert run.err.count("\n") == 1, run.err
    assert run.err.startswith("error: ")
    for text in expected:
        assert text in run.err
