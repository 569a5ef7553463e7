"""Read files that nobody may be trusted to have written well: no links, no endless files, no tricks of JSON."""

import json
import math
import os
import stat

from bundle_lineage import stream_hash
from script import UserError

MOST_BYTES = 64 << 20  # of a file that is read as text
_MOST_DIGITS = 40  # of a whole number in JSON


def read_text(path):
    """The text of a regular file of at most MOST_BYTES; UserError for anything else."""
    with _open(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > MOST_BYTES:
            raise UserError(f"{path}: expected at most {MOST_BYTES >> 20} MiB, found {size >> 20}")
        return stream.read(MOST_BYTES).decode("utf-8", errors="replace")


def _open(path):
    """The regular file itself, for bytes: no link, and no pipe, which would be waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        why = "a symbolic link" if os.path.islink(path) else getattr(error, "strerror", error)
        raise UserError(f"{path}: cannot be read ({why})") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path}: expected a regular file, found none")
    return os.fdopen(handle, "rb")


def read_json(path):
    """The content of a JSON file, which has no key twice, no NaN or infinity, and no number of endless length."""
    return parse_json(read_text(path), path)


def parse_json(text, place):
    """The same of a text; `place` is named where it is none."""
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_doubles,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_short,
        )
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: not the JSON that is expected ({error})") from None


def _without_doubles(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r:.80} is there twice")
    return found


def _refuse(name):
    raise ValueError(f"{name} is no number of JSON")


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is not finite")
    return number


def _short(text):
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a whole number has {len(text)} digits")
    return int(text)


class Hashes:
    """SHA-256 of files, each read once in a run."""

    def __init__(self):
        self._known, self._now = {}, {}

    def now(self, root, path):
        """The SHA-256 of a file of the repository `root`, seen through links, as it is now; "" where it is missing;
        None for a path outside, a folder, and a file in a folder that is not there at all: prepare.sh makes some."""
        root = os.fspath(root)
        known = self._now.setdefault(root, {})
        if path not in known:
            place = os.path.join(root, path)
            top = os.path.join(root, path.partition("/")[0])
            if not is_safe_name(path) or os.path.isdir(place) or not os.path.exists(top):
                known[path] = None
            else:
                known[path] = self.of(os.path.realpath(place))[0] if os.path.isfile(place) else ""
        return known[path]

    def of(self, path):
        """(SHA-256, bytes) of a regular file."""
        key = os.fspath(path)
        if key not in self._known:
            with _open(path) as stream:
                self._known[key] = stream_hash(stream), stream.tell()
        return self._known[key]


def is_safe_name(name):
    """Whether `name` is a plain path that stays below its folder, and can be printed."""
    return name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(name.split("/"))
