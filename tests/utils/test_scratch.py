"""Temporary folders: gone with their process, and after a kill gone with the next one."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from ppcls_lite.utils import scratch
from ppcls_lite.utils.scratch import ScratchFolder
from tests.helpers.scripts import LIMIT, with_library

HOLD = "import time\nfrom ppcls_lite.utils.scratch import ScratchFolder\n"
HOLD += "folder = ScratchFolder()\nprint(folder.name, flush=True)\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The system's temporary folder of this test and of the processes that it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(scratch, "_NEW", -1)
    return tmp_path


def start(ending):
    command = [sys.executable, "-c", HOLD + ending]
    process = subprocess.Popen(command, env=with_library(), stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def test_it_goes_with_its_block_and_with_its_process(place):
    with ScratchFolder() as folder:
        assert os.path.isdir(folder)
    process, name = start("")
    assert process.wait(LIMIT) == 0
    assert name
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_left_goes_with_the_next(place, number):
    process, name = start("time.sleep(1000)")
    with ScratchFolder():
        assert os.path.isdir(name)  # its process lives
    process.send_signal(number)
    process.wait(LIMIT)
    with open(os.path.join(name, "part"), "w") as stream:
        stream.write("half a model")
    with ScratchFolder() as folder:
        assert [str(path) for path in place.iterdir()] == [folder]


def test_what_is_no_folder_of_ours_stays(place, monkeypatch):
    (place / f"{scratch.PREFIX}textfile").touch()
    for name in ("other", "ppcls_lite.git", "ppcls_lite.scratch.notes"):
        (place / name).mkdir()
        os.utime(place / name, (time.time() - 100,) * 2)
    (place / f"{scratch.PREFIX}linklink").symlink_to(place / "other")
    fresh = place / f"{scratch.PREFIX}fresh123"
    fresh.mkdir()  # just made, and not locked yet
    monkeypatch.setattr(scratch, "_NEW", 60)
    before = sorted(place.iterdir())
    with ScratchFolder():
        pass
    assert sorted(place.iterdir()) == before
    os.utime(fresh, (time.time() - 100,) * 2)
    with ScratchFolder():
        pass
    assert not fresh.exists()
    assert {path.name for path in before} - {path.name for path in place.iterdir()} == {fresh.name}
