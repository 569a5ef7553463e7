"""What a network of one's own is called in each place, and which names are free. For new_model.py; needs no package."""

import builtins
import keyword
import re
from pathlib import Path
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.registered import read_registered

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_WIDTH = re.compile(r"_x(\d+)_(\d+)$")
_IN_USE = ("ARCH", "ConvBN", "Network", "nn", "paddle")  # by the file of the network itself
_CHANNELS = 16  # of the first map at width 1.0


class Names(NamedTuple):
    """All names of a network; paths are from the root of the repository."""

    name: str  # in configs and commands
    class_name: str
    module: str  # its file in ppcls_lite/arch, without .py
    width: int  # channels of the first map

    @classmethod
    def of(cls, name):
        """The names for the network `name`; UserError for one that cannot be used."""
        if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name.endswith("_"):
            reason = "is a word of Python" if keyword.iskeyword(name) else "is not a name"
            raise UserError(
                f"{name!r:.80} {reason}: expected letters, digits and _, beginning with a letter, at most 64, "
                "such as MyNet or MyNet_x1_0"
            )
        scale = _WIDTH.search(name)
        stem = name[: scale.start()] if scale else name
        class_name = "".join(part[:1].upper() + part[1:] for part in stem.split("_"))
        module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", stem).lower().replace("__", "_")
        if keyword.iskeyword(module) or keyword.iskeyword(module.title()):
            module += "_net"
        if {name, class_name} & set(_IN_USE):
            raise UserError(f"'{name}' cannot be used: the file of the network needs {', '.join(_IN_USE)} itself")
        if hasattr(builtins, name) or hasattr(builtins, class_name):  # `def super(…)` would hide what the file calls
            raise UserError(f"'{name}' cannot be used: Python has that name already; try My{class_name}")
        width = float(f"{scale[1]}.{scale[2]}") if scale else 1.0
        return cls(name, class_name, module, max(1, round(_CHANNELS * width)))

    @property
    def arch(self):
        return f"ppcls_lite/arch/{self.module}.py"

    @property
    def yaml(self):
        return f"ppcls_lite/configs/{self.name}.yaml"

    @property
    def configs(self):
        return f"test_tipc/configs/{self.name}"

    @property
    def config(self):
        return f"{self.configs}/train_infer_python.txt"

    @property
    def page(self):
        return f"docs/models/own/{self.name}.md"

    @property
    def test(self):
        return f"tests/arch/test_{self.module}.py"


def check_free(root, names):
    """UserError that says what is there already, in any spelling of upper and lower case, if anything is."""
    for known in read_registered(root):
        if known.lower() == names.name.lower():
            raise UserError(f"{names.name}: the network {known} is there already{_there(root, names)}")
    for place in (names.arch, names.yaml, names.configs, names.page, names.test):
        path = Path(root, place)
        same = [found for found in _listed(path.parent) if found.lower() == path.name.lower()]
        if same:
            hint = ""
            if place == names.arch:
                hint = f"; another width or depth of a network is registered in its file: {place}"
            raise UserError(f"{names.name}: {path.parent.relative_to(root)}/{same[0]} is there already{hint}")


def find_source(root, source):
    """The file that registers the network `source`; UserError where there is no such network."""
    networks = read_registered(root, ("ARCH",))
    if source not in networks:
        raise UserError(f"--from: unknown network '{source}'{nearest(source, networks)}")
    return networks[source]


def _there(root, names):
    places = (names.arch, names.yaml, names.configs, names.page, names.test)
    found = [place for place in places if Path(root, place).exists()]
    return f": {', '.join(found)}" if found else ""


def _listed(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
