"""The list of a gallery's images: one `path<delimiter>name` a line."""

import os
from typing import NamedTuple

from ppcls_lite.data.image_lists import read_lines
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


class Line(NamedTuple):
    """An image: its path as written, its name ("" where none is given), the line's number from 1."""

    path: str
    name: str
    number: int


def read_data_file(path, delimiter, named=True):
    """The `Line`s of a file. With `named` False, a line may be a path alone.

    What is after the first delimiter is the name. An image that occurs twice with the same name counts once, and the
    log says so. UserError, with the line, for one without a name, and for an image with two of them.
    """
    lines, repeated = {}, []
    for number, text in read_lines(path):
        image, _, name = (part.strip() for part in text.partition(delimiter))
        if not image or (named and not name):
            raise UserError(f"{path}:{number}: expected '<path>{_shown(delimiter)}<name>', found {text!r:.120}")
        line = Line(os.path.normpath(image), name, number)
        first = lines.setdefault(line.path, line)
        if first.name != line.name:
            raise UserError(
                f"{path}:{number}: {image} is {line.name!r} here, and {first.name!r} in line {first.number}"
            )
        if first is not line:
            repeated.append(image)
    if not lines:
        raise UserError(f"{path}: expected lines '<path>{_shown(delimiter)}<name>', found none")
    if repeated:
        logger.warning(f"{path}: images that occur twice, and count once: {len(repeated)}, e.g. {repeated[0]}")
    return list(lines.values())


def _shown(delimiter):
    return "<TAB>" if delimiter == "\t" else delimiter
