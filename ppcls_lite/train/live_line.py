"""On a terminal, each epoch is one line that moves; log files and pipes have the lines of the log as they are."""

import logging

from tqdm import tqdm

from ppcls_lite.utils.log import logger

SHOWN_LIVE = {"shown_live": True}  # `extra` of the records that a live line takes the place of
_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class LiveLine:
    """A progress bar on the logger's screen where that is a terminal; elsewhere it does nothing.

    To be used in a `with` block, after the log is set up. Within it, the screen does not show the records that have
    `SHOWN_LIVE`, and the line makes room for all others.
    """

    def __init__(self):
        self._screens = [handler for handler in logger.handlers if _is_terminal(handler)]
        self._bar = None

    def __enter__(self):
        for screen in self._screens:
            screen.addFilter(self._lets_pass)
        return self

    def __exit__(self, *reason):
        self._end()
        for screen in self._screens:
            screen.removeFilter(self._lets_pass)

    def _lets_pass(self, record):
        if getattr(record, "shown_live", False):
            return False
        if self._bar is not None:
            self._bar.clear()
        return True

    def show(self, title, done, total, loss, speed, eta):
        """Move the line to `done` of `total` steps; `loss` is None where it is not known yet."""
        if not self._screens:
            return
        if self._bar is None:
            stream = self._screens[0].stream
            self._bar = tqdm(total=total, desc=title, file=stream, dynamic_ncols=True, bar_format=_FORMAT)
        known = "" if loss is None else f"loss {loss:.4f}, "
        self._bar.set_postfix_str(f"{known}{speed:.1f} images/s, eta {eta}", refresh=False)
        self._bar.update(done - self._bar.n)
        if done == total:
            self._end()

    def _end(self):
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
            self._bar = None


def _is_terminal(handler):
    return (
        isinstance(handler, logging.StreamHandler)
        and not isinstance(handler, logging.FileHandler)
        and handler.stream.isatty()
    )
