"""The one exception whose message is for the user, and how entry scripts end."""

import atexit
import difflib
import errno
import gc
import os
import signal
import sys
import threading
from contextlib import contextmanager

from ppcls_lite.utils.machine import keep_to_one_thread, speed_up_mkl

SHOWN = 3  # of many findings, those that an error names
_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # the disk's faults, not the program's


class UserError(Exception):
    """A fault that the user can mend; the message is one line: where, what was found, what was expected."""

    status = 1  # the exit code of a command that ends with it


def nearest(word, known):
    """` (did you mean 'x'?)` for the closest entry of `known`, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def first_of(findings):
    """A list of texts as a part of one line that stays readable: the first `SHOWN`, and how many more there are."""
    more = [f"and {len(findings) - SHOWN} more"] if len(findings) > SHOWN else []
    return "; ".join([*findings[:SHOWN], *more])


def run_main(main, trains=False):
    """Call an entry script's `main()` and exit: 0, the status of a UserError (one line), 1 on a full disk (one line),
    130 after Ctrl-C.

    Without a standard output (`>&-`) nothing is run: its results would be lost without a word.
    Any other exception keeps its traceback, because then the fault is in this program. Before `main`, the process is
    set up for the fastest kernels (see `speed_up_mkl`), and for one thread of them unless it `trains`
    (see `keep_to_one_thread`).
    """
    if sys.stdout is None:
        print("error: standard output is closed: expected a screen, a file, a pipe or /dev/null", file=sys.stderr)
        sys.exit(1)
    speed_up_mkl()
    if not trains:
        keep_to_one_thread()
    try:
        try:
            status = main() or 0
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            status = error.status
        sys.stdout.flush()  # what was printed before an error too
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader (`| head`) has left: there is nothing more to print
        _silence_output()
        status = 141
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        print(f"error: {error.filename or 'the output'}: cannot be written ({error.strerror})", file=sys.stderr)
        if not error.filename:
            _silence_output()
        status = 1
    leave(status)


def _silence_output():
    """Discard what standard output still holds: it could not be written, and the end of the process would try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(status):
    """End the process without the clean-up of a loaded Paddle: it takes a quarter of a second, and frees only what the
    system frees anyway."""
    if "paddle" not in sys.modules:
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def quick_import():
    """Import Paddle within this: the objects of an import live as long as the process, so searching them for garbage
    again and again costs a third of a second for nothing.

    SIGTERM (as at Ctrl-C of a chain) keeps its handler: Paddle's own would print a C++ traceback."""
    gc.disable()
    ended = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if ended is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ended)
