"""Several files that are all written, or none: after an error, a full disk, a signal, and, at the next call, a kill.

The new contents wait in a folder of the root until all of them are on the disk. A journal there names them while they
are put into place; whoever finds a journal takes back what it names.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
from hashlib import sha256
from pathlib import Path

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write

WAITING = ".new_files"  # the folder in the root
_JOURNAL = "journal.json"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # of file systems without hard links
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def write_together(root, new, changed):
    """Write files below the folder `root`: all, or none.

    Args:
        new: {path from the root: text} of files that must not be there yet.
        changed: {path from the root: (text that the file must have now, text that it gets)}.

    Raises UserError, one line that names the file, and leaves everything as it was.
    """
    root = Path(root)
    with _alone(root), _signals_raise():
        waiting = root / WAITING
        try:
            _prepare(root, waiting, new, changed)
            _put_into_place(root, waiting, new, changed)
        except OSError as error:
            _take_back(root)
            name = error.filename2 or error.filename or waiting
            raise UserError(f"{name}: cannot be written ({error.strerror}); nothing was changed") from error
        except BaseException:
            _take_back(root)
            raise
        (waiting / _JOURNAL).unlink()  # from here on, all is written
        shutil.rmtree(waiting, ignore_errors=True)


def take_back_interrupted(root):
    """Undo what a `write_together` that was killed has left in `root`; whether there was anything."""
    root = Path(root)
    with _alone(root):
        return _take_back(root)


def _prepare(root, waiting, new, changed):
    for path, (before, _) in changed.items():
        if (root / path).read_text(encoding="utf-8") != before:
            raise UserError(f"{path}: was changed at the same time: try once more")
    texts = {**new, **{path: after for path, (_, after) in changed.items()}}
    for folder, files in (("to_write", texts), ("before", {path: before for path, (before, _) in changed.items()})):
        for path, text in files.items():
            with atomic_write(waiting / folder / path) as stream:
                stream.write(text)
    parents = {parent for path in new for parent in Path(path).parents if not (root / parent).exists()}
    journal = {
        "new": {path: _hash(text) for path, text in new.items()},
        "changed": {path: _hash(text) for path, (_, text) in changed.items()},
        "folders": sorted(map(str, parents), key=len),
    }
    with atomic_write(waiting / _JOURNAL) as stream:
        json.dump(journal, stream)


def _put_into_place(root, waiting, new, changed):
    for path in new:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _move(waiting / "to_write" / path, target)
        except FileExistsError:
            raise UserError(f"{path}: is there already; nothing was changed") from None
    for path in changed:
        os.replace(waiting / "to_write" / path, root / path)


def _move(source, target):
    """Put a file into its place, where nothing may be: FileExistsError otherwise."""
    try:
        os.link(source, target)  # unlike a rename, it replaces nothing
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.rename(source, target)


def _take_back(root):
    """What a journal names goes, unless it was changed since; the files that were changed get their old text."""
    waiting = root / WAITING
    if not waiting.exists():
        return False
    with contextlib.suppress(FileNotFoundError):
        journal = json.loads((waiting / _JOURNAL).read_text(encoding="utf-8"))
        for path, value in journal["new"].items():
            if _hash_of(root / path) == value:
                (root / path).unlink()
        for path, value in journal["changed"].items():
            if _hash_of(root / path) == value:
                os.replace(waiting / "before" / path, root / path)
        for folder in reversed(journal["folders"]):
            with contextlib.suppress(OSError):  # something else is in it
                (root / folder).rmdir()
    shutil.rmtree(waiting)
    return True


@contextlib.contextmanager
def _alone(root):
    """Keep other processes that write below `root` out; UserError when one is at work."""
    try:
        folder = os.open(root, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{root}: cannot be read ({error.strerror})") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"{root}: another process writes here: wait for its end") from None
    finally:
        os.close(folder)


@contextlib.contextmanager
def _signals_raise():
    """Within this, a signal that would end the process raises, so that it takes back what it has begun."""

    def interrupt(number, _):
        raise KeyboardInterrupt(signal.Signals(number).name)

    earlier = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _hash(text):
    return sha256(text.encode()).hexdigest()


def _hash_of(path):
    try:
        return sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
