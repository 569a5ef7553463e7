"""Writing a data set in the ImageNet layout, whole or not at all."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from ppcls_lite.utils.errors import UserError

DATASET_ENTRIES = frozenset(
    ["train", "val", "train_list.txt", "val_list.txt", "label_list.txt", "SOURCES.md", "manifest.json"]
)


@contextmanager
def replace_folder(target, entries=DATASET_ENTRIES):
    """Give a temporary folder beside `target`; it takes the target's place when the block ends well.

    An exception inside the block leaves `target` as it was. `entries` are the file names (or `*.suffix`
    patterns) that an existing target may hold: anything else raises UserError, because replacing a folder
    deletes it and a mistyped path must not cost the user's files.
    """
    target = Path(target).resolve()
    _refuse_foreign(target, entries)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile.mkdtemp: its 0700 mode would survive the rename.
    fresh = target.parent / f".{target.name}.{os.getpid()}.new"
    old = target.parent / f".{target.name}.{os.getpid()}.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        if target.exists():
            target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign(target, entries):
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"{target}: is a file, expected a folder to write the data set to")
    for path in sorted(target.iterdir()):
        if not any(path.match(pattern) for pattern in entries):
            raise UserError(
                f"{target}: holds '{path.name}', which no data set made here has; "
                "expected a new or empty folder, or an earlier output of this script"
            )


def write_lists(folder, rows, names):
    """Write train_list.txt, val_list.txt (`<path> <class_id>`) and label_list.txt (`<id> <name>`).

    `rows` maps "train" and "val" to lists of (path relative to `folder`, class id); `names` is the class
    names in id order. The form is PaddleClas's `cls_label_path` and `class_id_map_file`.
    """
    folder = Path(folder)
    for split, lines in rows.items():
        write_text(folder / f"{split}_list.txt", "".join(f"{path} {label}\n" for path, label in lines))
    write_text(folder / "label_list.txt", "".join(f"{i} {name}\n" for i, name in enumerate(names)))


def write_text(path, text):
    """UTF-8 with Unix line ends on every system, so that equal inputs give equal bytes."""
    Path(path).write_bytes(text.encode("utf-8"))
