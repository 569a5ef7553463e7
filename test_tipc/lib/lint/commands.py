"""The commands that the chain makes of a config: their scripts, options, and keys of YAML files."""

import difflib
import functools
import os
import re
import shlex

from lint.findings import ERROR, WARNING, Finding, check, did_you_mean
from lint.values import is_swapped
from lint.yaml_keys import OPAQUE, keys_of
from new_model.options import all_spellings
from new_model.sources import Project

OVERRIDES = ("-o", "--opt", "--opts", "--override")
_NUMBER = re.compile(r"-\d+(\.\d+)?(,-?\d+)*")


@check
def commands(config):
    """Every command that --dry_run would print: does its script have the options, and its YAML file the keys?"""
    told = set()
    for folder, command in config.commands:
        words = _script_and_words(command)
        if not words or words[0].startswith(("/", "test_tipc/")):
            continue
        for finding in _of_command(config, folder, words[0], words[1:]):
            if finding not in told:
                told.add(finding)
                yield finding


def _script_and_words(command):
    """[script, word, …] of `python [-m launcher options] script …`; [] of any other command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if not words or words[0] != "python":
        return []
    if words[1:2] == ["-m"] and not (len(words) > 2 and words[2].startswith("paddle.distributed")):
        return []
    script = next((at for at, word in enumerate(words) if word.endswith(".py")), None)
    return words[script:] if script else []


def _of_command(config, folder, script, words):
    path = config.project / folder / script
    if not path.is_file():
        yield from missing_file(config, script, folder)
        return
    for word in (word.rpartition("=")[2] for word in words):
        line = _line_with(config, word) if re.search(r"\.ya?ml$", word) else None
        # that of an option's line may be made by an earlier step
        if (
            line
            and script in line.value
            and not any((place / word).is_file() for place in (config.project / folder, path.parent))
        ):
            yield from missing_file(config, word, folder)
    yield from _options(config, script, path, words)
    yield from _keys(config, folder, words)


def missing_file(config, name, folder):
    """A file that is not there, in each line that names it, with the file of the project that may be meant."""
    there = _files_of(config.project / folder, os.path.splitext(name)[1])
    same = [each for each in there if os.path.basename(each) == os.path.basename(name)]
    near = difflib.get_close_matches(name, same or there, n=1, cutoff=0.6) or same[:1]
    where = config.project / folder if folder != "." else config.project
    suggestion = f"did you mean {near[0]}?" if near else ""
    for line in _lines_with(config, name):
        yield Finding(line.number, line.key, ERROR, "missing", f"no file {name}", f"one in {where}", suggestion)


def _files_of(folder, suffix):
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("node_modules", "output")]
        found += [os.path.relpath(os.path.join(place, name), folder) for name in files if name.endswith(suffix)]
    return sorted(found)


def _lines_with(config, name):
    """The lines that have the word, or the word before or behind `=`, of a command."""
    for line in config.lines:
        words = f"{line.key} {line.value}".replace("|", " ").split()
        if any(name in (word, *word.split("=", 1)) for word in words):
            yield line


def _line_with(config, name):
    """The first of them; None where the chain adds the word by itself."""
    return next(_lines_with(config, name), None)


def _options(config, script, path, words):
    known = _options_of(config.project, path.resolve())
    if known is None:
        return
    long = [option for option in known if option.startswith("--")]
    for word in words:
        option = word.partition("=")[0]
        if not option.startswith("-") or option == "-" or _NUMBER.fullmatch(word) or option in known:
            continue
        if option.startswith("--") and sum(each.startswith(option) for each in long) == 1:
            continue  # argparse takes the beginning of a name
        if not option.startswith("--") and option[:2] in known:
            continue  # -cFILE
        line = _line_with(config, option)
        if line:
            meant = did_you_mean(option, known, 0.6)
            yield Finding(line.number, line.key, ERROR, "option", f"{script} has no option {option}", "", meant)


@functools.cache
def _options_of(root, path):
    project = _project(root)
    inside = path.relative_to(root).as_posix() if root in path.parents else ""
    return all_spellings(project, inside) if project.has(inside) else None


_project = functools.cache(Project)  # by its root


def _keys(config, folder, words):
    """The keys behind -o against the YAML file that -c names."""
    tree, at = OPAQUE, 0
    for word, following in zip(words, [*words[1:], ""]):
        named = re.fullmatch(r"(?:-c|--config(?:-file)?)(?:=(.+))?", word)
        if named:
            tree = keys_of(config.project / folder / (named[1] or following))
    if tree is OPAQUE:
        return
    while at < len(words):
        if words[at] in OVERRIDES:
            while at + 1 < len(words) and not words[at + 1].startswith("-"):
                at += 1
                key, equals, _ = words[at].partition("=")
                line = _line_with(config, key)
                wrong = _wrong_in(tree, key.split(".")) if equals and line else None
                if wrong:
                    yield Finding(line.number, line.key, wrong[0], "yaml-key", f"-o {key}: {wrong[1]}", "", wrong[2])
        at += 1


def _wrong_in(tree, parts):
    """(level, what is found, what was probably meant) of a key, None for one that is there or may be new."""
    for at, part in enumerate(parts):
        above = ".".join(parts[:at]) or "the file"
        if isinstance(tree, list):
            if not part.isdecimal() or int(part) >= len(tree):
                return ERROR, f"{above} is a list of {len(tree)}, which has no {part}", ""
            tree = tree[int(part)]
            if isinstance(tree, dict) and len(tree) == 1 and at + 1 < len(parts) and parts[at + 1] not in tree:
                return ERROR, f"{above}.{part} is {next(iter(tree))}, and not {parts[at + 1]}", _place(above)
        elif isinstance(tree, dict):
            if part not in tree:
                near = _near_key(part, tree)
                return (WARNING, f"{above} has no {part}", f"did you mean {near}?") if near else None
            tree = tree[part]
        else:
            return None
    return None


def _place(above):
    return f"count the entries of {above} from 0"


def _near_key(part, tree):
    """The key that is meant by one that is not there: a typing error, and no name that differs in a number only."""
    for near in difflib.get_close_matches(part, list(tree), n=3, cutoff=0.84):
        if re.sub(r"\d", "", near) != re.sub(r"\d", "", part):
            return near
    return next((near for near in tree if is_swapped(part, near)), "")
