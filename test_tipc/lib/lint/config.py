"""A config as its bytes are, and as the chain that it is for reads it."""

import re
from pathlib import Path
from typing import NamedTuple

from new_model import TO_DO

TITLE = re.compile(r"=+\s*([A-Za-z0-9_]+)\s*=+")
SEPARATOR = re.compile(r"#+")


class Line(NamedTuple):
    """A line that has something in it."""

    number: int  # from 1
    text: str  # without its end
    key: str  # what is before the first colon; in a C++ config without a title, the first word
    value: str
    title: str  # of its section
    part: int  # counts titles and separators before it

    @property
    def has_colon(self):
        return ":" in self.text

    def with_value(self, value):
        """The text of the line with another value."""
        return self.text.rstrip()[: len(self.text.rstrip()) - len(self.value)] + value if self.value else self.text


class Config:
    """One file.

    path      as it is printed
    raw       its bytes; `lines` are those of its text after repair of what `text` finds: ends of lines, BOM, encoding;
              without those of the section TO_DO
    left      how many lines that section has
    chain     the script test_<chain>.sh that reads it, "" where none does, and then `reason` says why
    dialect, fields {line number: what the line is for}, notes, refused, modes {mode: [message]}, commands [(folder,
    command)]    what the reader said
    project, checks_scripts    the folder whose scripts it names, and whether it has any
    """

    def __init__(self, path):
        self.path, self.place = str(path), Path(path)
        self.chain = self.reason = ""
        self.project, self.checks_scripts = None, False
        self.read_again()

    def read_again(self):
        """Read the bytes of the file, and forget what the reader said."""
        self.raw = self.place.read_bytes()
        self.text = self.raw.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        self.lines, self.titles = [], []
        self.dialect = self.refused = ""
        self.fields, self.modes, self.notes, self.commands = {}, {}, [], []
        self.plain = not any(map(TITLE.fullmatch, map(str.strip, self.text.split("\n")))) and not self._is_lite()
        self._read_lines()

    def _is_lite(self):
        return self.text.lstrip().startswith("runtime_device:")

    def _read_lines(self):
        title, part, self.left = "", 0, 0
        for number, text in enumerate(self.text.split("\n"), 1):
            stripped = text.strip()
            if not stripped:
                continue
            found = TITLE.fullmatch(stripped)
            if found:
                title, part = found[1], part + 1
                self.titles.append((number, title))
            elif SEPARATOR.fullmatch(stripped):
                part += 1
            elif title == TO_DO:
                self.left += 1  # a sentence, which nothing reads
            elif self.plain:
                key, _, value = stripped.partition(" ")
                if not stripped.startswith("#"):
                    self.lines.append(Line(number, text, key, value.strip(), "", part))
            else:
                key, _, value = stripped.partition(":")
                self.lines.append(Line(number, text, key.strip(), value.strip(), title, part))

    def line_at(self, number):
        """The `Line` of that number, None where there is nothing in it."""
        return next((line for line in self.lines if line.number == number), None)

    def field_of(self, line):
        return self.fields.get(line.number, "")
