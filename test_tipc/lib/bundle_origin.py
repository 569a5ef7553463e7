"""The lineage of a run: what its data, config, code, training, weights, models and predictions were made of.

Weights and models are known by the facts that the steps noted (`weights=`, `model=`, `service=`, `onnx=`: the first
digits of a hash), and found among the artefacts of the summary, which has whole hashes. What is not found is left out.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import bundle_inputs
from bundle_lineage import entry, folder_hash
from train_log import LOG

# each is made of the one before
_MODELS = {"model": "exported model", "service": "converted model", "onnx": "ONNX file"}
_BEFORE = ("data", "config", "code", "training", "weights", "model")  # of the run that exported the model
_STRUCTURES, _PARAMS = (".pdmodel", ".json"), ".pdiparams"


class _Made(NamedTuple):
    """Ids of what predictions of a tag were made with: of the training engine, of the model, and of the last model."""

    weights: list
    model: list
    last: list


def lineage(run, name_of, listed, predictions):
    """Entries from the data to the predictions, parents first; `listed` are the bundle's files with their hashes."""
    return _Lineage(run, name_of, listed).of(predictions)


class _Lineage:
    def __init__(self, run, name_of, listed):
        self.run, self.name_of, self.listed = run, name_of, listed
        artefacts = run.summary.get("artefacts")
        self.artefacts = artefacts if isinstance(artefacts, dict) else {}
        self.found = bundle_inputs.entries(run.inputs, run.config)
        self.ground = [one["id"] for one in self.found if one["kind"] in ("config", "code")]
        self.found += _of_base(run.folder)
        self.base = [one["id"] for one in self.found if one.get("from") and one["kind"] == "model"][-1:]

    def of(self, predictions):
        tags = [tag for tag in self.run.tags if self.run.tag in (None, tag)] or [""]
        made = {tag: self._of_tag(tag) for tag in tags}
        for one in predictions:
            self._add_prediction(one, made.get(one["tag"], made[tags[0]]))
        for name in self.listed:
            if Path(name).name.startswith("answers") and name.endswith(".json"):
                tag = next((tag for tag in tags if tag and f"_{tag}_" in name), tags[0])
                self._add("answers", f"answers {name}", self._hash(name), made[tag].last, file=name)
        return self.found

    def _add(self, kind, identity, hashed, parents, **more):
        """[id] of the new entry."""
        if identity not in {one["id"] for one in self.found}:
            self.found.append(entry(identity, kind, hashed, parents, **more))
        return [identity]

    def _hash(self, name):
        return self.listed[name]["sha256"]

    def _of_tag(self, tag):
        steps = [step for step in self.run.steps if step.tag in (tag, "")]
        label = f" {tag}" if self.run.several and self.run.tag is None else ""
        facts = {name: fact for step in steps for name, fact in step.facts.items()}
        parents = self._training(tag, steps, label) or self.ground
        weights = self._weights(facts.get("weights"), f"weights{label}", parents)
        model = last = weights or self.base
        for fact, words in _MODELS.items():
            known = self._model(facts.get(fact), f"{words}{label}", words, last)
            model = known if known and fact == "model" else model
            last = known or last
        return _Made(weights or parents, model or parents, last or parents)

    def _training(self, tag, steps, label):
        logs = [step.log for step in steps if step.kind == "train" and step.ran and step.log]
        names = [self.name_of(path) for path in (self.run.folder / tag / LOG, *logs)] if logs else []
        file = next(filter(None, names), None)
        return self._add("training", f"training{label}", self._hash(file), self.ground, file=file) if file else []

    def _weights(self, fact, identity, parents):
        """Provided weights are there already."""
        known = [one["id"] for one in self.found if one["kind"] == "weights" and _is(one["sha256"], fact)]
        for path, hashed in self.artefacts.items():
            if not known and _is(hashed, fact):
                known = self._add("weights", identity, hashed, parents, path=path)
        return known[:1]

    def _model(self, fact, identity, words, parents):
        """A folder with all its files, a single file, or structure and parameters one behind the other."""
        for folder in dict.fromkeys(folder for path in self.artefacts for folder in list(Path(path).parents)[:3]):
            inside = {Path(path): hashed for path, hashed in self.artefacts.items() if folder in Path(path).parents}
            files = {path.relative_to(folder).as_posix(): hashed for path, hashed in inside.items()}
            if _is(folder_hash(files), fact):
                place = folder.as_posix()
                return self._add("model", identity, folder_hash(files), parents, name=words, path=place, files=files)
        for path, hashed in [*self.artefacts.items(), *_pairs(self.artefacts if fact else ())]:
            if _is(hashed, fact):
                return self._add("model", identity, hashed, parents, name=words, path=path)
        return []

    def _add_prediction(self, one, made):
        engine = one["engine"] or ""
        if engine == "training engine":
            parents = made.weights
        else:  # what Paddle computes of the exported model, and others of what it was converted to
            parents = made.model if engine.startswith("Paddle Inference") else made.last
        file = one["file"]
        self._add("predictions", f"predictions {file}", self._hash(file), parents, name=one["engine"], file=file)


def _of_base(folder):
    """The lineage of the base chain's run that exported the model for this one; [] where there was none."""
    found = []
    for path in sorted(folder.glob("base/*/*/bundle.json")):
        try:
            lineage = json.loads(path.read_text(encoding="utf-8"))["lineage"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for one in [one for one in lineage if one["kind"] in _BEFORE]:
            parents = [f"base: {parent}" for parent in one["of"]]
            more = {key: value for key, value in one.items() if key in ("name", "path", "files")}
            found.append(entry(f"base: {one['id']}", one["kind"], one["sha256"], parents, **more))
            found[-1]["from"] = path.relative_to(folder).as_posix()
    return found


def _is(hashed, fact):
    return bool(fact) and fact != "none" and bool(hashed) and hashed.startswith(fact)


def _pairs(paths):
    """(path, SHA-256) of each model's structure with its parameters behind it, as test_paddle2onnx.sh notes them."""
    for structure in map(Path, paths):
        params = structure.with_suffix(_PARAMS)
        if structure.suffix in _STRUCTURES and structure.is_file() and params.is_file():
            yield str(structure), hashlib.sha256(structure.read_bytes() + params.read_bytes()).hexdigest()
