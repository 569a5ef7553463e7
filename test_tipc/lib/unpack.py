"""Unpack a project's archive of data, whole or not at all, and nothing outside the folder that it makes.

    python test_tipc/lib/unpack.py test_images/lite_data.tar lite_data

The archive must hold the folder `lite_data`; other members are left out. A member with an absolute path or `..`, a
link, or anything but files and folders is refused before anything is written.
Exit code: 0 unpacked, 1 not (one line says why).
"""

import argparse
import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from script import UserError, run_main

LARGEST = 20 << 30  # bytes in all


def members_of(archive, folder, name):
    """The members below `folder`. UserError at the first one that must not be unpacked."""
    kept, size = [], 0
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
            kept.append(member)
    if not kept:
        raise UserError(f"{name}: expected a folder {folder} in it, found none")
    return kept


def unpack(name, folder):
    """Unpack the folder `folder` of the archive `name` into the working folder."""
    try:
        with tarfile.open(name) as archive, tempfile.TemporaryDirectory(prefix=".unpack.", dir=".") as fresh:
            for member in members_of(archive, folder, name):
                _write(archive, member, Path(fresh, *PurePosixPath(member.name).parts))
            os.replace(Path(fresh, folder), folder)
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f"{name}: not an archive that can be read ({error})") from None


def _write(archive, member, path):
    """Owners, permissions and times of the archive are not taken over."""
    (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
    if member.isfile():
        with archive.extractfile(member) as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("folder")
    args = parser.parse_args()
    if len(PurePosixPath(args.folder).parts) != 1 or args.folder == "..":
        parser.error("expected the name of a folder here")
    unpack(args.archive, args.folder)


if __name__ == "__main__":
    run_main(main)
