"""Does one chain of hashes lead from the data to the weights, to the exported model and to each prediction?"""

import os

from audit.registry import BUNDLE, check, judged, skipped
from bundle_lineage import faults as faults_of_links
from bundle_lineage import unlisted
from script import counted

_ORIGINS = {"config", "code", "data"}  # what a training begins with
_RUN = ("train", "evaluate", "predict", "export", "infer")
_FACTS = {"weights": "weights", "model": "model", "service": "model"}  # the kind of each fact of a step


@check("lineage links", BUNDLE)
def check_links(bundle):
    """each link is the hash of its kind, its content and the links of its parents; files have the hash that is said"""
    faults = [f"{one}: {what}, expected {expected or 'none'!s:.16}, found {found or 'none'!s:.16}"
              for one, what, expected, found in faults_of_links(bundle.content)]  # fmt: skip
    if not bundle["lineage"]:
        faults.append("no entry at all")
    return judged("links that follow from the hashes", counted(len(bundle["lineage"]), "link"), faults)


@check("lineage chain", BUNDLE)
def check_chain(bundle):
    """each prediction descends from a model or weights, a training's from data and code; the steps saw those hashes"""
    by_id = {one["id"]: one for one in bundle["lineage"]}
    faults = []
    for one in bundle["lineage"]:
        if one["kind"] not in ("predictions", "answers"):
            continue
        kinds = _ancestors(one, by_id)
        if not kinds & {"model", "weights"}:
            faults.append(f"{one['id']}: it descends from no model and no weights")
        elif bundle.trainings and not (kinds & _ORIGINS and "training" in kinds):
            faults.append(f"{one['id']}: it descends from no training")
    named = {one.get("file") for one in bundle["lineage"] if one["kind"] == "predictions"}
    faults += [
        f"{one['file']}: predictions without lineage" for one in bundle["predictions"] if one["file"] not in named
    ]
    faults += _other_facts(bundle)
    return judged("data, training, weights, model, predictions", f"{len(by_id)} of the lineage", faults)


def _ancestors(one, by_id):
    """The kinds of all that an entry was made of."""
    kinds, waiting, seen = set(), list(one["of"]), set()
    while waiting:
        name = waiting.pop()
        if name in by_id and name not in seen:
            seen.add(name)
            kinds.add(by_id[name]["kind"])
            waiting += by_id[name]["of"]
    return kinds


def _other_facts(bundle):
    """Hashes of weights and models that steps saw, and no entry has."""
    faults = []
    for step in bundle.own_steps:
        for fact, kind in _FACTS.items():
            value = step["facts"].get(fact)
            known = [one["sha256"] or "" for one in bundle["lineage"] if one["kind"] == kind]
            if value and value != "none" and known and not any(one.startswith(value) for one in known):
                faults.append(
                    f"'{step['name']}' saw the {fact} {value}, the lineage has {', '.join(one[:12] for one in known)}"
                )
    artefacts = set((bundle.json("summary.json").get("artefacts") or {}).values())
    artefacts |= set(bundle.inputs.values()) if artefacts else set()  # provided weights
    for one in (one for one in bundle["lineage"] if not one.get("from")):
        files = one.get("files") or {}
        hashes = set(files.values()) or ({one["sha256"]} if one["kind"] == "weights" else set())
        if artefacts and one["kind"] in ("weights", "model") and not hashes <= artefacts:
            faults.append(f"{one['id']}: its hash is not among the artefacts of summary.json")
    return faults


@check("lineage inputs", BUNDLE)
def check_inputs(bundle):
    """the hashes of data, config and code in the lineage follow from inputs.sha256; all commands' scripts are in it"""
    name, lines = bundle.inputs_file, bundle.input_lines
    others = unlisted(bundle["lineage"], lines)
    faults = [f"{one}: {said!s:.12}, {name} has {expected:.12}" for one, expected, said in others]
    unknown = _scripts(bundle) - {path for path, _ in lines}
    faults += [f"{one}: run, and not listed in {name}" for one in sorted(unknown)]
    return judged("hashes that follow from the list", f"{counted(len(lines), 'line')}", faults)


def _scripts(bundle):
    """The project's own programs that the steps of training and inference ran, as paths in it."""
    found = set()
    for step in [step for kind in _RUN for step in bundle.passed(kind)]:
        word = next((word for word in (step["command"] or "").split() if word.endswith(".py")), "")
        path = os.path.normpath(os.path.join(step["folder"] or ".", word)) if word else ""
        found |= {path} if path and not path.startswith(("/", "..", "test_tipc/")) else set()
    return found


@check("data lists", BUNDLE)
def check_data(bundle):
    """the data that the lineage names is in the repository, with the hashes that the run saw"""
    data = [one for one in bundle["lineage"] if one["kind"] == "data" and one.get("path")]
    if not data:
        return judged("data in the lineage", "", ["none"]) if bundle.trainings else None
    if bundle.repository is None:
        return skipped("no repository around the bundle")
    faults, count = [], 0
    for one in data:
        inside = [path for path, _ in bundle.input_lines_of(one["path"]) if path in bundle.inputs]
        known = {path: bundle.inputs[path] for path in inside if path != one["path"]}
        for path, digest in (known or {one["path"]: one["sha256"]}).items():
            now = bundle.hashes.now(bundle.repository, path)
            count += now is not None
            if now == "":
                faults.append(f"{path}: not in the repository")
            elif now not in (None, digest):
                faults.append(f"{path}: {now:.12} in the repository, {digest:.12} in the run")
    return judged("the hashes of the run", f"{len(data)} of the lineage, {counted(count, 'file')} here", faults)
