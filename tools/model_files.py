"""The contents of all files of a new network. For new_model.py; needs no package."""

import ast
import re
from pathlib import Path
from string import Template
from typing import NamedTuple

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registered import is_registered
from tools.model_names import find_source

_TEMPLATES = Path(__file__).parent / "templates/new_model"
_PATTERN = "ShuffleNetV2_x1_0"  # the model whose configs of the deployments are taken
_DEPLOYMENTS = (
    "serving_infer_python.txt",
    "model_linux_gpu_normal_normal_serving_python_linux_gpu_cpu.txt",
    "serving_infer_cpp.txt",
    "paddle2onnx_infer_python.txt",
    "inference_cpp.txt",
    "lite_arm_cpu_cpp.txt",
)
_PACKAGE = "ppcls_lite/arch/__init__.py"
_SERIES = "docs/models/series.yaml"
_TABLE = "docs/models.md"
_MARK = "<!-- own networks: end -->\n"


class Recipe(NamedTuple):
    """The training on lite_data: the config that it is made from, and what differs."""

    yaml: str
    epochs: int
    batch_size: int
    rate: float  # None: that of the config


# measured: 288 steps of 64 px take 19 s on two cores, and the five convolutions know 5 of 10 images of six classes
_BEGINNING = Recipe("ppcls_lite/configs/lite_data_64.yaml", 16, 8, None)


