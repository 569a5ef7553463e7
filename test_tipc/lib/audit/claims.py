"""Does what bundle.json says follow from the files beside it? Computed again by the functions that have written it."""

import os
import re
from pathlib import PurePosixPath

import bundle_predictions
import bundle_steps
from audit.reading import parse_json
from audit.registry import BUNDLE, check, judged
from bundle_inputs import SETTINGS, Inputs, seeds
from history_file import NAME as HISTORY
from script import UserError, counted
from step_figures import engines, figure
from steps import Step
from verdict import tags_that_ran

CONFIGS = "configs/"  # copies of the config and of the settings that it names
_MODES = re.compile(r"(lite_train|whole_train|whole_infer|whole)[a-z_]*=")  # how a list of values for modes begins
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@check("config", BUNDLE)
def check_config(bundle):
    """its lines are those of the config, and the copies of config and settings are files of inputs.sha256"""
    config = bundle["config"] or {}
    if not config.get("lines"):
        return judged("the config of the run", "", ["bundle.json: no line of a config"])
    copies = [name for name in bundle["files"] if name.startswith(CONFIGS)]
    faults = [f"{name}: not as the run had it (inputs.sha256)" for name in copies if not _is_input(bundle, name)]
    path, digest = config["path"], config["sha256"]
    if path in bundle.inputs and bundle.inputs[path] != digest:
        faults.append(f"config.sha256 {digest!s:.12}, and inputs.sha256 has {bundle.inputs[path]:.12} of {path}")
    if path and path not in [one.get("path") for one in bundle["lineage"] if one["kind"] == "config"]:
        faults.append(f"config.path {path}: no config of the lineage")
    copy = next((name for name in copies if path and _name(name) == _name(path)), None)
    raw = bundle.text(copy).splitlines() if copy else []
    for line in config["lines"] if raw and raw[0].startswith("===") else []:
        faults += [fault] if (fault := _other_line(raw, line)) else []
    return judged("the config of the run", counted(len(config["lines"]), "line"), faults)


def _name(path):
    return PurePosixPath(path).name


def _is_input(bundle, name):
    """Whether a copy is of a file that the run depended on; in texts, paths of its machine were perhaps replaced."""
    if not bundle.inputs or bundle.hashes.of(bundle.path(name))[0] in bundle.inputs.values():
        return True
    places = [bundle.in_repository(path) for path in bundle.inputs if _name(path) == _name(name)]
    texts = [place.read_text(encoding="utf-8", errors="replace") for place in places if place and place.is_file()]
    return name.endswith(".txt") and bundle.text(name) in map(bundle.local, texts)


def _other_line(raw, line):
    """How a line of bundle.json is not that of the config, or none of its values for modes; "" where it is."""
    number = line.get("line")
    if not isinstance(number, int) or not 0 < number <= len(raw):
        return f"config.lines: {number!r:.40} is no line of the config"
    key, _, value = raw[number - 1].partition(":")
    values = {_plain(value)}
    if _MODES.match(value.strip()):
        values = {_plain(part.partition("=")[2]) for part in value.split("|")} | {"null"}
    if _plain(key) == line["key"] and line["value"] in values:
        return ""
    return f"line {number} is {line['key']}:{line['value']:.60}, and in the config {raw[number - 1]:.100}"


def _plain(text):
    return _CONTROL.sub(" ", text.strip())


@check("seeds", BUNDLE)
def check_seeds(bundle):
    """the seeds are those of the settings, of the commands, and of what the trainings noted"""
    found = {}
    copies = [name for name in bundle["files"] if name.startswith(CONFIGS) and name.endswith(SETTINGS)]
    sources = [seeds(Inputs([], [str(bundle.path(name))], []), [], {}) for name in copies]
    begun = {tag: _beginning(bundle, tag) for tag in bundle.trainings}
    sources.append(seeds(Inputs([], [], []), [step["command"] or "" for step in bundle.own_steps], begun))
    for name, number in [pair for one in sources for pair in one.items()]:
        found.setdefault(name, []).append(number)
    said = bundle["seeds"]
    faults = [f"{name}: {said.get(name)!r:.40}, found {', '.join(map(str, numbers))}"
              for name, numbers in found.items() if said.get(name) not in numbers]  # fmt: skip
    return judged("the seeds of the run", counted(len(said), "seed"), faults) if said or found else None


