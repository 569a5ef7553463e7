"""The predictions of a run: files of full precision, and logs whose printed predictions predictions.py reads.

Files of full precision are made here of the observer's recordings (bundle_recordings.py), or were written beside the
figures by the step that compared: `<its log without .log>_predictions/<engine>.json`, with the keys `engine`, `against`
(another file of the folder), `limit`, `left_out` and `images` {name: {"kind": "classes|boxes|numbers", "rows": [...]}},
or `rows` {hash of the input: [numbers]}.
"""

import json
import re
from pathlib import Path

from bundle_steps import saved_by
from figures import read_lines
from predictions import read_log
from script import UserError, atomic_write
from step_figures import engines
from steps import PASSED

FOLDER = "predictions"
PRINTING = ("predict", "infer", "client")
TRAINING = ("evaluate", "predict")  # the steps of the training engine
_ALLOWED = 1e-4  # between two engines; agree.py says what it allowed


def write_observed(folder, steps, several):
    """Write predictions/observed_….json into the run's folder for each step that was recorded; returns notes.

    `several` trainings have their tags in the names. What cannot be read is noted, and is no fault of the run.
    """
    notes = []
    for step in steps:
        path, recording = observed_file(folder, step, several), recording_of(step)
        if not recording or step.result != PASSED:
            continue
        try:
            from bundle_recordings import read_step
            from bundle_rows import write

            content = read_step(recording)
        except ImportError as error:
            notes.append(f"{step.name}: its recording is not in the bundle: {error}")
            continue
        except UserError as error:
            notes.append(f"{step.name}: its recording is not in the bundle: {error}")
            continue
        if content:
            content.update(_relations(steps, step, content))
            path.parent.mkdir(exist_ok=True)
            with atomic_write(path) as stream:
                write(content, stream)
    return notes


def recording_of(step):
    """The folder of the observer's recording of a step; None where there is none."""
    path = Path(f"{step.log.removesuffix('.log')}_observed") if step.log else None
    return path if path and path.is_dir() else None


def observed_file(folder, step, several=False):
    """Where `write_observed` writes the outputs of a step."""
    name = re.sub(r"[^\w.-]+", "_", f"{step.tag} {step.name}" if several else step.name)
    return folder / FOLDER / f"observed_{name}.json"


def saved_files(step):
    """The files of predictions that the step's command has left beside its log."""
    folder = Path(f"{step.log.removesuffix('.log')}_predictions") if step.log else None
    return sorted(folder.glob("*.json")) if folder and folder.is_dir() else []


def _relations(steps, step, content):
    """{behind, axis, engine_output} of a network's rows, {behind, same_image} of an engine's, as agree.py found them.

    `behind` is what the export computes behind the network, "" for nothing, and None where nobody has looked.
    """
    compared = [one for one in steps if (one.name, one.tag, one.result) == ("agree observed", step.tag, PASSED)]
    found = (saved_by(compared[-1]) if compared else None) or {}
    if step.kind not in TRAINING:
        pairs = (found.get("preprocessing") or {}).get("same_images") or {}
        same = pairs.get(f"engine {step.name.partition(' ')[2]}")
        return {"behind": "", **({"same_image": same} if same else {})}
    for one in ((found.get("network") or {}).get("outputs") or {}).get(step.kind, ()):
        if one["position"] == content["position"]:
            return {"behind": one["behind"], "axis": one["axis"], "engine_output": one["output"]}
    return {"behind": None}


def describe(folder, steps, several, name_of):
    """The list `predictions` of a bundle; `name_of(path)` is a file's name in it, None for one that is not in it."""
    found = []
    predicted = {step.tag: step for step in steps if step.kind == "predict" and step.result == PASSED}
    for step in steps:
        if step.result != PASSED:
            continue
        against = predicted.get(step.tag) if step.kind == "infer" else None
        path = observed_file(folder, step, several)
        if path.is_file() and (name := name_of(path)):
            other = name_of(observed_file(folder, against, several)) if against else None
            found.append(
                _entry(name, engine_words(step), step, "numbers", True, _content(path).get("count"), other,
                       _allowed(steps, step) if other else None)
            )  # fmt: skip
        for path in saved_files(step):
            if name := name_of(path):
                found.append(_saved(path, name, step, name_of))
        if step.kind in PRINTING and step.log and (name := name_of(step.log)):
            printed = _printed(step.log)
            if printed:
                kinds = {prediction.kind for prediction in printed.values()}
                kind = kinds.pop() if len(kinds) == 1 else "numbers"
                other = name_of(against.log) if against and against.log else None
                found.append(_entry(name, engine_words(step), step, kind, False, len(printed), other, None))
    return found


def _entry(file, engine, step, kind, exact, images, against, limit):
    return {
        "file": file,
        "engine": engine,
        "step": step.name,
        "tag": step.tag,
        "kind": kind,
        "exact": exact,
        "images": images,
        "against": against,
        "limit": limit,
    }


def _saved(path, name, step, name_of):
    content = _content(path)
    images = content.get("images") or content.get("rows") or {}
    kinds = {one.get("kind") for one in images.values() if isinstance(one, dict)}
    kind = kinds.pop() if len(kinds) == 1 else "numbers"
    against = content.get("against")
    other = name_of(path.with_name(against)) if against else None
    limit = content.get("limit") if other else None
    return _entry(name, content.get("engine"), step, kind, True, len(images), other, limit)


def _content(path):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _printed(log):
    try:
        return read_log(read_lines(log))
    except UserError:
        return {}


def _allowed(steps, step):
    """The difference that agree.py allowed for the step's engine."""
    for other in steps:
        if other.name == "agree observed" and other.tag == step.tag:
            for engine in (saved_by(other) or {}).get("engine") or []:
                if engine.get("name") == f"engine {step.name.partition(' ')[2]}" and engine.get("allowed"):
                    return engine["allowed"]
    return _ALLOWED


def engine_words(step):
    """`training engine`, or what an engine said of itself: `Paddle Inference, oneDNN on, threads 2`."""
    if step.kind in TRAINING:
        return "training engine"
    said = engines(step)
    if said and step.kind != "client":
        parts = [f"{one['name']} {one['in_effect']}" for one in said[0]["settings"]]
        return ", ".join([_ENGINES.get(said[0]["engine"], said[0]["engine"]), *parts])
    return step.name if step.kind != "client" else f"service, {step.name.partition(' ')[2]}"


_ENGINES = {"paddle": "Paddle Inference", "onednn": "Paddle Inference", "tensorrt": "Paddle Inference with TensorRT",
            "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}  # fmt: skip
