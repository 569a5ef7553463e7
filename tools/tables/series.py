"""The series of networks that a model belongs to, with its paper and its pages: docs/models/series.yaml."""

from fnmatch import fnmatchcase
from typing import NamedTuple, Optional

from ppcls_lite.utils.config import read_yaml
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO

SERIES = REPO / "docs/models/series.yaml"
OWN = "own/"  # begins the pages of networks that were added


class Series(NamedTuple):
    """One entry of the file; `paper` is {"title", "url"} or None, `page` the name of a page in docs/models or None."""

    name: str
    number: int  # its place in the file
    models: list
    page: Optional[str]
    type: str
    paper: Optional[dict]
    official: str
    recipes: str


def read_series(path=SERIES):
    """All `Series` in their order. Raises UserError where an entry does not have the fields of one."""
    series = []
    for number, (name, fields) in enumerate(read_yaml(path).items()):
        try:
            series.append(Series(name, number, **fields))
        except TypeError as error:
            expected = ", ".join(Series._fields[2:])
            raise UserError(f"{path}: {name}: expected the keys {expected} ({error})") from error
    return series


def series_of(model, all_series):
    """The first `Series` that has `model`; UserError when there is none."""
    for series in all_series:
        if any(fnmatchcase(model, pattern) for pattern in series.models):
            return series
    raise UserError(f"{SERIES}: no series has a pattern for the model '{model}'; add it")


def is_own(model, all_series):
    """Whether a network is one that test_tipc/new_model.sh, or a reader of the documents, has added: nothing was
    measured of it, and there are no official weights."""
    try:
        return (series_of(model, all_series).page or "").startswith(OWN)
    except UserError:
        return True
