"""List files of labelled images, and the images of a prediction."""

import os
from pathlib import Path
from typing import NamedTuple, Optional

import cv2

from ppcls_lite.utils.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class ListLine(NamedTuple):
    """One image of a list file: its path as written, its label, its line number from 1, and its camera if it has one.

    A camera is any number that is the same for images of one view: of those, the same identity is no find.
    """

    path: str
    label: int
    line: int
    camera: Optional[int] = None


def read_lines(path):
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


def read_list(path, delimiter=None, cameras=False):
    """The `ListLine`s of a file with one `<image path> <label>` per line, or with `cameras` `<path> <label> <camera>`.

    The label is the text after the last `delimiter`, so a path may hold spaces: spaces or tabs by default; `\\t`, which
    a command line passes on as it is, is a tab. With `cameras`, a line that ends in two whole numbers has both; a list
    has cameras in every line or in none.
    Blank lines are skipped. Raises UserError with file and line for a missing or empty list, a line without
    a label, and a label that is not a whole number of at least 0.
    """
    entries = []
    delimiter = from_command_line(delimiter)
    for number, line in read_lines(path):
        camera = None
        if cameras:
            line, camera = _without_camera(line, delimiter)
        image, found, label = _split(line, delimiter)
        if not found:
            between = f", with the delimiter {delimiter!r} between" if delimiter else ""
            raise UserError(f"{path}:{number}: expected '<image path> <label>'{between}, found {line!r:.120}")
        entries.append(ListLine(image, _label(label, f"{path}:{number}"), number, camera))
        if (camera is None) != (entries[0].camera is None):
            one, other = ("a camera", "none") if camera is None else ("none", "a camera")
            raise UserError(f"{path}:{number}: line {entries[0].line} has {one} behind its label, and this one {other}")
    if not entries:
        raise UserError(f"{path}: the list file is empty")
    return entries


def read_logo_list(path):
    """The `ListLine`s of a file as LogoDataset has them: four columns by tabs, of which the second is a label that
    counts from 1 and the fourth the path, under a line of names that begins with `image_id`.

    Raises UserError as `read_list` does.
    """
    entries = []
    for number, line in read_lines(path):
        columns = [column.strip() for column in line.split("\t")]
        if columns[0] == "image_id":
            continue
        if len(columns) < 4:
            raise UserError(f"{path}:{number}: expected four columns by tabs, as LogoDataset has, found {line!r:.120}")
        entries.append(ListLine(columns[3], _label(columns[1], f"{path}:{number}", low=1) - 1, number))
    if not entries:
        raise UserError(f"{path}: the list file is empty")
    return entries


def _label(text, place, low=0):
    if not _is_number(text) or int(text) < low:
        raise UserError(f"{place}: expected a label of at least {low}, found {text!r:.40}")
    return int(text)


def _is_number(text):
    return text.isascii() and text.isdigit()


def from_command_line(delimiter):
    """`delimiter` with a tab for the two characters `\\t`: a shell passes them on as they are."""
    return delimiter.replace("\\t", "\t") if delimiter else delimiter


def _without_camera(line, delimiter):
    """(the line up to its label, the camera behind that or None)."""
    rest, found, camera = _split(line, delimiter)
    if found and _is_number(camera):
        _, found, label = _split(rest, delimiter)
        if found and _is_number(label):
            return rest, int(camera)
    return line, None


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
    for number, line in read_lines(path):
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