class ModelFiles:
    """All that is written for the network of `names`; `source` is a registered network to copy, or None."""

    def __init__(self, root, names, source=None):
        self.root, self.names, self.source = Path(root), names, source
        self.source_file = None if source is None else find_source(root, source)
        self.recipe = _BEGINNING if source is None else _recipe_of(self.root, source)
        places = {place: getattr(names, place) for place in ("arch", "yaml", "config", "page", "test")}
        self.words = {**names._asdict(), **places, "anchor": names.name.lower()}

    def new(self):
        """{path: text} of the files that are added."""
        names, recipe = self.names, self.recipe
        configs = {
            "train_infer_python.txt": self._fill(
                "train_infer_python", epochs=recipe.epochs, batch_size=recipe.batch_size
            )
        }
        for file in _DEPLOYMENTS:
            configs[file] = self._read(f"test_tipc/configs/{_PATTERN}/{file}").replace(_PATTERN, names.name)
        return {
            names.arch: self._network() if self.source is None else self._copied_network(),
            names.yaml: self._training_config(),
            **{f"{names.configs}/{file}": text for file, text in configs.items()},
            names.page: self._fill("page"),
            names.test: self._fill("test"),
        }

    def changed(self):
        """{path: (text before, text after)} of the files that must know of the network."""
        edits = {_PACKAGE: self._with_import, _SERIES: self._with_series, _TABLE: self._with_line}
        found = {}
        for path, edit in edits.items():
            before = self._read(path)
            found[path] = (before, edit(before))
        return found

    # ------------------------------------------------------------------------------------------------ the new files

    def _network(self):
        names = self.names
        if names.class_name == names.name:  # the class itself is what is registered
            words = {"decorator": "@ARCH.register\n", "width_parameter": f"width={names.width}"}
            return self._fill("network", **words)
        return self._fill("network", decorator="", width_parameter="width") + self._fill("builder")

    def _copied_network(self):
        """The file of the source with nothing registered but the source, under the new name."""
        text = self._read(self.source_file.relative_to(self.root))
        lines = text.splitlines(keepends=True)
        tree = ast.parse(text)
        families = _families(tree)
        for node in reversed(tree.body):
            if isinstance(node, ast.ClassDef) and families & {getattr(base, "id", None) for base in node.bases}:
                _without_official_weights(lines, node)
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or not is_registered(node):
                continue
            if node.name == self.source:
                at = node.lineno - 1
                lines[at] = re.sub(rf"\b{self.source}\b", self.names.name, lines[at])
            else:
                first = min(decorator.lineno for decorator in node.decorator_list) - 1
                while first and not lines[first - 1].strip():
                    first -= 1
                del lines[first : node.end_lineno]
        return re.sub(r'^"""', f'"""{self.names.name}, begun as {self.source}. ', "".join(lines), count=1)

    def _training_config(self):
        text = re.sub(r"\A(#.*\n)*", "", self._read(self.recipe.yaml))
        every = max(1, self.recipe.epochs // 4)
        changes = {
            "output_dir": f"./output/{self.names.name}",
            "epochs": self.recipe.epochs,
            "eval_interval": every,
            "batch_size": self.recipe.batch_size,
            "learning_rate": self.recipe.rate,
        }
        for key, value in changes.items():
            if value is not None:
                text = self._set(text, key, value)
        text = re.sub(r"(?m)^( +beta2: \S+) +#.*$", r"\1", text)  # a reason of other networks
        text, count = re.subn(r"(?m)^(Arch:\n  name: ).*$", rf"\g<1>{self.names.name}", text)
        if count != 1:
            raise UserError(f"{self.recipe.yaml}: expected the network's name below 'Arch:'")
        name = self.names.name
        return f"# {name} on the small images of lite_data/. Made by test_tipc/new_model.sh, yours to change.\n{text}"

    def _set(self, text, key, value):
        """Replace the value of the first line with this key."""
        text, count = re.subn(rf"(?m)^( *{key}: )[^#\n]*?( *#.*)?$", rf"\g<1>{value}", text, count=1)
        if not count:
            raise UserError(f"{self.recipe.yaml}: expected a line '{key}: …'")
        return text

    # -------------------------------------------------------------------------------------------- the changed files

    def _with_import(self, text):
        """The imports at the head of the package, with that of the module in its place."""
        block = re.search(r"(?m)^from ppcls_lite\.arch import \(.*\n((?:    \w+,\n)+)\)", text)
        if not block:
            raise UserError(f"{_PACKAGE}: expected the imports of the families, 'from ppcls_lite.arch import ('")
        lines = sorted({*block[1].splitlines(keepends=True), f"    {self.names.module},\n"})
        return text[: block.start(1)] + "".join(lines) + text[block.end(1) :]

    def _with_series(self, text):
        """An entry before all others, since the first one that fits counts."""
        names = self.names
        entry = (
            f"{names.name}:\n  models: [{names.name}]\n  page: own/{names.name}\n  type: classification\n"
            f'  paper: null  # {{title: …, url: "https://…"}}\n  official: {names.arch}\n  recipes: .\n'
        )
        head = re.match(r"(#.*\n)*", text).end()
        return text[:head] + entry + text[head:]

    def _with_line(self, text):
        if text.count(_MARK) != 1:
            raise UserError(f"{_TABLE}: expected one line {_MARK.strip()}")
        return text.replace(_MARK, f"- [{self.names.name}](models/own/{self.names.name}.md)\n{_MARK}")

    # ----------------------------------------------------------------------------------------------------- texts

    def _fill(self, template, **words):
        text = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
        return Template(text).substitute({**self.words, **words})

    def _read(self, path):
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read ({error}); this tool is for a whole checkout") from error


def _families(tree):
    """The names in a file that networks derive from: Network, and the classes of other families."""
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module)
    modules = (node for node in imports if node.module.startswith("ppcls_lite.arch."))
    return {alias.name for node in modules if not node.module.endswith(".layers") for alias in node.names} - {"ARCH"}


def _without_official_weights(lines, node):
    """Say in a class, whose `lines` these are, that there are no official weights of it under the new name."""
    for statement in reversed(node.body):
        target = getattr(statement, "targets", [None])[0]
        if getattr(target, "id", None) in ("weights_folder", "ssld_only"):
            del lines[statement.lineno - 1 : statement.end_lineno]
    first = node.body[0]
    has_words = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    at = first.end_lineno if has_words else first.lineno - 1
    gap = "\n" if has_words else ""
    lines.insert(at, f"{gap}    weights_folder = None  # there are no official ones\n")


def _recipe_of(root, source):
    """What the chain of a registered network trains with; where it has no chain, that of a new network."""
    path = root / f"test_tipc/configs/{source}/train_infer_python.txt"
    if not path.is_file():
        return _BEGINNING
    text = path.read_text(encoding="utf-8")
    found = [
        re.search(pattern, text, re.MULTILINE)
        for pattern in (
            r"^norm_train:lite_train=\S+ -c (\S+\.yaml)",
            r"^-o Global\.epochs:lite_train=(\d+)",
            r"batch_size:lite_train=(\d+)",
        )
    ]
    if not all(found):
        return _BEGINNING
    return Recipe(found[0][1], int(found[1][1]), int(found[2][1]), None)
