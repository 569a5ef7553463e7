"""Paths of this repository and files that are whole or not there at all."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ppcls_lite.utils.errors import UserError

REPO = Path(__file__).resolve().parents[2]


def find_file(path):
    """`path` itself, or its twin under `ppcls_lite/` when an official config says `ppcls/…` and that is missing.

    PaddleClas's files name `ppcls/configs/…` and `ppcls/utils/…`; the same things live in `ppcls_lite/` here, and are
    found from every working folder.
    """
    path = Path(path)
    if path.exists():
        return path
    parts = path.parts
    for name in ("ppcls", "ppcls_lite"):
        if name in parts:
            at = parts.index(name)
            inside = Path("ppcls_lite", *parts[at + 1 :])
            for twin in (Path(*parts[:at], inside), REPO / inside):
                if twin.exists():
                    return twin
    return path


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
