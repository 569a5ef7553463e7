"""Lists of image pairs: LFW's `pairs.txt`, CFP's protocol folder, and plain lines of two paths and 0 or 1."""

from pathlib import Path
from typing import NamedTuple

from ppcls_lite.data.image_lists import read_lines
from ppcls_lite.utils.errors import UserError

_CFP_LISTS = {"F": "Pair_list_F.txt", "P": "Pair_list_P.txt"}  # of frontal and of profile images
_TRUTH = {"1": True, "0": False}


class ListedPair(NamedTuple):
    """Two paths as the list means them, whether both show the same identity, and where that is written."""

    first: str
    second: str
    same: bool
    place: str


def read_pair_list(path, delimiter=None):
    """The `ListedPair`s of a list file, or of CFP's folder `Protocol/Split/FP` (or FF), in their order.

    A file whose first line is one or two whole numbers is LFW's: `10 300` says ten sets of 300 pairs of one name
    (`name i j`) and 300 of two (`name1 i name2 j`), `1100` one such set; image i of a name is name/name_000i.jpg. Any
    other file has lines `<path> <path> <0 or 1>`, separated by `delimiter`, or else by tabs where the line has any, or
    else by blanks. Raises UserError with file and line for any other line, and for a wrong number of LFW's lines.
    """
    path = Path(path)
    if path.is_dir():
        return _read_cfp(path)
    lines = read_lines(path)
    if not lines:
        raise UserError(f"{path}: the list file is empty")
    header = lines[0][1].split()
    if len(header) <= 2 and all(_is_number(word) for word in header):
        return _read_lfw(path, lines, [int(word) for word in header])
    return [_plain_pair(path, number, line, delimiter) for number, line in lines]


def _is_number(word):
    return word.isascii() and word.isdigit() and len(word) < 10


def _plain_pair(path, number, line, delimiter):
    words = [word.strip() for word in line.split(delimiter or ("\t" if "\t" in line else None))]
    if len(words) != 3 or not all(words) or words[2] not in _TRUTH:
        raise UserError(f"{path}:{number}: expected '<path> <path> <0 or 1>', found {line!r:.120}")
    return ListedPair(words[0], words[1], _TRUTH[words[2]], f"{path}:{number}")


def _read_lfw(path, lines, header):
    sets, size = header if len(header) == 2 else (1, header[0])
    if len(lines) - 1 != 2 * sets * size:
        raise UserError(
            f"{path}:1: '{lines[0][1]}' means {2 * sets * size} pairs, found {len(lines) - 1} lines below it"
        )
    return [_lfw_pair(path, number, line) for number, line in lines[1:]]


def _lfw_pair(path, number, line):
    words = line.split("\t") if "\t" in line else line.split()
    if len(words) == 3:
        words = [words[0], words[1], words[0], words[2]]
        same = True
    else:
        same = False
    if len(words) != 4 or not _is_number(words[1]) or not _is_number(words[3]):
        raise UserError(f"{path}:{number}: expected 'name i j' or 'name1 i name2 j', found {line!r:.120}")
    first, second = (f"{name}/{name}_{int(image):04d}.jpg" for name, image in (words[:2], words[2:]))
    return ListedPair(first, second, same, f"{path}:{number}")


def _read_cfp(folder):
    """CFP: ten folders with same.txt and diff.txt of lines `i,j`, numbers of the two lists of images above `Split`."""
    kinds = folder.name
    if kinds not in ("FF", "FP"):
        raise UserError(f"{folder}: expected a list file, or CFP's folder Protocol/Split/FP or Protocol/Split/FF")
    names = [_read_cfp_images(folder.parent.parent / _CFP_LISTS[kind]) for kind in kinds]
    folds = sorted(child for child in folder.iterdir() if child.is_dir())
    if not folds:
        raise UserError(f"{folder}: expected folders 01 to 10 with same.txt and diff.txt, found none")
    pairs = []
    for fold in folds:
        for name, same in (("same.txt", True), ("diff.txt", False)):
            for number, line in read_lines(fold / name):
                words = [word.strip() for word in line.split(",")]
                if len(words) != 2 or words[0] not in names[0] or words[1] not in names[1]:
                    raise UserError(f"{fold / name}:{number}: expected two numbers of images, found {line!r:.60}")
                pairs.append(ListedPair(names[0][words[0]], names[1][words[1]], same, f"{fold / name}:{number}"))
    return pairs


def _read_cfp_images(path):
    """{number as text: path} of `Pair_list_F.txt`, lines such as `1 ../Data/Images/001/frontal/01.jpg`."""
    images = {}
    for number, line in read_lines(path):
        words = line.split(None, 1)
        if len(words) != 2 or not _is_number(words[0]):
            raise UserError(f"{path}:{number}: expected '<number> <path>', found {line!r:.120}")
        images[words[0]] = words[1].removeprefix("../")
    return images
