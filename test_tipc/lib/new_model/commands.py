"""The commands of a project: each script with its options, and with the config and the `-o` that suites have."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple, Optional

from new_model import choices
from new_model.options import UNKNOWN, Option, options_of, options_of_help
from new_model.yaml_keys import included, read_keys

_CONFIG_FOLDERS = {"configs", "config", "cfgs", "conf"}


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


def command_of(project, path, name, left, python=None, is_inference=False):
    """(the Command of a script, the options that it demands). What is not known is added to `left`.

    `python` may run the script's --help. The config of an inference is another one than that of the training.
    """
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
    is_override = override is not None and "-o" in override.flags
    words, keys = path, {}
    if config is not None and (is_override or not is_inference):
        file = inference_config(project) if is_inference else config_file(project, name)
        if file is None and (config.required or config.default in (None, UNKNOWN, "") or is_override):
            left.append(f"{path} needs {config.flag}, and no config is called like {name}: {_how_to_name_it(project)}")
        elif file is not None:
            words += f" {_short(config)} {file}"
            keys = _keys(project, file)
    if is_override and override.several:
        words += f" {_short(override)}"
    required = [option.flag for option in options if option.required and option is not config]
    return Command(path, options, words, override if is_override else None, tuple(keys), keys), required


def _how_to_name_it(project):
    example = next(iter(_configs(project)), "")
    other = f", or begin again with the NAME of one, such as {PurePosixPath(example).stem}" if example else ""
    return f"write it behind the script{other}"


def inference_config(project):
    """The YAML config of a script that runs an exported model: one that has a key for the model's folder."""
    for path in _configs(project):
        if "infer" in path.rpartition("/")[2] and choices.choose_key(_keys(project, path), choices.MODEL):
            return path
    return None


def config_file(project, name):
    """The YAML config of the model: that which is called so, or the only one."""
    files = _configs(project)
    same = [path for path in files if plain(path.rpartition("/")[2].rpartition(".")[0]) == plain(name)]
    alike = [path for path in files if plain(name) in plain(path.rpartition("/")[2])]
    return next(iter(same or alike or (files if len(files) == 1 else [])), None)


def _configs(project):
    files = [path for path in project.files if re.search(r"\.ya?ml$", path) and "_base_" not in path.lower()]
    return [path for path in files if not _CONFIG_FOLDERS.isdisjoint(path.split("/")[:-1])]


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


def plain(text):
    """Letters and digits in lower case: `PP_LiteSeg-x` and `ppliteseg_x` are alike."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
