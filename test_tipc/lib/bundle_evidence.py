"""Which files of a run come into a folder of evidence beside those that have their own names there (evidence.py)."""

from pathlib import Path

import bundle
import bundle_predictions
import bundle_steps
from bundle_lineage import FILE
from history_file import NAME as HISTORY

_NAMES = ("steps.tsv", "junit.xml", FILE)


def more_files(run, files):
    """{name in the folder: the run's own file} of what a bundle needs and `files`, {name: path}, have not.

    The run's steps are those of one training, or all; with a tag, names go without it.
    """
    taken = {path.resolve() for path in files.values()}
    found = {name: run.folder / name for name in _NAMES}
    found.update({path.name: path for path in run.folder.glob("results_*.log")})  # the lines of the official form
    found.update(bundle.config_files(run))
    several = run.several and run.tag is None
    for step in run.steps:
        label = f"{step.tag}_" if several and step.tag else ""
        log = Path(step.log) if step.log else None
        if log and log.is_file() and log.resolve() not in taken:
            found[_free(f"{label}{_short(log.name, step)}", (files, found))] = log
            taken.add(log.resolve())
        for path in (
            bundle_predictions.observed_file(run.folder, step, run.several),
            *bundle_predictions.saved_files(step),
        ):
            stem = path.parent.name.removesuffix("_predictions")
            name = f"{_short(stem, step)}_{path.name}" if path.parent.name != bundle_predictions.FOLDER else path.name
            found[f"{bundle_predictions.FOLDER}/{label}{_short(name, step)}"] = path
        if log and (saved := bundle_steps.saved_file(step)):
            own = next((name for name, path in files.items() if path == log), None)
            found[str(Path(own).with_suffix(".json")) if own else f"{label}{_short(saved.name, step)}"] = saved
    for path in sorted(run.folder.glob("*.json")):  # of the clients of a service
        said, _, rest = path.name.partition("_")
        own = run.tag is None or rest.startswith(f"{run.tag}_")
        if own and said in ("answers", "request") and path.resolve() not in taken:
            found[path.name] = path
    for tag in run.tags if run.tag is None else [run.tag]:
        for path in run.folder.glob(f"{tag}_ranks/workerlog.*"):
            found[f"ranks/{f'{tag}_' if several else ''}{path.name}.log"] = path
        for path in sorted((run.folder / tag).glob("inference/**/inference.yml"))[:1]:
            found[f"exported/{f'{tag}_' if several else ''}inference.yml"] = path
        if HISTORY not in files and (run.folder / tag / HISTORY).is_file() and not several:
            found[HISTORY] = run.folder / tag / HISTORY
    return {name: path for name, path in found.items() if path.is_file() and name not in files}


def _short(name, step):
    """The name without the step's tag: `agree.json` of `<tag>_agree.json`; `train.log` of `<tag>.log`."""
    if step.tag and name == f"{step.tag}.log":
        return f"{step.kind}.log"
    return name.replace(f"{step.tag}_", "", 1) if step.tag else name


def _free(name, taken):
    """The name, or one with a number, that none of the mappings has."""
    number, stem, suffix = 1, Path(name).stem, Path(name).suffix
    while any(name in one for one in taken):
        number += 1
        name = f"{stem}_{number}{suffix}"
    return name
