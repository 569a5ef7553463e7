"""Find the images of a folder with one subfolder per class, and say what is in the way."""

import os
import unicodedata
from typing import NamedTuple

from ppcls_lite.data.image_lists import IMAGE_SUFFIXES, is_image_name
from ppcls_lite.utils.errors import UserError

SPLITS = ("train", "val")
_SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
_UNUSED_FOLDERS = ("test", "testing")
_LITTER = ("thumbs.db", "desktop.ini", "icon\r")  # beside hidden files, what systems put into folders
_LITTER_FOLDERS = ("__macosx", "@eadir")


class Found(NamedTuple):
    """`files`: [(path below the folder, class name, split or None)]; `classes`: names in the order of their labels;
    `problems`: [(path below the folder, what is wrong)]; `hidden`: how many files of the system were passed over.
    """

    files: list
    classes: list
    problems: list
    hidden: int


def find_images(root):
    """The `Found` of the folder `root`: `root/<class>/**`, or `root/train/<class>/**` and `root/val/<class>/**`.

    Labels are in the order of the class names; names that are all numbers are in the order of the numbers. Links are
    followed. UserError when there is no such folder, or no subfolder in it.
    """
    if not os.path.isdir(root):
        raise UserError(f"{root}: no such folder; expected one with a subfolder of images for each class")
    names, stray, hidden = _listing(root)
    if not names:
        raise UserError(f"{root}: has no subfolder; expected one for each class, with the images of the class")
    splits = _splits_of(names)
    is_split = bool(splits)
    problems = [(name, "not in the folder of a class") for name in stray]
    if is_split:
        problems += [(name, "neither for training nor for validation") for name in names if name not in splits]
    files, classes = [], {}
    for place, split in splits.items() if is_split else [("", None)]:
        inner = names
        if is_split:
            inner, stray, more = _listing(os.path.join(root, place))
            problems += [(f"{place}/{name}", "not in the folder of a class") for name in stray]
            hidden += more
        for name in inner:
            folder = f"{place}/{name}" if is_split else name
            title = unicodedata.normalize("NFC", name)
            classes.setdefault(title, name)
            if classes[title] != name and not is_split:
                problems.append((folder, f"looks like the folder of another class, {classes[title]!r}"))
            paths, more = _files_below(root, folder, problems)
            hidden += more
            files += [(path, title, split) for path in paths]
    return Found(files, _in_order(classes), problems, hidden)


def _splits_of(names):
    """{subfolder: split} where the subfolders are a split, each with a folder per class; else {}."""
    used = [name for name in names if name.lower() not in _UNUSED_FOLDERS]
    splits = {name: _SPLIT_FOLDERS.get(name.lower()) for name in used}
    return splits if sorted(map(str, splits.values())) == sorted(SPLITS) else {}


def _in_order(names):
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if numbers else sorted(names)


def _listing(folder):
    """(subfolders, files, number of hidden entries), sorted."""
    folders, files, hidden = [], [], 0
    for entry in os.scandir(folder):
        lower = entry.name.lower()
        if entry.name.startswith(".") or lower in _LITTER or lower in _LITTER_FOLDERS:
            hidden += 1
        elif entry.is_dir():
            folders.append(entry.name)
        else:
            files.append(entry.name)
    return sorted(folders), sorted(files), hidden


def _files_below(root, folder, problems):
    """(paths of the files that may be images, number of hidden ones) of a class, however deep; adds to `problems`."""
    found, hidden, seen = [], 0, set()
    left = [folder]
    while left:
        place = left.pop(0)
        real = os.path.realpath(os.path.join(root, place))
        if real in seen:
            problems.append((place, "a link to a folder that is read already"))
            continue
        seen.add(real)
        try:
            folders, files, more = _listing(os.path.join(root, place))
        except OSError as error:
            problems.append((place, f"cannot be read ({error.strerror})"))
            continue
        hidden += more
        left += [f"{place}/{name}" for name in folders]
        for path in (f"{place}/{name}" for name in files):
            fault = _fault_of_name(path)
            if fault:
                problems.append((path, fault))
            else:
                found.append(path)
    return found, hidden


def _fault_of_name(path):
    """Why a list cannot hold the path, or a training would not take it for an image; "" when it can."""
    if not is_image_name(path):
        return f"the ending is not an image's; known: {', '.join(IMAGE_SUFFIXES)}"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    if path != path.rstrip() or "\n" in path or "\r" in path:
        return "a list cannot hold its name, which has a new line, or a space at the end: rename it"
    return ""
