"""Temporary folders of which none stays behind: what a killed process left is removed by the next one."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "ppcls_lite.scratch."  # nobody calls a folder of his own so


class ScratchFolder(tempfile.TemporaryDirectory):
    """A `TemporaryDirectory`, locked for as long as its process lives.

    Making one removes this user's older ones whose lock is gone: their processes were killed.
    """

    def __init__(self):
        remove_abandoned()
        while not self._make():
            pass  # another process took it for an abandoned one before it was locked

    def _make(self):
        """Make and lock a folder; whether it is still there then."""
        super().__init__(prefix=PREFIX)
        self._lock = None
        with suppress(FileNotFoundError):
            self._lock = os.open(self.name, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks: nobody can lock it to remove it either
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.path.isdir(self.name):
                return True
        self.cleanup()
        return False

    def cleanup(self):
        super().cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_abandoned():
    """Remove the scratch folders of this user whose processes have ended without doing so."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}????????"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # another user's, or gone meanwhile
            continue
        try:
            if os.fstat(handle).st_uid == os.getuid():
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except OSError:  # its process lives, or there are no locks here
            pass
        finally:
            os.close(handle)
