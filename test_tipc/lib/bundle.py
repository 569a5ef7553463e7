"""Write the bundle of a run: bundle.json, all that a reader needs to judge the run from its files alone.

    python test_tipc/lib/bundle.py test_tipc/output/MobileNetV3_small_x1_0/lite_train_lite_infer

Reads what the chain has left there (steps.tsv, summary.json, inputs.sha256, logs, recordings) and writes bundle.json,
predictions/ and configs/ beside it. report.py does it at the end of every run, evidence.py for each folder of evidence.
The format is described in test_tipc/docs/bundle.md. A fact that a run cannot know is null.
Exit code: 0 written, 1 there is no run, or something cannot be written.
"""

import argparse
import json
import math
import os
import shutil
from pathlib import Path

import bundle_inputs
import bundle_predictions
import bundle_steps
from bundle_lineage import FILE, add_links, file_hash
from bundle_machine import commit, machine, tool, versions
from bundle_origin import lineage
from certificate import read_summary
from history_file import NAME as HISTORY
from script import ROOT, UserError, atomic_write, run_main
from steps import read_steps
from train_log import LOG
from verdict import judge, tags_that_ran

NAME, FORMAT = "bundle.json", 1
CONFIGS = "configs"
NOT_LISTED = (NAME, "report.html", "report.md", "index.html", "summary.txt")
TEXT = (".log", ".json", ".jsonl", ".txt", ".tsv", ".xml", ".sha256")


class Run:
    """What an output folder tells of its run; `steps` are those of the given tag, and those of no tag."""

    def __init__(self, folder, model=None, mode=None, tag=None):
        self.folder, self.tag = Path(folder), tag
        self.all_steps = read_steps(self.folder / "steps.tsv")
        self.summary = _summary(self.folder)
        self.model, self.mode = self.summary.get("model", model), self.summary.get("mode", mode)
        self.tags = tags_that_ran(self.all_steps)
        self.several = len(self.tags) > 1
        self.steps = [step for step in self.all_steps if tag is None or step.tag in (tag, "")]
        self.inputs = bundle_inputs.read_inputs(self.folder)
        self.config = self.summary.get("config")

    def replaced(self):
        """[(path of this machine, what is written in its place)]: bundles are read elsewhere."""
        usual = f"test_tipc/output/{self.model}/{self.mode}"
        own = str(self.folder.absolute())
        places = [] if own == str(Path(usual).absolute()) else [(own, usual)]
        return [*places, (f"{Path.cwd()}/", ""), (f"{ROOT}/", "")]


def _summary(folder):
    try:
        return read_summary(folder / "summary.json") or {}
    except UserError:  # not one of a chain: then nothing is known from it
        return {}


def prepare_files(run):
    """Write what a bundle has besides the chain's own files: predictions/ and configs/; returns notes."""
    for folder in (CONFIGS, bundle_predictions.FOLDER):  # earlier stages were perhaps run with others
        shutil.rmtree(run.folder / folder, ignore_errors=True)
    notes = bundle_predictions.write_observed(run.folder, run.all_steps, run.several)
    for name, path in config_files(run).items():
        target = run.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return notes


def config_files(run):
    """{name in the bundle: path} of the config and the settings that it names, where they are as the run had them."""
    found = {}
    for path in [run.config, *run.inputs.named]:
        if not path or not Path(path).is_file() or (path != run.config and not path.endswith(bundle_inputs.SETTINGS)):
            continue
        if file_hash(path) == run.inputs.hash_of(path):
            name = f"{CONFIGS}/{Path(path).name}"
            if name in found and str(found[name]) != path:
                name = f"{CONFIGS}/{path.strip('/').replace('/', '_')}"
            found[name] = Path(path)
    return found


def own_files(run):
    """{name: path} of the files of an output folder that belong to its bundle: all texts, but no weights and models."""
    files = [path for path in run.folder.glob("*") if path.suffix in TEXT and path.name not in NOT_LISTED]
    for tag in run.tags:
        home = run.folder / tag
        files += run.folder.glob(f"{tag}_ranks/workerlog.*")
        files += [home / LOG, home / HISTORY, *home.glob("inference/**/inference.yml")]
    for folder in (CONFIGS, bundle_predictions.FOLDER):
        files += (run.folder / folder).glob("*")
    files += [path for step in run.steps for path in bundle_predictions.saved_files(step)]
    files = [path for path in files if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(run.folder).as_posix(): path for path in sorted(set(files))}


