"""The two files of a gallery: whole or not there, one writer at a time, and nothing but data in them.

`gallery.json` has the sha256 of the index that belongs to it. A new index waits as `vector.index.new`, `gallery.json`
is replaced, and the index takes its place: at each moment, one of the two index files is the one that `gallery.json`
names, so that a process that is killed in between leaves the former gallery or the new one, never a mixture.
"""

import fcntl
import hashlib
import json
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write

INDEX, WAITING, CONTENT = "vector.index", "vector.index.new", "gallery.json"
FORMAT = "ppcls_lite gallery 1"
_PICKLE = "id_map.pkl"  # PaddleClas's file in the place of gallery.json
_TRIES = 5  # of reading, while another process writes
_held = set()


def exists(folder):
    """Whether there is a gallery in the folder."""
    return Path(folder, CONTENT).is_file()


def read(folder):
    """(content of `gallery.json`, bytes of the index that belongs to it); UserError for a gallery that is not whole."""
    folder = Path(folder)
    for _ in range(_TRIES):
        text = _read_bytes(folder, CONTENT)
        content = _parse(folder / CONTENT, text)
        for name in (INDEX, WAITING):
            index = _read_bytes(folder, name) if (folder / name).is_file() else b""
            if hashlib.sha256(index).hexdigest() == content["index"]["sha256"]:
                return content, index
        if _read_bytes(folder, CONTENT) == text:  # nobody has written meanwhile
            break
    path = folder / INDEX
    if not path.is_file():
        raise UserError(f"{path}: no such file, and {CONTENT} names it")
    expected, found = content["index"]["bytes"], path.stat().st_size
    sizes = f"{found} bytes, expected {expected}" if found != expected else "another content (sha256)"
    raise UserError(f"{path}: not the index of {CONTENT}: {sizes}: it is damaged or of another gallery")


def write(folder, content, index):
    """Replace the gallery in the folder by this one: `content` for `gallery.json`, and the bytes of its index.

    To be called within `writing`. UserError when it cannot be written; the former gallery is then as it was.
    """
    folder = Path(folder)
    content = {"format": FORMAT, **content, "index": {"sha256": hashlib.sha256(index).hexdigest(), "bytes": len(index)}}
    text = _as_text({**content, "sha256": _checksum(content)})
    try:
        try:
            with atomic_write(folder / WAITING, "wb") as stream:
                stream.write(index)
            _keep_order(folder)
            with atomic_write(folder / CONTENT) as stream:  # from here on, the new gallery is the one
                stream.write(text)
        except BaseException:
            _tidy(folder)
            raise
    except OSError as error:
        raise UserError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
    with suppress(OSError):  # the next writer does it
        _keep_order(folder)
        os.replace(folder / WAITING, folder / INDEX)


@contextmanager
def writing(folder):
    """Keep other writers out of the folder, which is made if it is missing; UserError where one is at work."""
    folder = Path(folder)
    key = os.path.realpath(folder), threading.get_ident()
    if key in _held:  # a writer that also reads, or the other way round
        yield
        return
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UserError(f"{folder}: cannot be a gallery's folder ({error.strerror})") from None
    try:
        _lock(handle, folder)
        _held.add(key)
        _tidy(folder)
        yield
    finally:
        _held.discard(key)
        os.close(handle)
        if is_new:
            with suppress(OSError):  # it stays with what was written
                folder.rmdir()


def _lock(handle, folder):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{folder}: another process is writing this gallery: try again when it has ended") from None
    except OSError:  # a file system without locks
        pass


def _tidy(folder):
    """Finish what a killed writer had decided, and remove what it had not."""
    for path in folder.glob(".*"):
        if path.name.startswith((f".{INDEX}.", f".{CONTENT}.")):  # of atomic_write
            path.unlink(missing_ok=True)
    if (folder / WAITING).is_file():
        with suppress(UserError):  # whoever reads the gallery is told
            content = _parse(folder / CONTENT, _read_bytes(folder, CONTENT))
            waiting = hashlib.sha256(_read_bytes(folder, WAITING)).hexdigest()
            if waiting == content["index"]["sha256"]:
                os.replace(folder / WAITING, folder / INDEX)
        (folder / WAITING).unlink(missing_ok=True)


def _keep_order(folder):
    """Let the disk have what was renamed so far, before what is renamed next."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_bytes(folder, name):
    path = folder / name
    try:
        return path.read_bytes()
    except OSError as error:
        if name == CONTENT and not path.exists():
            if (folder / _PICKLE).exists():
                why = f"PaddleClas's {_PICKLE} is a pickle, which is not read here: build the gallery again"
                raise UserError(f"{folder}: expected {CONTENT}, found another kind of index ({why})") from None
            raise UserError(f"{folder}: no gallery there ({CONTENT}): build_gallery.py makes one") from None
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _parse(path, text):
    try:
        content = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON, or cut ({str(error)[:120]})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{path}: expected the format {FORMAT!r}, found {found!r:.80}")
    checksum = content.pop("sha256", None)
    index = content.get("index")
    if checksum != _checksum(content) or not isinstance(index, dict) or {*index} != {"sha256", "bytes"}:
        raise UserError(f"{path}: damaged: its content is not that of its sha256")
    return content


def _checksum(content):
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _as_text(content):
    """JSON with a line for each entry, which people may read and compare."""
    entries = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in content["entries"])
    rest = json.dumps({**content, "entries": []}, indent=1, ensure_ascii=False)
    return rest.replace('"entries": []', f'"entries": [\n{entries}\n ]', 1) + "\n"
