"""Download a file by its address: resumed after a cut, checked, and put into its place whole.

It stands alone, with the standard library only: `ppcls_lite/utils/download.py` is a link to this file.
"""

import base64
import contextlib
import errno
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 1 << 16  # bytes
TIMEOUT = 30  # seconds without an answer or a byte
ATTEMPTS = 4  # in a row that bring less than ENOUGH
ENOUGH = 1 << 20  # bytes
WAIT = 0.1  # seconds, four times as long after each attempt
SLOWEST = 1000  # bytes per second, over PATIENCE seconds; slower counts as a cut
PATIENCE = 60
MIRROR = "TIPC_MIRROR"
_BROKEN = (http.client.HTTPException, ConnectionError, socket.timeout, ssl.SSLError)  # worth another attempt
_BUSY = (429, 500, 502, 503, 504)  # answers that are
_MEGA = 1e6


class DownloadError(Exception):
    """The file cannot be had; the message is one line: which address, why, and where to put the file by hand."""


class _Cut(ConnectionError):
    """The connection ended before the file did, or what is there cannot be continued: worth another attempt."""


class _Refused(Exception):
    """What the server sends is not the file: another attempt would bring the same."""


def file_name(url):
    """The name under which the file of an address is kept: its last part, less `?query` and `#fragment`."""
    name = urlsplit(url).path.rpartition("/")[2] if _is_address(url) else ""
    if not name or name.startswith("."):
        raise DownloadError(f"{url!r:.200}: expected http://… or https://…, with the name of a file at its end")
    return name


