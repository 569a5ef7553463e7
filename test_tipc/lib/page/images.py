"""Where the project has the images that a bundle's predictions are of."""

import hashlib
import os
import re
import shlex
from pathlib import Path

from page.source import mapping, read

LARGEST = 32 << 20  # bytes of an image
_MOST_FILES = 20000  # in the folders that the commands name; of more, no image is looked for
_OPTION = re.compile(r"im(a?ge?s?)?|input|data|infer", re.IGNORECASE)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def find_images(source, names):
    """{name: path} of those images that the run saw, where the project has them: in the folders that the commands
    name, or else by the list of inputs. A name may have folders before it.

    No name is in it that several different files have, as nobody knows which of them was predicted, nor one whose file
    is another than in the list of inputs.
    """
    root, names = source.root.resolve(), set(names)
    listed, named, found = _listed(source, names), _below_places(source, root, names), {}
    for name in names:
        seen = listed.get(name, {})
        places = named.get(name) or [root / path for path in seen if len(set(seen.values())) == 1]
        digests = {digest: path for path in places if _is_below(path, root) and (digest := _digest(path))}
        if len(digests) == 1:
            ((digest, path),) = digests.items()
            if seen.get(path.relative_to(root).as_posix(), digest) == digest:
                found[name] = path
    return found


def _listed(source, names):
    """{name: {path: SHA-256}} of the list of inputs, for files of these names."""
    found = {}
    wanted = _by_base(names)
    for line in read(source.file(mapping(source.content.get("inputs")).get("file"))).splitlines():
        digest, _, path = line.partition("  ")
        for name in _names_of(path, wanted):
            found.setdefault(name, {})[path] = digest
    return found


def _below_places(source, root, names):
    """{name: [path]} of the folders and files that the commands name; {} where they have too many files."""
    found, seen, wanted = {}, 0, _by_base(names)
    for place in _places(source, root):
        for path in [place] if place.is_file() else _files_below(place):
            seen += 1
            if seen > _MOST_FILES:
                return {}
            for name in _names_of(path.as_posix(), wanted):
                found.setdefault(name, []).append(path)
    return found


def _by_base(names):
    """{name without its folders: [names]}."""
    found = {}
    for name in names:
        found.setdefault(name.rpartition("/")[2], []).append(name)
    return found


def _names_of(path, wanted):
    """The names that an image's path ends with."""
    base = path.rpartition("/")[2]
    if base not in wanted or Path(base).suffix.lower() not in _SUFFIXES:
        return []
    return [name for name in wanted[base] if f"/{path}".endswith(f"/{name}")]


def _is_below(path, root):
    return root in Path(os.path.normpath(path)).parents


def _digest(path):
    """The SHA-256 of a file; None where there is none, or it is too large to be shown."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size <= LARGEST else None
    except (OSError, ValueError):
        return None


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
        if (value and _OPTION.search(name)) or (_OPTION.search(before) and before.startswith("-") and not equals):
            yield value or word


def _files_below(folder):
    for place, _, files in os.walk(folder):
        for name in files:
            yield Path(place, name)
