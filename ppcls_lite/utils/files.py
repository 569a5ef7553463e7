"""Paths of this repository and files that are whole or not there at all."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ppcls_lite.utils.errors import UserError

REPO = Path(__file__).resolve().parents[2]


def find_file(path):
    """`path` itself, or where it is missing, its twin in the library.

    PaddleClas's files name `ppcls/configs/…` and `ppcls/utils/…`; the same things live in `ppcls_lite/` here. Both
    names are found from any folder, also where the library is installed as a package.
    """
    path = Path(path)
    if path.exists():
        return path
    at = next((number for number, part in enumerate(path.parts) if part in ("ppcls", "ppcls_lite")), None)
    if at is None:
        return path
    twin = Path("ppcls_lite", *path.parts[at + 1 :])
    return next((found for found in (Path(*path.parts[:at], twin), REPO / twin) if found.exists()), path)


@contextmanager
def atomic_write(path, mode="w"):
    """Open a temporary file beside `path` and move it over `path` once the block has ended well.

    A kill, an exception or a full disk leaves the previous content of `path`. An OSError names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and not error.filename:  # a full disk does not name the file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def replace_block(path, begin, end, block):
    """Replace the lines between `begin` and `end` in the file at `path`; UserError when one of the two is missing."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    before, begins, rest = text.partition(begin + "\n")
    _, ends, after = rest.partition(end)
    if not begins or not ends or begin in after:
        raise UserError(f"{path}: expected one line '{begin}' and below it one '{end}'")
    with atomic_write(path) as stream:
        stream.write(f"{before}{begin}\n{block}{end}{after}")


def show_block(path, begin, end, block):
    """`replace_block`, or print the block where `path` is None."""
    if path:
        replace_block(path, begin, end, block)
    else:
        print(block, end="")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
