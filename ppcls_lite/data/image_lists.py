"""List files of labelled images, and the images of a prediction."""

import os
from pathlib import Path
from typing import NamedTuple

import cv2

from ppcls_lite.utils.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class ListLine(NamedTuple):
    """One image of a list file: its path as written, its label, its line number from 1."""

    path: str
    label: int
    line: int


def _read_lines(path):
    """(line number, text) of the lines that are not blank; a byte-order mark is dropped."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            lines = [(number, line.strip()) for number, line in enumerate(stream, start=1)]
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such list file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected a text file in UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot read the list file: {error.strerror}") from error
    return [(number, line) for number, line in lines if line]


def read_list(path, delimiter=None):
    """The `ListLine`s of a file with one `<image path> <label>` per line.

    The label is the text after the last `delimiter` (default: spaces or tabs), so a path may hold spaces.
    Blank lines are skipped. Raises UserError with file and line for a missing or empty list, a line without
    a label, and a label that is not a whole number of at least 0.
    """
    entries = []
    for number, line in _read_lines(path):
        image, found, label = _split(line, delimiter)
        if not found:
            raise UserError(f"{path}:{number}: expected '<image path> <label>', found {line!r:.120}")
        if not label.isascii() or not label.isdigit():
            raise UserError(f"{path}:{number}: expected a label of at least 0, found {label!r:.40}")
        entries.append(ListLine(image, int(label), number))
    if not entries:
        raise UserError(f"{path}: the list file is empty")
    return entries


def _split(line, delimiter):
    parts = [part.strip() for part in line.rsplit(delimiter, 1)]
    return (parts[0], True, parts[1]) if len(parts) == 2 and all(parts) else (line, False, "")


def is_image_name(path):
    """True for a name that ends like an image's."""
    return str(path).lower().endswith(IMAGE_SUFFIXES)


def list_images(source, image_root=None):
    """(paths, number skipped) for an image, a folder (recursive, sorted) or a list file.

    A folder's other files are skipped and counted. A list's lines are paths, each with or without a label,
    relative to `image_root` or else to the list's folder. Raises UserError when there is no image at all.
    """
    source = Path(source)
    if not source.exists():
        raise UserError(f"{source}: no such image, folder or list file")
    if source.is_dir():
        return _images_of_folder(source)
    if is_image_name(source) or cv2.haveImageReader(str(source)):
        return [str(source)], 0
    return _images_of_list(source, Path(image_root) if image_root else source.parent), 0


def _images_of_folder(folder):
    files = []
    for base, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        files += [os.path.join(base, name) for name in names]
    images = sorted(name for name in files if is_image_name(name))
    if not images:
        raise UserError(f"{folder}: no image among {len(files)} files; known endings: {', '.join(IMAGE_SUFFIXES)}")
    return images, len(files) - len(images)


def _images_of_list(path, root):
    images = []
    for number, line in _read_lines(path):
        image = root / line
        name, found, label = _split(line, None)
        if found and label.isdigit() and not image.exists():
            image = root / name
        if not image.exists():
            raise UserError(f"{path}:{number}: no such image: {image}")
        images.append(str(image))
    if not images:
        raise UserError(f"{path}: the list file is empty")
    return images
