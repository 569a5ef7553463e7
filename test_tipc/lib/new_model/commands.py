"""The commands of a project: each script with its options, and with the config and the `-o` that suites have."""

import re
from typing import NamedTuple, Optional

from new_model import choices
from new_model.options import UNKNOWN, Option, options_of, options_of_help
from new_model.yaml_keys import included, read_keys

_CONFIG_FOLDERS = ("configs", "config", "cfgs", "conf")


class Command(NamedTuple):
    """A script of a role, its options, and the words that start it."""

    path: str
    options: list
    words: str
    override: Optional[Option] = None  # its -o
    keys: tuple = ()  # of its YAML config, which -o sets
    defaults: Optional[dict] = None  # of those

    def find(self, names):
        """(key of a line, default, Option or None) for the first of the names that this command takes; None."""
        option = choices.choose(self.options, names)
        if option is not None:
            return option.flag, option.default, option
        if self.override is not None:
            key = choices.choose_key(self.keys, names)
            if key:
                flag = "" if self.override.several else f"{_short(self.override)} "
                return f"{flag}{key}", self.defaults[key] or None, None
        return None


def command_of(project, path, name, left, python=None):
    """The Command of a script. What is not known is added to `left`. `python` may run the script's --help."""
    source = project.source(path)
    if source.fault:
        left.append(f"{path} {source.fault}: write its options into the lines of its command")
    options = options_of(project, path)
    if not options and python:
        options = options_of_help(project, path, python)
    if not options and not source.fault:
        left.append(f"{path}: no option was found: write them into the lines of its command")
    config = choices.choose(options, choices.CONFIG)
    override = choices.choose(options, choices.OVERRIDE)
    is_override = override is not None and (override.several or "-o" in override.flags)
    words, keys = path, {}
    if config is not None and (config.required or config.default in (None, UNKNOWN, "") or is_override):
        file = config_file(project, name)
        if file is None:
            left.append(f"{path} needs {config.flag}, and no config was found: write it behind the script")
        else:
            words += f" {_short(config)} {file}"
            keys = _keys(project, file)
    if is_override and override.several:
        words += f" {_short(override)}"
    required = [option.flag for option in options if option.required and option is not config]
    return Command(path, options, words, override if is_override else None, tuple(keys), keys), required


def config_file(project, name):
    """The YAML config of the model: that which is called so, or the only one."""
    files = [
        path
        for path in project.files
        if re.search(r"\.ya?ml$", path) and path.split("/")[0] in _CONFIG_FOLDERS and "_base_" not in path.lower()
    ]
    same = [path for path in files if _plain(path.rpartition("/")[2].rpartition(".")[0]) == _plain(name)]
    alike = [path for path in files if _plain(name) in _plain(path.rpartition("/")[2])]
    return next(iter(same or alike or (files if len(files) == 1 else [])), None)


def _keys(project, file, depth=0):
    """{dotted key: value} of a config and of those that it includes."""
    path = project.root / file
    try:
        if path.stat().st_size > 1_000_000:
            return {}
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    keys = read_keys(text)
    for other in included(text) if depth < 3 else ():
        inner = (path.parent / other).resolve()
        if project.root.resolve() in inner.parents and inner.is_file():
            found = _keys(project, inner.relative_to(project.root.resolve()).as_posix(), depth + 1)
            keys = {**found, **keys}
    return keys


def _short(option):
    return min(option.flags, key=len)


def _plain(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())
