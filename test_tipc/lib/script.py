"""What the scripts of this folder share: errors of one line, and files that are whole or not there at all.

`test_tipc/` works in any repository, so nothing here needs more than the standard library; curves.py needs
Matplotlib to draw.
"""

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the repository that holds test_tipc/


class UserError(Exception):
    """Something the user can correct; the message is one line: where, what was found, what was expected."""


def counted(count, noun):
    """`1 step`, `2 steps`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def run_main(main):
    """Call a script's `main()` and exit: with what it returns, 1 and one line after a UserError or a
    file that cannot be used, 130 after Ctrl-C.

    Without a standard output (`>&-`) nothing is run: its verdict would be lost without a word."""
    if sys.stdout is None:
        print("error: standard output is closed: expected a screen, a file, a pipe or /dev/null", file=sys.stderr)
        sys.exit(1)
    try:
        try:
            status = main() or 0
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 1
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (`| head`) has left: nothing more to say
        _silence_output()
        status = 141
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except OSError as error:
        print(f"error: {error.filename or 'the output'}: cannot be used ({error.strerror})", file=sys.stderr)
        if not error.filename:
            _silence_output()
        status = 1
    sys.exit(status)


def _silence_output():
    """Discard what standard output still holds: it could not be written, and the end of the process would try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def atomic_write(path, mode="w"):
    """Open a temporary file beside `path` and move it over `path` once the block has ended well.

    A kill, an exception or a full disk leaves what was at `path` before. An OSError names the file.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