def _beginning(bundle, tag):
    """The event that the history of a training begins with; {} without one."""
    name = bundle.named(HISTORY, tag)
    lines = bundle.text(name).splitlines() if name else []
    try:
        event = parse_json(lines[0], name) if lines else {}
    except UserError:  # the check of the history says so
        return {}
    return event if isinstance(event, dict) else {}


@check("told as logged", BUNDLE)
def check_told(bundle):
    """figures, settings in effect, engines and limits in bundle.json are those in the logs and files of the steps"""
    steps = _own(bundle)
    faults = []
    for said, step in zip(bundle.own_steps, steps):
        for key, found in (("figure", figure(step)), ("engines", engines(step))):
            if _here(said.get(key) or "") != _here(found or ""):
                faults.append(f"{key} of '{step.name}': {said.get(key)!r:.80}, its log has {found!r:.80}")
    tags = [tag for tag in tags_that_ran(bundle.recorded) if bundle["tag"] in ("", tag)] or [""]
    for tag in tags:
        said = bundle["figures"] if tag == tags[0] else (bundle["figures"].get("others") or {}).get(tag, {})
        found = bundle_steps.figures(steps, bundle.folder, tag)
        faults += [
            f"figures.{key}: {said.get(key)!r:.80}, its log has {found.get(key)!r:.80}"
            for key in sorted({*found, *said} - {"others"})
            # the file that a comparison saved may be in none of the evidence
            if _here(found.get(key)) != _here(said.get(key)) and (key in found or not key.startswith("agree"))
        ]
    by_name = {(step.tag, step.name): step for step in steps}
    for entry in bundle["predictions"]:
        faults += [fault] if (fault := _other_words(bundle, entry, by_name)) else []
    return judged("what the logs and files say", f"{counted(len(steps), 'step')}", faults)


def _own(bundle):
    """The own steps with the paths of their logs here; UserError for a file that is none, which would be waited for."""
    for name in bundle["files"]:
        bundle.path(name)
    found = []
    for one in bundle.own_steps:
        path = bundle.path(one["log"]) if one["log"] else ""
        history = path and path.with_suffix("") / HISTORY
        if path and os.path.lexists(history) and history.relative_to(bundle.folder).as_posix() not in bundle["files"]:
            raise UserError(f"{history.relative_to(bundle.folder)}: there, and not in the list")
        known = (one[key] for key in ("tag", "name", "result", "seconds", "facts"))
        found.append(Step(*known, str(path), one["reason"] or ""))
    return found


def _here(value):
    """A value of JSON without the folders in its texts, which differ between machines; null for what is not finite."""
    if isinstance(value, str):
        return re.sub(r"[^\s=,;'\"]*/", "", value)
    if isinstance(value, dict):
        return {key: _here(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_here(one) for one in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _other_words(bundle, entry, steps):
    """How an entry of predictions differs from its file, or from its step's log; "" where it does not."""
    step = steps.get((entry.get("tag", ""), entry["step"]))
    content = bundle.json(entry["file"]) if entry["exact"] else {}
    expected = {"engine": content.get("engine")}
    if "engine" not in content:
        expected["engine"] = bundle_predictions.engine_words(step) if step else entry["engine"]
    elif entry["against"]:
        expected["limit"] = content.get("limit")
    other = next((key for key, value in expected.items() if entry[key] != value), None)
    return f"{other} of {entry['file']}: {entry[other]!r:.60}, expected {expected[other]!r:.60}" if other else ""
