"""Check image files in processes of their own: a decoder that crashes does not end the command, and names its file."""

import hashlib
import io
import os
import stat
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import NamedTuple

from ppcls_lite.data.transforms.decoding import Unreadable, decode
from ppcls_lite.utils.errors import UserError

TINY = 32  # pixels; a shorter side is mentioned
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),  # of phones: a JPEG with a second one behind it
    "PNG": (".png",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
}
_MODES = {"CMYK": "CMYK", "L": "grey", "1": "black and white", "LA": "grey with alpha", "RGBA": "alpha"}
_GIF = b"GIF8"
_BLOCK = 20_000  # files whose results are waited for at once


class Checked(NamedTuple):
    """What was found in a file: `fault`, why a training cannot use it, or "" and then `digest`, the SHA-256 of its
    content; `notes` are words for what is unusual and allowed, such as "grey".
    """

    path: str
    fault: str
    digest: str = ""
    notes: tuple = ()


def check_file(path):
    """The `Checked` of the file at `path`, decoded as a training does it, and by Pillow, which notices a cut file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Checked(path, "not a file of data")
        with open(path, "rb") as stream:
            data = stream.read()
    except FileNotFoundError:
        return Checked(path, "a link to a file that is not there" if os.path.islink(path) else "no such file")
    except OSError as error:
        return Checked(path, f"cannot be read ({error.strerror})")
    if not data:
        return Checked(path, "an empty file")
    if data.startswith(_GIF):
        return Checked(path, "a GIF, which not every version of OpenCV decodes: save it as PNG or JPEG")
    try:
        height, width = decode(data).shape[:2]
    except Unreadable as error:
        return Checked(path, str(error))
    fault, notes = seen_by_pillow(path, data)
    if min(height, width) < TINY:
        notes += (f"smaller than {TINY} pixels",)
    return Checked(path, fault, hashlib.sha256(data).hexdigest(), notes)


def seen_by_pillow(path, data):
    """(fault, notes); OpenCV fills the rest of a file that was cut with grey, and says nothing."""
    from PIL import Image, UnidentifiedImageError

    notes = ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the size of an image, or its metadata
        try:
            with Image.open(io.BytesIO(data)) as image:
                kind, mode, frames = image.format, image.mode, getattr(image, "n_frames", 1)
                image.load()
        except (UnidentifiedImageError, Image.DecompressionBombError):  # what Pillow does not know, OpenCV did
            return "", notes
        except Exception as error:  # Pillow's decoders raise nearly every built-in type on damaged data
            return f"damaged or cut off ({error})", notes
    if os.path.splitext(path)[1].lower() not in _ENDINGS.get(kind, ()):
        notes += (f"{kind} under another ending",)
    if mode.startswith(("I", "F")):
        notes += ("more than 8 bits per value",)
    elif mode in _MODES:
        notes += (_MODES[mode],)
    if frames > 1 and kind != "MPO":
        notes += ("several frames, of which the first counts",)
    return "", notes


def _start_worker():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the decoders' own remarks have no file name


def check_files(paths, workers, advance=lambda: None, check=check_file):
    """{path: what `check` says of it} for all paths, by `workers` processes; `advance()` is called after each."""
    found = {}
    while left := [path for path in paths if path not in found][:_BLOCK]:
        suspects = _check_until_crash(check, left, workers, found, advance)
        while suspects:
            suspects = _check_one_by_one(check, suspects, found, advance)
    return found


def _check_until_crash(check, paths, workers, found, advance):
    """Put results into `found`; returns the paths of which one has ended its worker, [] when all are checked."""
    with _pool(min(workers, len(paths))) as pool:
        futures = {path: pool.submit(check, path) for path in paths}
        try:
            for path, future in futures.items():
                found[path] = future.result()
                advance()
        except BrokenProcessPool:
            for path, future in futures.items():
                if path not in found and not future.exception():
                    found[path] = future.result()
                    advance()
            # workers get the files in their order, so it is one of the first: running, or handed out already
            return [path for path in paths if path not in found][: 2 * workers + 1]
    return []


def _check_one_by_one(check, paths, found, advance):
    """As `_check_until_crash`, with no doubt about which one it was: returns the paths behind it."""
    with _pool(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool as error:  # without this, every file would be said to crash the decoder
            raise UserError("no process can be started to decode images; is there memory for one?") from error
        for number, path in enumerate(paths, 1):
            try:
                found[path] = pool.submit(check, path).result()
            except BrokenProcessPool:
                found[path] = Checked(path, "the decoder crashes on it")
                advance()
                return paths[number:]
            advance()
    return []


def _pool(workers):
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)
