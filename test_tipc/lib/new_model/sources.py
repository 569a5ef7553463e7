"""The Python files of a project, read without running them."""

import ast
import os
import re
import warnings
from functools import cached_property
from pathlib import Path

LARGEST = 1_000_000  # bytes of a script: no one has written a larger one by hand
MOST = 4000  # files that are looked at
DEEPEST = 6  # folders below the project
# what is not the project's own code, or is made by its runs
SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist", "output", "outputs", "log", "logs"}
_PATH = re.compile(r"[A-Za-z0-9_./+@-]+")  # what a line of a config can hold as it is


class Source:
    """A Python file: `path` from the project's root, `text`, and `tree`; `fault` says why there is no tree."""

    def __init__(self, path, text=None, fault=""):
        self.path, self.text, self.fault = path, text or "", fault
        self.tree = None
        if text is not None:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of old string escapes
                    self.tree = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                line = getattr(error, "lineno", None)
                self.fault = f"is no Python that this Python reads ({getattr(error, 'msg', error)}, line {line})"

    @property
    def name(self):
        """The file's name without .py."""
        return Path(self.path).stem

    @property
    def folders(self):
        """The names of its folders, from the root."""
        return Path(self.path).parts[:-1]


class Project:
    """The files of the folder `root`. `sources` keeps what was read."""

    def __init__(self, root):
        self.root = Path(root)
        self.sources = {}

    @property
    def files(self):
        """The paths of its regular files, in the order of their depth."""
        return self._walked[0]

    @property
    def folders(self):
        """The paths of its folders, and of links to folders."""
        return self._walked[1]

    @cached_property
    def _walked(self):
        return _walk(self.root)

    def has(self, path):
        """Whether the path is that of a regular file in the project, which no link leads out of."""
        place = self.root / path
        return bool(_PATH.fullmatch(path)) and place.is_file() and self.root.resolve() in place.resolve().parents

    def scripts(self):
        """The paths of all Python files, those next to the root first."""
        return [path for path in self.files if path.endswith(".py")]

    def source(self, path):
        """The `Source` of a path."""
        if path not in self.sources:
            self.sources[path] = self._read(path)
        return self.sources[path]

    def module(self, name, folder, level=0):
        """The path of the module that a script in `folder` (from the root) imports as `name`, behind `level` dots; None
        where the project has none. An absolute one may be next to the script, or in any folder above it."""
        above = folder.split("/") if folder else []
        depths = [len(above) - level + 1] if level else range(len(above), -1, -1)
        for depth in (depth for depth in depths if depth >= 0):
            base = "/".join([*above[:depth], *filter(None, name.split("."))])
            for path in (f"{base}.py", f"{base}/__init__.py".lstrip("/")):
                if self.has(path):
                    return path
        return None

    def _read(self, path):
        file = self.root / path
        try:
            size = file.stat().st_size
            if size > LARGEST:
                return Source(path, fault=f"has {size} bytes: more than {LARGEST} are not read")
            return Source(path, file.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            return Source(path, fault=f"cannot be read ({error.strerror})")


def _walk(root):
    """(paths of regular files in the order of their depth, paths of folders); links to folders are not followed, and
    links out of the project do not count."""
    files, folders, waiting, real = {}, [], [root], root.resolve()
    while waiting and len(files) < MOST:
        folder = waiting.pop(0)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            path = Path(entry.path).relative_to(root)
            try:
                if entry.is_dir(follow_symlinks=False):
                    if _is_own(entry.name) and len(path.parts) <= DEEPEST:
                        waiting.append(Path(entry.path))
                        folders.append(path.as_posix())
                elif entry.is_dir():  # a link: data may lie elsewhere, code may not
                    folders.append(path.as_posix())
                elif entry.is_file() and _PATH.fullmatch(path.as_posix()) and _is_inside(entry, real):
                    files[path.as_posix()] = None
            except (OSError, RuntimeError):  # a circle of links
                continue
    return files, folders


def _is_inside(entry, real):
    return not entry.is_symlink() or real in Path(entry.path).resolve().parents


def _is_own(name):
    return name not in SKIPPED and not name.startswith(".") and not name.startswith(("venv", "env-"))
