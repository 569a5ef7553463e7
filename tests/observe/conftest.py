"""Small scripts that know nothing of the observer, run with it and without it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.helpers.scripts import LIMIT, ROOT

OBSERVER = ROOT / "test_tipc/lib/observe"


class Recording(NamedTuple):
    """What one script left: exit code, output as bytes, and the events of all its processes in order of their files."""

    status: int
    out: bytes
    err: bytes
    folder: Path
    events: list

    def of(self, event):
        return [entry for entry in self.events if entry["event"] == event]

    @property
    def calls(self):
        return self.of("call")

    @property
    def lost(self):
        return [entry["why"] for entry in self.of("lost")]

    def arrays(self, call):
        with np.load(self.folder / call["file"], allow_pickle=False) as kept:
            return dict(kept)


def read_events(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def run_script(place, script, *words, observed=True, flags=(), path=(), **environment):
    """Run `script` (text) in the folder `place`, recorded in `place`/recorded; `path`: more folders of PYTHONPATH."""
    place.mkdir(exist_ok=True)
    folder = place / "recorded"
    folder.mkdir(exist_ok=True)
    (place / "script.py").write_text(script)
    base = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TIPC_OBSERVE")}
    if observed:
        base["TIPC_OBSERVE"] = str(folder)
        path = (OBSERVER, *path)
    base.update(PYTHONPATH=os.pathsep.join(map(str, path)), CUDA_VISIBLE_DEVICES="", **environment)
    command = [sys.executable, *flags, "script.py", *map(str, words)]
    done = subprocess.run(command, cwd=place, env=base, capture_output=True, timeout=LIMIT)
    return Recording(done.returncode, done.stdout, done.stderr, folder, read_events(folder))


@pytest.fixture
def run(tmp_path):
    """`run(script, *words, observed=True, flags=(), path=(), **environment)` in a folder of this test."""

    def run_here(script, *words, place="run", **how):
        return run_script(tmp_path / place, script, *words, **how)

    return run_here
