"""What standard error gets of images that cannot be predicted: many of them have one cause, which a few lines show."""

import sys

SHOWN = 20


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
    text = f"error: {text}"
    if not sys.stderr.isatty():  # in a log file, a bar that is drawn again would be one more line
        print(text, file=sys.stderr)
        return
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)
