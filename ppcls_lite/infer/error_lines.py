"""What standard error gets of images that cannot be predicted: many of them have one cause, which a few lines show."""

import sys

SHOWN = 5


class ErrorLines:
    """A line for each of the first `SHOWN` errors, and one at the end with their number where there were more."""

    def __init__(self):
        self._count = 0

    def show(self, error):
        """Of one image; above a progress bar if there is one."""
        self._count += 1
        if self._count <= SHOWN:
            _write(error)

    def end(self):
        """After the last image. What follows is counted from zero."""
        if self._count > SHOWN:
            _write(f"images that cannot be predicted: {self._count}, the first {SHOWN} are named above")
        self._count = 0


def _write(text):
    from tqdm import tqdm

    tqdm.write(f"error: {text}", file=sys.stderr)
