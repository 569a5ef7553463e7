"""Archives of data are unpacked whole or not at all, and never write outside their folder."""

import shutil
import signal
import subprocess
import sys
import tarfile

import pytest

from tests.helpers.preparation import GOOD, pack
from tests.helpers.scripts import LIMIT
from tests.helpers.shell import ROOT

UNPACK = ROOT / "test_tipc/lib/unpack.py"


def unpack(folder, *limits):
    """unpack.py in `folder`, for its lite_data.tar: (status, standard output, standard error)."""
    command = f"{' '.join(limits)} exec {sys.executable} {UNPACK} lite_data.tar lite_data"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=LIMIT)
    return done.returncode, done.stdout, done.stderr


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_good_archives(tmp_path, mode, prefix):
    pack(tmp_path / "lite_data.tar", *(prefix + name for name in GOOD), mode=mode)
    assert unpack(tmp_path) == (0, "unpacked lite_data.tar\n", "")
    names = ["lite_data", "lite_data.tar", "lite_data/train", "lite_data/train/a b.jpg", "lite_data/列表.txt"]
    assert everything_in(tmp_path) == names
    assert (tmp_path / "lite_data/列表.txt").read_text() == "x"
    assert (tmp_path / "lite_data/列表.txt").stat().st_mode & 0o700 == 0o600
    assert (tmp_path / "lite_data/train").stat().st_mode & 0o700 == 0o700


def test_folders_without_a_member_of_their_own_and_a_file_that_was_appended_again(tmp_path):
    pack(tmp_path / "lite_data.tar", ("lite_data/a/b", None, "old"))
    pack(tmp_path / "lite_data.tar", ("lite_data/a/b", None, "new"), mode="a")
    assert unpack(tmp_path)[0] == 0
    assert (tmp_path / "lite_data/a/b").read_text() == "new"


EVIL = {
    "parent": ("lite_data/../../x", "lies outside the folder"),
    "parent elsewhere": ("../x", "lies outside the folder"),
    "absolute": ("/tmp/x", "lies outside the folder"),
    "link": (("lite_data/x", tarfile.SYMTYPE, "/etc"), "is a link or a device"),
    "link elsewhere": (("other", tarfile.SYMTYPE, "lite_data"), "is a link or a device"),
    "hard link": (("lite_data/x", tarfile.LNKTYPE, "lite_data/train/a b.jpg"), "is a link or a device"),
    "device": (("lite_data/x", tarfile.CHRTYPE, ""), "is a link or a device"),
    "fifo": (("lite_data/x", tarfile.FIFOTYPE, ""), "is a link or a device"),
    "file and folder": ("lite_data/列表.txt/x", "'lite_data/列表.txt' is a file and a folder"),
}


@pytest.mark.parametrize("name", EVIL)
def test_evil_archives(tmp_path, name):
    member, why = EVIL[name]
    pack(tmp_path / "lite_data.tar", *GOOD, member)
    assert_refused(tmp_path, why)


def assert_refused(folder, *why):
    """One line of error, and nothing in the folder but the archive."""
    status, out, err = unpack(folder)
    assert (status, out) == (1, "")
    assert err.startswith("error: lite_data.tar: ")
    assert err.count("\n") == 1
    for text in why:
        assert text in err
    assert everything_in(folder) == ["lite_data.tar"]


def test_archives_without_such_a_folder(tmp_path):
    pack(tmp_path / "lite_data.tar", "lite_data", "other/x")
    assert_refused(tmp_path, "expected a folder lite_data in it, found a file of that name")
    pack(tmp_path / "lite_data.tar", "lite_data_2/x", "other/lite_data/x")
    assert_refused(tmp_path, "expected a folder lite_data in it, found none")
    pack(tmp_path / "lite_data.tar")
    assert_refused(tmp_path, "expected a folder lite_data in it, found none")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\0" * 100, bytes(range(256)) * 8], ids=range(4))
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "lite_data.tar").write_bytes(content)
    assert_refused(tmp_path, "not an archive that can be read")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_that_were_cut(tmp_path, mode):
    """At every place: in a header, in a file, between two members, in what the compression puts behind."""
    whole = pack(tmp_path / "whole.tar", *GOOD[:3], ("lite_data/b", None, "y" * 700), mode=mode).read_bytes()
    whole = whole[:5120] if mode == "w" else whole
    (tmp_path / "whole.tar").unlink()
    cuts = [512, 1000, 1024, 1536, 2040, 2048, 2500] if mode == "w" else [10, len(whole) // 2, len(whole) - 5]
    for cut in cuts:
        (tmp_path / "lite_data.tar").write_bytes(whole[:cut])
        assert_refused(tmp_path, "not an archive that can be read")


def test_a_damaged_header_is_not_the_end(tmp_path):
    data = bytearray(pack(tmp_path / "lite_data.tar", *GOOD).read_bytes())
    data[2 * 512 + 3] ^= 1
    (tmp_path / "lite_data.tar").write_bytes(data)
    assert_refused(tmp_path, "not an archive that can be read")


def test_a_disk_that_is_full(tmp_path):
    pack(tmp_path / "lite_data.tar", *GOOD, ("lite_data/large", None, "z" * 5000), mode="w:gz")
    assert unpack(tmp_path, "ulimit -f 1;") == (1, "", "error: lite_data: cannot be written (File too large)\n")
    assert everything_in(tmp_path) == ["lite_data.tar"]


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_what_is_there_already_is_left_alone(tmp_path, kind):
    pack(tmp_path / "lite_data.tar", *GOOD)
    if kind == "folder":
        (tmp_path / "lite_data").mkdir()
    elif kind == "file":
        (tmp_path / "lite_data").write_text("mine")
    else:
        (tmp_path / "lite_data").symlink_to("/no/such/folder")
    assert unpack(tmp_path) == (0, "", "")
    assert everything_in(tmp_path) == ["lite_data", "lite_data.tar"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_kill_leaves_nothing_half_unpacked(tmp_path, number):
    members = [f"lite_data/{index}" for index in range(3000)]
    pack(tmp_path / "lite_data.tar", *members)
    fresh = tmp_path / ".lite_data.unpacking"
    command = [sys.executable, str(UNPACK), "lite_data.tar", "lite_data"]
    for _ in range(20):  # a busy machine may wake this process up when all is unpacked
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while not fresh.exists() and process.poll() is None:
                pass
            process.send_signal(number)
            process.communicate(timeout=LIMIT)
        if process.returncode:
            break
        shutil.rmtree(tmp_path / "lite_data")
    assert process.returncode, "it was never killed in time"
    assert not (tmp_path / "lite_data").exists()
    assert fresh.exists() == (number == signal.SIGKILL)
    assert unpack(tmp_path)[0] == 0
    assert everything_in(tmp_path) == sorted(["lite_data", "lite_data.tar", *members])
