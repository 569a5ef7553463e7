"""Which Paddle is installed, and what is known of its versions. Nothing here imports Paddle, which takes a second."""

import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError, nearest

NO_PDMODEL = (3, 2)  # from here on, functions that moved to C++ do not take the variables of the old programs
_HAS_JSON = (3, 0)
_ONEDNN_FAULT = ((3, 3, 0), (3, 3, 1))  # the first and the last version, of Paddle issue 77340
_FULL_VERSION = re.compile(r"^full_version\s*=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)


def installed():
    """The version of the installed Paddle, such as `3.1.1`; UserError where there is none."""
    spec = importlib.util.find_spec("paddle")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "version", "__init__.py")
        found = path.is_file() and _FULL_VERSION.search(path.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
    raise UserError("this Python has no Paddle: pip install -r requirements.txt, or TIPC_PYTHON for the chains")


def number(version=None):
    """The version as three numbers; a build of the development branch, which calls itself 0.0.0, is newer than all."""
    parts = [int(part) for part in re.findall(r"\d+", version or installed())[:3]]
    parts += [0] * (3 - len(parts))
    return tuple(parts) if any(parts) else (99, 0, 0)


class ExportFormat(NamedTuple):
    """`pdmodel` or `json`, and why."""

    name: str
    why: str

    @property
    def structure(self):
        """The structure file's usual name."""
        return f"inference.{self.name}"


def export_format(stated=None):
    """The `ExportFormat` of a new export; `stated` is the config's `Global.export_format`, or None.

    Raises UserError for a format that this Paddle does not have.
    """
    version = installed()
    if stated not in (None, "pdmodel", "json"):
        hint = nearest(stated, ("pdmodel", "json"))
        raise UserError(f"Global.export_format: expected pdmodel or json, found '{stated}'{hint}")
    if stated == "json" and number(version) < _HAS_JSON:
        raise UserError(f"Global.export_format: expected pdmodel, found json, which Paddle {version} does not have")
    if stated:
        return ExportFormat(stated, "as Global.export_format says")
    if number(version) < NO_PDMODEL:
        return ExportFormat("pdmodel", "which every Paddle reads, and Paddle Lite and C++ servers need")
    return ExportFormat("json", f"the only one that Paddle {version} writes (pdmodel ended with 3.1)")


def why_no_onednn(is_json):
    """Why oneDNN is left out for a model of this format with the installed Paddle, or an empty string."""
    version = installed()
    first, last = _ONEDNN_FAULT
    if is_json and first <= number(version) <= last:
        return f"Paddle {version} has a fault with oneDNN on inference.json (Paddle issue 77340)"
    return ""
