"""Temporary folders: gone with their process, and after a kill gone with the next one."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
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


def test_what_is_no_folder_of_ours_stays(place):
    (place / f"{scratch.PREFIX}textfile").touch()
    for name in ("other", "ppcls_lite.git", "ppcls_lite.scratch.notes"):
        (place / name).mkdir()
        os.utime(place / name, (time.time() - 100,) * 2)
    (place / f"{scratch.PREFIX}linklink").symlink_to(place / "other")
    before = sorted(place.iterdir())
    with ScratchFolder():
        pass
    assert sorted(place.iterdir()) == before


def test_many_at_once_take_no_folder_from_each_other(place):
    """A folder that was just made is not locked yet, and may be taken for an abandoned one: then another is made."""
    faults = []

    def work():
        for _ in range(50):
            with ScratchFolder() as folder:
                if not os.path.isdir(folder):
                    faults.append(folder)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list(place.iterdir()) == []
