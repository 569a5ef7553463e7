"""The one exception that a person is meant to read, and how entry scripts end."""

import atexit
import difflib
import gc
import os
import sys
from contextlib import contextmanager


class UserError(Exception):
    """Something the user can mend; the message is one line: where, what was found, what was expected."""


def nearest(word, known):
    """` (did you mean 'x'?)` for the closest entry of `known`, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def run_main(main):
    """Call an entry script's `main()` and exit: 0, 1 after a UserError (one line), 130 after Ctrl-C.

    Any other exception keeps its traceback, because then the fault is ours.
    """
    try:
        status = main() or 0
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader (`| head`) has left: nothing more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    leave(status)


def leave(status):
    """End the process, without taking a loaded Paddle apart: that costs a quarter of a second, and frees nothing
    that the system would not free."""
    if "paddle" not in sys.modules:
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def quick_import():
    """Import Paddle within this: what an import makes lives as long as the process, so looking for garbage in it,
    again and again, costs a third of a second for nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
