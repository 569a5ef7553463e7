"""Fetch a file once: resumed after a cut, moved into place whole, and checked again whenever it is used."""

import contextlib
import fcntl
import hashlib
import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write
from ppcls_lite.utils.log import logger

_CHUNK = 1 << 20  # bytes
_TIMEOUT = 30  # seconds without an answer or a byte
_ATTEMPTS = 4
_BROKEN = (http.client.HTTPException, ConnectionError, socket.timeout, ssl.SSLError)  # worth another attempt


class _Cut(ConnectionError):
    """The connection ended before the file did; the part so far is kept."""


def fetch(url, folder):
    """The path under `folder` of the file at `url`, downloaded unless it is there already.

    The download goes to `<file>.part`, continues there after a cut or a kill, and is renamed when complete. Its
    SHA-256 is written to `<file>.sha256` and compared on every later use. A file put there by hand gets its
    SHA-256 noted at first use. Processes that need the same file wait for each other.

    Raises UserError without network, for a file that the server does not have, for a full or read-only disk, and
    for a file that has changed since it came; the message says where to put the file by hand.
    """
    path = Path(folder) / unquote(Path(urlsplit(url).path).name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(Path(f"{path}.lock")):
            if path.is_file():
                _verify(path)
            else:
                _download(url, path)
    except (urllib.error.URLError, *_BROKEN) as error:
        raise UserError(f"cannot download {url} ({_reason(error)}); {_by_hand(path)}") from error
    except OSError as error:
        raise UserError(f"cannot keep {path} ({error.strerror or error}); {_by_hand(path)}") from error
    return path


@contextlib.contextmanager
def _locked(path):
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield  # closing the file ends the lock, also when the process is killed


def _by_hand(path):
    return f"you can also fetch it elsewhere and put it at {path}"


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _download(url, path):
    part = Path(f"{path}.part")
    logger.info("downloading %s to %s", url, path)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _receive(url, part)
            break
        except _BROKEN as error:
            if attempt == _ATTEMPTS:
                raise
            logger.warning("%s: %s; trying again", url, _reason(error))
            time.sleep(0.1 * 4**attempt)
    _note_digest(path, _sha256(part))
    part.replace(path)
    _tag_file(part).unlink(missing_ok=True)


def _receive(url, part):
    """Bring `part` to the full length, from where it is; raises _Cut when the connection ends too early."""
    from tqdm import tqdm  # only a download needs it

    have = part.stat().st_size if part.exists() else 0
    tag = _tag_file(part).read_text() if have and _tag_file(part).exists() else ""
    headers = {"User-Agent": "ppcls_lite"}
    if have and tag:  # without a tag it is unknown whether the server still has the same file
        headers.update({"Range": f"bytes={have}-", "If-Range": tag})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing beyond the part here, or another file: begin again
            part.unlink()
            raise _Cut("the part could not be continued") from error
        raise
    with answer:
        if answer.status != 206:
            have = 0
        _tag_file(part).write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None)
        with bar, part.open("ab" if have else "wb") as stream:
            while chunk := answer.read(_CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
                have += len(chunk)
    if total is not None and have != total:
        raise _Cut(f"the connection ended after {have} of {total} bytes")


def _tag_file(part):
    return Path(f"{part}.etag")


def _digest_file(path):
    return Path(f"{path}.sha256")


def _sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _note_digest(path, digest):
    with atomic_write(_digest_file(path)) as stream:
        stream.write(f"{digest}  {path.name}\n")  # the format of `sha256sum -c`


def _verify(path):
    found = _sha256(path)
    if not _digest_file(path).is_file():
        _note_digest(path, found)
        return
    noted = _digest_file(path).read_text().split()
    if not noted or noted[0] != found:
        raise UserError(
            f"{path}: its SHA-256 is {found}, but {_digest_file(path).name} says "
            f"{noted[0] if noted else 'nothing'}; delete both to download it again"
        )