def _is_address(text):
    """Whether it is one of HTTP, in ASCII, with a server and (if any) a port that is a number."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname and re.fullmatch(r"[!-~]+", text))
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return False


def download(url, folder, say=None):
    """The path in `folder` of the file at `url`, downloaded unless it is there already.

    The download goes to `<file>.part`, is continued there after a cut or a kill, and is renamed when it is complete. It
    is compared with the length and the MD5 (`Content-MD5`) that the server states, and with the SHA-256 in the address
    if that ends in `#sha256=<64 digits>`. Its SHA-256 is written to `<file>.sha256` and compared on every later use; a
    file that was put there by hand gets it noted at its first use. Processes that need the same file wait for each
    other. The environment variable TIPC_MIRROR, an address, replaces scheme and server of all addresses.

    Args:
        say: a function for lines such as "downloading …", standard error if not given.

    Raises DownloadError without a network, for a file that the server does not have, for a web page instead of a file,
    for a full or read-only disk, and for a file that has changed since it came.
    """
    say = say or (lambda line: print(line, file=sys.stderr))
    path = Path(folder, file_name(url))
    by_hand = f"you can also fetch it elsewhere and put it at {path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(Path(f"{path}.lock"), lambda: say(f"waiting: another process downloads {path}")):
            if path.is_file():
                _verify(path, _pinned(url))
            else:
                _download(_address(url), path, _pinned(url), say)
    except (urllib.error.URLError, _Refused, *_BROKEN) as error:
        raise DownloadError(f"cannot download {_address(url)} ({_reason(error)}); {by_hand}") from error
    except OSError as error:
        raise DownloadError(f"cannot keep {path} ({error.strerror or error}); {by_hand}") from error
    return path


def _address(url):
    """`url` without its fragment, at the mirror if there is one."""
    url, mirror = url.partition("#")[0], os.environ.get(MIRROR)
    if not mirror:
        return url
    if not _is_address(mirror):
        raise DownloadError(f"{MIRROR}: expected http://… or https://…, found {mirror!r:.200}")
    parts = urlsplit(url)
    return mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def _pinned(url):
    """The SHA-256 that the address states, in lower case, or None."""
    fragment = url.partition("#")[2]
    if not fragment.startswith("sha256="):
        return None
    if not re.fullmatch(r"sha256=[0-9A-Fa-f]{64}", fragment):
        raise DownloadError(f"{url:.300}: expected 64 hexadecimal digits behind #sha256=")
    return fragment[7:].lower()


@contextlib.contextmanager
def _locked(path, waiting):
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield  # closing the file ends the lock, also when the process is killed


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        text = f"the server answers {error.code} {error.reason}"
    else:
        text = str(getattr(error, "reason", None) or error) or type(error).__name__
    return text.strip().splitlines()[0]  # that of an endless redirection has several


# ---- a download, in several attempts


def _download(address, path, pinned, say):
    part = Path(f"{path}.part")
    say(f"downloading {address} to {path}")
    failures = 0
    while True:
        before = _size(part)
        try:
            _receive(address, part)
            break
        except (urllib.error.HTTPError, *_BROKEN) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code not in _BUSY:
                raise
            failures = 1 if _size(part) - before >= ENOUGH else failures + 1
            if failures == ATTEMPTS:
                raise
            say(f"{address}: {_reason(error)}; trying again")
            time.sleep(WAIT * 4**failures)
    found = _check_complete(part, path.name, pinned)
    _note_digest(path, found)
    part.replace(path)
    _about_file(part).unlink(missing_ok=True)


def _receive(address, part):
    """Bring `part` to its full length, from where it is; raises _Cut when the connection ends too early."""
    about = _read_about(part)
    have = _size(part) if about else 0
    if about and have == about["length"]:
        return  # it was killed before it could be renamed
    headers = {"User-Agent": "test_tipc"}
    if have and about["tag"]:  # without a tag it is unknown whether the server still has the same file
        headers.update({"Range": f"bytes={have}-", "If-Range": about["tag"]})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing beyond the part here, or another file
            _forget(part)
            raise _Cut("the part could not be continued") from error
        raise
    with answer:
        _check_answer(address, answer)
        if answer.status == 206 and "Range" in headers:
            _check_continued(answer, have, about, part)
        elif answer.status != 200:
            raise _Refused(f"the server answers {answer.status} {answer.reason}")
        else:
            have, about = 0, _about(answer)
            part.write_bytes(b"")  # before its description: what is described is what is there
            _about_file(part).write_text(json.dumps(about))
        _check_room(part, about["length"], have)
        _store(answer, part, have, about["length"])


def _store(answer, part, have, length):
    """Append the answer to `part`, which has `have` of its `length` bytes (None: not known)."""
    clock, received = time.monotonic(), 0  # of the last PATIENCE seconds
    with part.open("ab") as stream, _Progress(part.stem, have, length) as progress:
        while chunk := answer.read1(CHUNK):
            if have == 0 and _is_page(chunk):
                _forget(part)
                raise _Refused("the server sends a web page, not the file; does a proxy expect a login?")
            stream.write(chunk)
            have, received = have + len(chunk), received + len(chunk)
            progress.show(have)
            if time.monotonic() - clock > PATIENCE:
                if received < SLOWEST * PATIENCE:
                    raise _Cut(f"slower than {SLOWEST / 1000:g} kB/s")
                clock, received = time.monotonic(), 0
    if length is not None and have != length:
        raise _Cut(f"the connection ended after {have} of {length} bytes")


def _about(answer):
    """What the server says of the file: its length in bytes, its tag, its MD5; each may be None."""
    length, digest = answer.headers.get("Content-Length"), answer.headers.get("Content-MD5")
    with contextlib.suppress(ValueError):
        digest = digest and base64.b64decode(digest.strip('" '), validate=True).hex()
    return {
        "length": int(length) if length and length.isdigit() else None,
        "tag": answer.headers.get("ETag") or answer.headers.get("Last-Modified"),
        "md5": digest if digest and re.fullmatch("[0-9a-f]{32}", digest) else None,
    }


def _read_about(part):
    """What was noted of the part when it began; None where there is nothing that can be continued."""
    try:
        about = json.loads(_about_file(part).read_text())
        return about if part.is_file() and {"length", "tag", "md5"} <= set(about) else None
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _about_file(part):
    return Path(f"{part}.json")


def _forget(part):
    part.unlink(missing_ok=True)
    _about_file(part).unlink(missing_ok=True)


def _size(path):
    return path.stat().st_size if path.is_file() else 0


# ---- checks


def _check_answer(address, answer):
    if address.startswith("https:") and not answer.url.startswith("https:"):
        raise _Refused(f"the server redirects to {answer.url:.200}, which is not encrypted")
    if answer.headers.get_content_type() == "text/html":
        raise _Refused("the server sends a web page, not the file; does a proxy expect a login?")


def _is_page(beginning):
    return beginning.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def _check_continued(answer, have, about, part):
    """_Cut, and the part is forgotten, unless the answer continues it: some servers do not look at If-Range."""
    stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range") or "")
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    whole = stated and stated[2] not in ("*", str(about["length"])) and about["length"] is not None
    if not stated or int(stated[1]) != have or whole or tag not in (None, about["tag"]):
        _forget(part)
        raise _Cut("the file on the server is another one now")


def _check_room(part, length, have):
    needed, free = (length or 0) - have, shutil.disk_usage(part.parent).free
    if needed > free:
        sizes = f"{needed / _MEGA:.1f} MB are needed, and {free / _MEGA:.1f} MB are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {sizes}")


def _check_complete(part, name, pinned):
    """The SHA-256 of the complete `part`; _Refused, and the part is forgotten, when it is not what was stated."""
    about = _read_about(part) or {}
    found, problem = _digest(part, "sha256"), None
    if pinned and found != pinned:
        problem = f"its SHA-256 is {found}, and the address states {pinned}"
    elif about.get("md5") and _digest(part, "md5") != about["md5"]:
        problem = f"its MD5 is not the one that the server states, {about['md5']}"
    elif not _size(part):
        problem = "an empty file came"
    elif name.endswith(".pdparams") and not _is_pickle(part):
        problem = "what came is not a whole weights file: a pickle begins with the byte 80 and ends with a full stop"
    if problem:
        _forget(part)
        raise _Refused(problem)
    return found


def _is_pickle(path):
    """Whether its first and last bytes are those of a pickle: a server may state a length that is too short."""
    with path.open("rb") as stream:
        first = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        return first == b"\x80" and stream.read(1) == b"."


def _digest(path, kind):
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _note_digest(path, digest):
    fresh = Path(f"{path}.sha256.new")
    fresh.write_text(f"{digest}  {path.name}\n")  # the format of `sha256sum -c`
    fresh.replace(f"{path}.sha256")


def _verify(path, pinned):
    found, note = _digest(path, "sha256"), Path(f"{path}.sha256")
    if pinned and found != pinned:
        raise DownloadError(f"{path}: its SHA-256 is {found}, and the address states {pinned}; delete it")
    if not note.is_file():
        _note_digest(path, found)
        return
    noted = note.read_text().split()
    if not noted or noted[0] != found:
        raise DownloadError(
            f"{path}: its SHA-256 is {found}, but {note.name} says {noted[0] if noted else 'nothing'}; "
            "delete both to download it again"
        )


# ---- progress


class _Progress:
    """How far it is: on a terminal one line that changes, elsewhere a line every 30 seconds, as a sign of life."""

    def __init__(self, name, have, length):
        self.name, self.begin, self.length = name, have, length
        self.live = sys.stderr is not None and sys.stderr.isatty()
        self.clock = self.shown = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.live:
            print(file=sys.stderr)

    def show(self, have):
        now = time.monotonic()
        if sys.stderr is None or (now - self.shown < (0.2 if self.live else 30) and have != self.length):
            return
        self.shown = now
        rate = (have - self.begin) / max(now - self.clock, 0.001) / _MEGA
        known = f" of {self.length / _MEGA:.1f} MB, {100 * have // self.length} %" if self.length else " MB"
        line = f"{self.name}: {have / _MEGA:.1f}{known}, {rate:.1f} MB/s"
        if self.live:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)
