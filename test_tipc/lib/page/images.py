"""Small copies of a project's test images, as parts of a page."""

import base64
import io
import os
import re
import shlex
import warnings
from pathlib import Path
from typing import NamedTuple, Optional

SIZE = 160  # pixels of the longer side
_SMALL = 8 << 10  # bytes of a file that is taken as it is, where nothing can make it smaller
_LARGEST = 32 << 20
_MOST_FILES = 20000  # in the folders that the commands name; of more, no image is looked for
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
_OPTION = re.compile(r"im(a?ge?s?)?|input|data|infer", re.IGNORECASE)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


class Thumbnail(NamedTuple):
    """`uri` has the image; width and height, in pixels, are those of the original."""

    uri: str
    width: int
    height: int


def find_images(source, names):
    """{name: path} of those images that a step of the bundle was given, where the project has them.

    A name that several files have is not in it: which of them was predicted, nobody knows.
    """
    root, wanted, found, seen = source.root.resolve(), set(names), {}, 0
    for place in _places(source, root):
        for path in [place] if place.is_file() else _files_below(place):
            seen += 1
            if seen > _MOST_FILES:
                return {}
            if path.name in wanted and path.suffix.lower() in _SUFFIXES:
                found.setdefault(path.name, set()).add(path)
    return {name: paths.pop() for name, paths in found.items() if len(paths) == 1}


def _places(source, root):
    """Folders and files inside the project that the commands name as images or data."""
    seen = {root}
    for view in source.steps:
        for word in _values(view.command):
            try:
                place = Path(os.path.normpath(root / view.folder / word))  # a link to a data set may lead elsewhere
                if place not in seen and root in place.parents and place.exists():
                    seen.add(place)
                    yield place
            except (OSError, ValueError):
                continue


def _values(command):
    """The values of the options that may name images."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    for before, word in zip(["", *words], words):
        name, equals, value = word.partition("=")
        if value and _OPTION.search(name) or _OPTION.search(before) and before.startswith("-") and not equals:
            yield value or word


def _files_below(folder):
    for place, _, files in os.walk(folder):
        for name in files:
            yield Path(place, name)


def thumbnail(path) -> Optional[Thumbnail]:
    """The `Thumbnail` of an image file; None where it is none, or is large and no Pillow is installed."""
    try:
        if path.stat().st_size > _LARGEST:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    return _shrunk(content) or _as_it_is(content)


def _shrunk(content):
    try:
        from PIL import Image
    except ImportError:
        return None
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if max(width, height) <= SIZE and len(content) < _SMALL:
                    return None  # nothing to gain
                image.draft("RGB", (SIZE, SIZE))
                image = image.convert("RGB")
                image.thumbnail((SIZE, SIZE))
                image.save(stream, "JPEG", quality=78)
    except Exception:  # a damaged file may raise anything
        return None
    return Thumbnail(_uri("jpeg", stream.getvalue()), width, height)


def _as_it_is(content):
    kind = next((kind for begin, kind in _KINDS.items() if content.startswith(begin)), None)
    size = kind and (_png_size(content) if kind == "png" else _jpeg_size(content))
    return Thumbnail(_uri(kind, content), *size) if size and len(content) < _SMALL else None


def _uri(kind, content):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _png_size(content):
    return tuple(int.from_bytes(content[at : at + 4], "big") for at in (16, 20)) if len(content) > 24 else None


def _jpeg_size(content):
    """(width, height) from the frame's header, None without one: segments are a marker and a length."""
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        if 0xC0 <= content[at + 1] <= 0xC3:
            height, width = (int.from_bytes(content[at + place : at + place + 2], "big") for place in (5, 7))
            return width, height
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