def make(run, files, place=None, notes=()):
    """The content of bundle.json.

    `files` {name: path} are those of the bundle; they lie under their names in the folder `place`, or, without one,
    where they are. Paths of the machine are replaced in the whole.
    """
    names = {os.path.abspath(path): name for name, path in files.items()}
    listed = {name: _listed(place / name if place else path) for name, path in sorted(files.items())}
    verdict = judge(run.all_steps, run.mode)
    logs = {step.log: names.get(os.path.abspath(step.log)) for step in run.steps if step.log}
    steps = bundle_steps.describe(run.steps, logs, bundle_steps.began_at(run.folder / "steps.tsv"))
    started, ended = bundle_steps.span(steps)

    def name_of(path):
        return names.get(os.path.abspath(path))

    predictions = bundle_predictions.describe(run.folder, run.steps, run.several, name_of)
    content = {
        "format": FORMAT,
        "model": run.model,
        "mode": run.mode,
        "tag": run.tag or "",
        "chain": run.summary.get("chain"),
        "verdict": {
            "passed": verdict.passed,
            "compared": verdict.compared,
            "whole": verdict.whole,
            "sentence": verdict.sentence,
        },
        "config": _config(run),
        "project": commit(run.summary.get("commit", "")),
        "tool": tool(run.summary.get("tool", ""), _tool_hash(run)),
        "machine": machine(bundle_steps.flags_of(run.steps)),
        "versions": versions(run.summary.get("versions", "")),
        "started": started,
        "ended": ended,
        "seeds": bundle_inputs.seeds(run.inputs, [step["command"] or "" for step in steps], _histories(run)),
        "steps": steps,
        "inputs": {"hash": run.summary.get("inputs") or None, "file": name_of(run.folder / FILE)},
        "lineage": None,
        "predictions": predictions,
        "figures": _figures(run),
        "sources": bundle_inputs.sources(run.inputs),
        "files": listed,
        "notes": list(notes),
    }
    content = portable(content, run.replaced())
    content["lineage"] = add_links(lineage(run, name_of, listed, predictions))
    for one in content["lineage"]:
        # what inputs.sha256 lists keeps its name there, also outside of the project
        if one["kind"] in ("weights", "model") and not one["id"].endswith(one.get("path", "/")):
            one.update(portable({"path": one["path"]}, run.replaced()))
    return content


def _listed(path):
    return {"sha256": file_hash(path), "bytes": path.stat().st_size}


def portable(value, replaced):
    """The same JSON value with paths of this machine replaced in all its texts, and None for nan and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        for old, new in replaced:
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {portable(key, replaced): portable(one, replaced) for key, one in value.items()}
    return [portable(one, replaced) for one in value] if isinstance(value, list) else value


def _config(run):
    if not run.config:
        return {"path": None, "sha256": None, "lines": run.inputs.config}
    return {"path": run.config, "sha256": run.inputs.hash_of(run.config), "lines": run.inputs.config}


def _tool_hash(run):
    path = run.folder / FILE
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return next((line.removeprefix("# test_tipc: ") for line in lines if line.startswith("# test_tipc: ")), None)


def _histories(run):
    """{tag: the event that a training began with}."""
    found = {}
    for tag in [tag for tag in run.tags if run.tag in (None, tag)]:
        path = run.folder / tag / HISTORY
        try:
            with open(path, encoding="utf-8") as stream:
                event = json.loads(stream.readline())
        except (OSError, ValueError):
            continue
        found[tag] = event if isinstance(event, dict) else {}
    return found


def _figures(run):
    """Those of the tag; of several trainings those of the first, and the others under their tags."""
    tags = [tag for tag in run.tags if run.tag in (None, tag)] or [""]
    first, *others = [bundle_steps.figures(run.steps, run.folder, tag) for tag in tags]
    return {**first, "others": dict(zip(tags[1:], others))} if others else first


def write(folder, content):
    """Write bundle.json into `folder`: whole, or as it was. Raises OSError."""
    with atomic_write(Path(folder) / NAME) as stream:
        json.dump(content, stream, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write("\n")


def write_run(folder):
    """The bundle of an output folder, written into it."""
    run = Run(folder)
    notes = prepare_files(run)
    write(folder, make(run, own_files(run), notes=notes))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a run's output")
    args = parser.parse_args()
    if not (args.folder / "steps.tsv").is_file():
        raise UserError(f"{args.folder}: expected the output of a chain with its steps.tsv, found none")
    write_run(args.folder)


if __name__ == "__main__":
    run_main(main)
