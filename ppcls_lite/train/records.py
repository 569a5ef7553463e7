"""What a training records beside its checkpoints: log, history and curves, in the place of an earlier training's."""

import os
from pathlib import Path

from ppcls_lite.train.history import NAME, History
from ppcls_lite.train.scalars import FOLDER, Scalars, log_writer
from ppcls_lite.train.setup import open_log
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import hold_log


class Records:
    """Keeps lines of the log and events of the history until `open`, and then writes them, and all further ones.

    So a training that ends before it has taken a step, as its config or its data are refused, leaves its folder as it
    was: without a file of its own, and with all that an earlier training has left there.

    Without a `folder` nothing is kept or written. With `append`, the files of an earlier training go on. Process 0
    alone has a history, and, with `visualdl`, its curves. UserError where the package for these is not installed, and
    for a folder that cannot be made or written to.
    """

    def __init__(self, folder=None, append=False, rank=0, world=1, visualdl=False):
        self._folder, self._append, self._rank, self._world = folder, append, rank, world
        self._visualdl = visualdl and rank == 0
        self._history, self._events = History() if folder is None else None, []
        if self._visualdl:
            log_writer()
        if folder is not None:
            _check_place(Path(folder))
            hold_log(quiet=rank > 0)

    def open(self):
        """Begin to write; further calls do nothing. UserError where one of the files cannot be written."""
        if self._history is not None:
            return
        folder = Path(self._folder)
        scalars = Scalars(folder / FOLDER, self._append) if self._visualdl else None
        open_log(folder, self._append, self._rank, self._world)
        self._history = History(folder / NAME if self._rank == 0 else None, self._append, scalars)
        for event, figures in self._events:
            self._history.add(event, **figures)

    def add(self, event, **figures):
        """Append an event to the history, as `History.add`."""
        if self._history is None:
            self._events.append((event, figures))
        else:
            self._history.add(event, **figures)

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        if self._history is not None:
            self._history.close()


def _check_place(folder):
    """A training of hours must not learn of it after its first step."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        found = "is no folder" if not there.is_dir() else "cannot be written to"
        raise UserError(f"Global.output_dir {folder}: expected a folder that can be written to; {there} {found}")
