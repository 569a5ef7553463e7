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

    Names are the run's own, without the tag where all steps are of one training or device.
    """
    found = {name: run.folder / name for name in _NAMES}
    found.update({path.name: path for path in run.folder.glob("results_*.log")})  # the lines of the official form
    found.update(bundle.config_files(run))
    known = {path.resolve(): name for name, path in files.items()}
    for step in run.steps:
        if step.log and Path(step.log).resolve() not in known:
            name = _free(_short(Path(step.log).name, step, run), (files, found))
            found[name] = Path(step.log)
            known[Path(step.log).resolve()] = name
        found.update(_predictions(run, step))
        if step.log and (saved := bundle_steps.saved_file(step)):
            found[str(Path(known[Path(step.log).resolve()]).with_suffix(".json"))] = saved
    found.update(_exchanged(run, known))
    for tag in run.tags if run.tag is None else [run.tag]:
        found.update(_of_training(run, tag))
    return {name: path for name, path in found.items() if path.is_file() and name not in files}


def _predictions(run, step):
    observed = bundle_predictions.observed_file(run.folder, step, run.several)
    names = {observed.name: observed}
    for path in bundle_predictions.saved_files(step):
        names[f"{path.parent.name.removesuffix('_predictions')}_{path.name}"] = path
    return {f"{bundle_predictions.FOLDER}/{_short(name, step, run)}": path for name, path in names.items()}


def _exchanged(run, known):
    """Requests and answers of the clients of a service."""
    for path in sorted(run.folder.glob("*.json")):
        said, _, rest = path.name.partition("_")
        own = run.tag is None or rest.startswith(f"{run.tag}_")
        if own and said in ("answers", "request") and path.resolve() not in known:
            yield path.name, path


def _of_training(run, tag):
    """What each process printed, the history, and how the exported model's images are prepared."""
    label = f"{tag}_" if run.several and run.tag is None else ""
    for path in run.folder.glob(f"{tag}_ranks/workerlog.*"):
        yield f"ranks/{label}{path.name}.log", path
    for path in sorted((run.folder / tag).glob("inference/**/inference.yml"))[:1]:
        yield f"exported/{label}inference.yml", path
    if not label:
        yield HISTORY, run.folder / tag / HISTORY


def _short(name, step, run):
    """The name without the step's tag: `agree.json` of `<tag>_agree.json`, and `train.log` of `<tag>.log`."""
    if run.tag is None or not step.tag:
        return name
    return f"{step.kind}.log" if name == f"{step.tag}.log" else name.replace(f"{step.tag}_", "", 1)


def _free(name, taken):
    """The name, or one with a number, that none of the mappings has."""
    number, stem, suffix = 1, Path(name).stem, Path(name).suffix
    while any(name in one for one in taken):
        number += 1
        name = f"{stem}_{number}{suffix}"
    return name
