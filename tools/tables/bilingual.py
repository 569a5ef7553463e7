"""Tables in Chinese and English, written between markers of documents: `<!-- KIND NAME zh: begin -->`."""

import os
from pathlib import Path

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO, replace_block

LANGUAGES = ("zh", "en")


class Writer:
    """Texts of one language, with links that lead from the folder of one document.

    `words`: {name: (Chinese, English)}; a name that is not in it is its own text.
    """

    def __init__(self, words, language, folder):
        self.words = words
        self.number = LANGUAGES.index(language)
        self.folder = folder

    def word(self, name):
        return self.words[name][self.number] if name in self.words else name

    def link(self, text, target):
        """A link to an address, or to a path from the root of the repository."""
        if not target.startswith("https://"):
            target = Path(os.path.relpath(REPO / target, self.folder)).as_posix()
        return f"[{text}]({target})"

    def table(self, heading, lines):
        """A table in Markdown; `heading` has names of words, `lines` have texts."""
        head = [self.word(name) for name in heading]
        rows = [head, ["---"] * len(head), *lines]
        return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def unique(texts):
    return list(dict.fromkeys(texts))


def find_blocks(path, kind, tables):
    """[(begin, end, table, language)] of the blocks in a file; UserError when it has none.

    `tables`: {name: what writes the block of that name}.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    found = []
    for name, table in tables.items():
        for language in LANGUAGES:
            begin, end = (f"<!-- {kind} {name} {language}: {which} -->" for which in ("begin", "end"))
            if begin in text:
                found.append((begin, end, table, language))
    if not found:
        raise UserError(f"{path}: expected a line such as '<!-- {kind} {next(iter(tables))} zh: begin -->'")
    return found


def update_blocks(path, kind, tables, words, *facts):
    """Renew all blocks of a file with what `table(*facts, Writer)` returns for each."""
    for begin, end, table, language in find_blocks(path, kind, tables):
        replace_block(path, begin, end, table(*facts, Writer(words, language, Path(path).resolve().parent)))
