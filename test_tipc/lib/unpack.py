"""Unpack a project's archive of data, whole or not at all, and nothing outside the folder that it makes.

    python test_tipc/lib/unpack.py test_images/lite_data.tar lite_data

The archive must hold the folder `lite_data`; other members are left out. A member with an absolute path or `..`, a
link, or anything but files and folders is refused before anything is written. A folder that is there already is left
alone. What a killed run has left is removed; two runs at once are not for this script (prepare.sh holds a lock).
Exit code: 0 unpacked, 1 not (one line says why).
"""

import argparse
import os
import shutil
import signal
import sys
import tarfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from script import UserError, run_main

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without xz
    LZMAError = EOFError

LARGEST = 20 << 30  # bytes in all
UNREADABLE = (tarfile.TarError, EOFError, ValueError, zlib.error, LZMAError)


def members_of(archive, folder, name):
    """{path: member} of what lies below `folder`; of members with the same path the last one, as tar has it.

    UserError at the first one that must not be unpacked, or if the archive is not whole.
    """
    kept, size = {}, 0
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{name}: {member.name!r:.200} lies outside the folder: expected relative paths")
        if not (member.isfile() or member.isdir()):
            raise UserError(f"{name}: {member.name!r:.200} is a link or a device: expected files and folders")
        size += member.size
        if size > LARGEST:
            raise UserError(f"{name}: it holds more than {LARGEST >> 30} GB")
        if path.parts[:1] == (folder,):
            kept.pop(path, None)
            kept[path] = member
    check_end(archive)
    check_tree(kept, folder, name)
    return kept


def check_end(archive):
    """tarfile takes a damaged header, and a cut between two members, for the end, which is a block of zeros."""
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is damaged or cut off")
    while archive.fileobj.read(1 << 20):  # so that a check sum behind compressed data is looked at
        pass


def check_tree(kept, folder, name):
    """UserError unless there is such a folder, and no file is a folder of another member too."""
    files = {path for path, member in kept.items() if not member.isdir()}
    if PurePosixPath(folder) in files:
        raise UserError(f"{name}: expected a folder {folder} in it, found a file of that name")
    if not kept:
        raise UserError(f"{name}: expected a folder {folder} in it, found none")
    for path in kept:
        for parent in path.parents:
            if parent in files:
                raise UserError(f"{name}: {str(parent)!r:.200} is a file and a folder")


def unpack(name, folder, where="."):
    """Unpack the folder `folder` of the archive `name` into the folder `where`, in one move at the end."""
    fresh = Path(where, f".{folder}.unpacking")
    with reading(name), tarfile.open(name) as archive:
        members = members_of(archive, folder, name)
        with new_folder(fresh, folder):
            for path, member in members.items():
                _write(archive, member, fresh / path)
            os.rename(fresh / folder, Path(where, folder))


@contextmanager
def reading(name):
    """Turn the errors of damaged archives into one UserError."""
    try:
        yield
    except UNREADABLE as error:
        why = str(error) if "\n" not in str(error) else "neither tar, nor tar with gzip, bzip2 or xz"
        raise UserError(f"{name}: not an archive that can be read ({why})") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(f"{name}: not an archive that can be read ({error})") from None  # gzip and bzip2 say it so


@contextmanager
def new_folder(path, folder):
    """An empty folder that is gone after the block, however that ends. UserError where it cannot be written."""
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _write(archive, member, path):
    """Owners, permissions and times of the archive are not taken over."""
    (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
    if not member.isdir():
        with archive.extractfile(member) as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("folder")
    args = parser.parse_args()
    if len(PurePosixPath(args.folder).parts) != 1 or args.folder == "..":
        parser.error("expected the name of a folder here")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not os.path.lexists(args.folder):
        unpack(args.archive, args.folder)
        print(f"unpacked {args.archive}")


if __name__ == "__main__":
    run_main(main)
