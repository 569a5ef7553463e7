"""Names that are one typing error away from what is there: files, folders, suffixes, and the model's own name."""

import difflib
import re

from lint import kinds
from lint.commands import missing_file
from lint.findings import WARNING, Finding, check, nearest

SUFFIXES = ("pdmodel", "pdiparams", "pdparams", "pdopt")
_SUFFIX = re.compile(r"\.(pd[a-z]{2,9})(?![\w.])")
_OF_IMAGES = re.compile(r"image|img|data_?path|data_?dir")
_PATH = re.compile(r"(?:\.{0,2}/)?[\w.-]+(?:/[\w.-]+)*/?")
_NETWORK = re.compile(r"(?:^|\s)(Arch(?:\.Backbone)?\.name|architecture)=([\w.-]+)")


@check
def suffixes(config):
    for line in config.lines:
        for word in dict.fromkeys(_SUFFIX.findall(line.value)):
            meant = nearest(word, SUFFIXES)
            if word not in SUFFIXES and meant:
                suggestion = f"did you mean .{meant}?"
                yield Finding(line.number, line.key, WARNING, "typing", f"'.{word}'", "", suggestion)


@check
def networks(config):
    """The network of a command against the line model_name: letters that differ, since a number is another network."""
    own = next((line for line in config.lines if line.key == "model_name"), None)
    named = {}  # (key, network): lines
    for line in config.lines if own else ():
        for pair in dict.fromkeys(_NETWORK.findall(line.value.replace("|", " "))):
            named.setdefault(pair, []).append(line)
    for (key, word), lines in named.items():
        if word in own.value or own.value in word or not is_slip(word, own.value, 0.9):
            continue
        if len(named) == 1 and len(lines) > 1:  # all commands agree
            expected, meant = f"{key}={word} of the commands", f"did you mean {word}?"
            yield Finding(own.number, own.key, WARNING, "typing", own.value, expected, meant)
            continue
        for line in lines:
            found, meant = f"{key}={word}", f"did you mean {own.value}?"
            yield Finding(line.number, line.key, WARNING, "typing", found, "that of model_name", meant)


@check
def paths(config):
    """YAML files and images that are not there, and nearly are; others may be made or fetched by an earlier step."""
    if not config.checks_scripts:
        return
    places = [config.project / folder for folder in dict.fromkeys([".", *(folder for folder, _ in config.commands)])]
    for line in config.lines:
        if ".py" in line.value:
            continue  # of the check of commands
        entries = [entry.rpartition("=")[2] for entry in line.value.split("|")]
        for word in dict.fromkeys(word for entry in entries for word in entry.split()):
            if not _PATH.fullmatch(word) or not (_OF_IMAGES.search(line.key) or re.search(r"\.ya?ml$", word)):
                continue
            near = None if any((place / word).exists() for place in places) else _near(places, word.rstrip("/"))
            if near:
                yield Finding(line.number, line.key, WARNING, "missing", f"no {word}", "", f"did you mean {near}?")


def _near(places, word):
    """The path beside it that is meant, "" where none is."""
    above, slash, name = word.rpartition("/")
    for place in places:
        folder = place / above if slash else place
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        for near in difflib.get_close_matches(name, there, n=3, cutoff=0.85):
            if is_slip(name, near):
                return f"{above}{slash}{near}"
    return ""


def is_slip(word, right, cutoff=0.85):
    """Whether they are alike, and differ in letters and not in numbers only."""
    if re.sub(r"\d", "", word) == re.sub(r"\d", "", right):
        return False
    return difflib.SequenceMatcher(None, word, right).ratio() >= cutoff


@check
def clients(config):
    """The client of the C++ service, which the chain starts with options of its own."""
    if config.chain != kinds.SERVING_CPP or not config.checks_scripts:
        return
    folder = next((line.value for line in config.lines if line.key == "serving_dir"), ".")
    for line in config.lines:
        for word in line.value.split() if line.key in ("pipline", "pipeline") else ():
            if word.endswith(".py") and not (config.project / folder / word).is_file():
                yield from missing_file(config, word, folder)
