"""Read a requirements.txt as pip does: what it installs, and which of it is Paddle.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

import codecs
import re
import shlex
from functools import cached_property
from pathlib import Path

from script import UserError

_PADDLE = re.compile(r"paddlepaddle([-_.](gpu|xpu|npu|rocm|dcu))?\s*(\[|[=<>!~;@(]|$)", re.IGNORECASE)
_FILE = re.compile(r"(-r|--requirement|-c|--constraint|-f|--find-links)(?:\s+|=|(?<=-[rcf]))(.+)")


class RequirementsList:
    """The list at `path`, with those that it names by `-r` in their place. OSError, UserError: one cannot be read.

    `lines`: all of it, without comments; files in options have absolute paths, so that the lines mean the same in a
    file anywhere. `further`: the other files that were read or are named as constraints.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.further = []
        self.lines = list(self._read(self.path, ()))

    @cached_property
    def options(self):
        """Lines such as `--find-links PAGE`, which speak of all the others."""
        return [line for line in self.lines if line.startswith("-") and not _is_editable(line)]

    @cached_property
    def paddle(self):
        """The requirements that are Paddle: usually one, more with markers, or none."""
        return [line for line in self.lines if _PADDLE.match(line)]

    @cached_property
    def others(self):
        """All other requirements."""
        return [line for line in self.lines if line not in self.options and line not in self.paddle]

    @property
    def has_pinned_paddle(self):
        """Whether the list says which Paddle it wants: a version, or a file."""
        return any("==" in line.split(";")[0] or "@" in line for line in self.paddle)

    def lines_of(self, name):
        """The requirements for the package of that name."""
        return [line for line in self.lines if re.match(rf"{re.escape(name)}(?![\w.-])", line, re.IGNORECASE)]

    def _read(self, path, parents):
        for line in _logical_lines(_decode(path.read_bytes())):
            found = _FILE.fullmatch(line)
            if not found:
                yield line
                continue
            option, value = found[1], _unquote(found[2], path)
            file = path.parent / value
            if "://" in value or (option in ("-f", "--find-links") and not file.exists()):
                yield line
                continue
            if option in ("-r", "--requirement"):
                if file.resolve() in (path.resolve(), *parents):
                    raise UserError(f"{path}: '{line}' leads back to a list that is being read")
                self.further.append(file)
                yield from self._read(file, (path.resolve(), *parents))
            else:
                if option in ("-c", "--constraint"):
                    self.further.append(file)
                yield f"{option} {shlex.quote(str(file.absolute()))}"


def _decode(data):
    """Text in UTF-8, or UTF-16 as PowerShell writes it; other bytes, which are found in comments, are replaced."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def _logical_lines(text):
    """Lines that are continued with a backslash in one piece; without comments and blank lines."""
    whole = ""
    for line in text.splitlines():
        bare = re.sub(r"(^|\s+)#.*", "", line)
        if line == bare and line.endswith("\\"):
            whole += line[:-1]
            continue
        whole = (whole + bare).strip()
        if whole:
            yield whole
        whole = ""
    if whole.strip():
        yield whole.strip()


def _is_editable(line):
    return re.match(r"(-e|--editable)", line) is not None


def _unquote(text, path):
    try:
        (word,) = shlex.split(text)
    except ValueError:
        raise UserError(f"{path}: expected one file, found '{text}'") from None
    return word
