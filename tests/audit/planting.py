"""Damage real evidence, and repair what hides the damage: bundle.json again has the hashes of its files."""

import hashlib
import json
import re
import shutil
from pathlib import Path

from bundle_lineage import add_links
from tests.helpers.scripts import FIXTURES, ROOT

MODEL = "MobileNetV3_small_x1_0"
EVIDENCE = FIXTURES / "bundles" / MODEL
MATRIX = """# TIPC

| model | chain |
|---|---|
| {model} | ✓ [CPU](../test_log/{model}) |
"""
README = """# A project

```bash
python tools/train.py -c ppcls_lite/configs/lite_data.yaml
python tools/eval.py -c ppcls_lite/configs/lite_data.yaml
python tools/infer.py -c ppcls_lite/configs/lite_data.yaml
python tools/export_model.py -c ppcls_lite/configs/lite_data.yaml
cd deploy && python python/predict_cls.py -c configs/inference_cls.yaml
```

| network | top1 | evidence |
|---|---|---|
| {model} | {top1} | [log](test_log/{model}) |
"""


class Submission:
    """A small repository with one bundle, real evidence of a run, that a test may spoil."""

    def __init__(self, root, evidence=EVIDENCE):
        self.root, self.folder = Path(root), Path(root) / "test_log" / MODEL
        shutil.copytree(evidence, self.folder, symlinks=True)
        (self.root / "deploy").mkdir()
        for name in (
            "lite_data",
            "test_images",
            "pretrain_models",
            "tools",
            "ppcls_lite",
            "deploy/python",
            "deploy/configs",
            "deploy/images",
        ):
            (self.root / name).symlink_to(ROOT / name)
        configs = self.root / "test_tipc/configs" / MODEL
        shutil.copytree(ROOT / "test_tipc/configs" / MODEL, configs)
        (self.root / "test_tipc/docs").mkdir()
        for name in ("test_train_inference_python.sh", "docs/test_train_inference_python.md"):
            (self.root / "test_tipc" / name).write_text("# the chain\n")
        self.top1 = str(self.content["figures"]["evaluate"]["top1"])
        (self.root / "test_tipc/README.md").write_text(MATRIX.format(model=MODEL))
        (self.root / "README.md").write_text(README.format(model=MODEL, top1=self.top1))
        shutil.copy(ROOT / "LICENSE", self.root / "LICENSE")

    @property
    def content(self):
        return json.loads((self.folder / "bundle.json").read_text())

    def save(self, content):
        (self.folder / "bundle.json").write_text(json.dumps(content, indent=1))

    def change(self, **keys):
        """Replace keys of bundle.json."""
        self.save({**self.content, **keys})

    def edit(self, name, old, new, count=1):
        """Replace the pattern `old` in a file of the bundle, which has to be there."""
        path = self.folder / name
        text, number = re.subn(old, new, path.read_text(), count=count, flags=re.MULTILINE)
        assert number, f"{name}: {old}"
        path.write_text(text)

    def step(self, kind, number=0):
        """The passed step of this kind in bundle.json."""
        found = [
            one for one in self.content["steps"] if one["name"].split(" ")[0] == kind and one["result"] == "passed"
        ]
        return found[number]

    def exact(self, number=0, kind="classes"):
        """The path and the content of a file of exact predictions that is compared with another."""
        entries = [
            one for one in self.content["predictions"] if one["exact"] and one["against"] and one["kind"] == kind
        ]
        path = self.folder / entries[number]["file"]
        return path, json.loads(path.read_text())

    def repair(self):
        """Make all hashes of bundle.json those of the files as they are now: the forger's second step."""
        content = self.content
        names = [path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("*")) if path.is_file()]
        names = [name for name in names if name != "bundle.json"]
        content["files"] = {name: self._listed(name) for name in names}
        for one in content["lineage"]:
            if one.get("file") in content["files"] and one["kind"] != "code":
                one["sha256"] = content["files"][one["file"]]["sha256"]
        add_links(content["lineage"])
        self.save(content)

    def _listed(self, name):
        data = (self.folder / name).read_bytes()
        return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    def replace_inputs(self, *more):
        """Let the run have depended on its data, its config, the scripts of its commands and the files `more` only, as
        they are now; all else follows."""
        more += (*self.copy_settings(), *(f"tools/{name}.py" for name in ("train", "eval", "infer", "export_model")))
        self.depend_on(*more, "deploy/python/predict_cls.py")

    def copy_settings(self):
        """The paths of the config and its settings, of which the bundle and the repository now have the same."""
        paths = [line["path"] for line in self.content["lineage"] if line["kind"] == "config"]
        for path in paths:
            ours, theirs = self.root / path, self.folder / "configs" / Path(path).name
            shutil.copyfile(*((theirs, ours) if path.endswith(".txt") else (ours, theirs)))
        return paths

    def depend_on(self, *more):
        old, name = self.content["inputs"]["hash"], self.folder / "inputs.sha256"
        data = tuple(
            one["path"] for one in self.content["lineage"] if one["kind"] in ("data", "weights") and "path" in one
        )
        known = [line[66:] for line in name.read_text().splitlines() if line[66:].startswith(data)]
        paths = [path for path in (*known, *more) if (self.root / path).is_file()]
        lines = [f"{hashlib.sha256((self.root / path).read_bytes()).hexdigest()}  {path}\n" for path in paths]
        name.write_text("".join(lines))
        new = hashlib.sha256("".join(lines).encode()).hexdigest()[:12]
        for path in self.folder.rglob("*"):
            if path.is_file() and old in (text := path.read_text(errors="replace")):
                path.write_text(text.replace(old, new))
        content = self.content
        content["lineage"] = [one for one in content["lineage"] if one["kind"] != "code"]
        for one in [one for one in content["lineage"] if one["kind"] == "config"]:
            one["sha256"] = hashlib.sha256((self.root / one["path"]).read_bytes()).hexdigest()
        known = {one["id"] for one in content["lineage"]}
        for one in content["lineage"]:
            one["of"] = [parent for parent in one["of"] if parent in known]
        self.save(content)
        self.repair()
