"""The architecture file of a PaddleClas pull request, made of the file that a network here is written in."""

import ast
import datetime
import inspect
import re
from typing import NamedTuple

from ppcls_lite.arch import ARCH, registry
from ppcls_lite.utils.errors import UserError
from tools.suite.inline import Closure
from tools.suite.modules import Definition, Library

# what a network has for other parts of this repository: its loader of weights, its pruning
ONLY_HERE = ("classifier", "hidden_layer", "weights_folder", "ssld_only", "inner_layers", "per_channel")
RESERVED = ("MODEL_URLS", "_load_pretrained", "load_dygraph_pretrain", "__all__")
LOADER = "from ....utils.save_load import load_dygraph_pretrain\n"
_LEFT_OUT = (registry.__name__,)
_PACKAGES = {"paddle", "numpy", "scipy", "cv2", "PIL", "sklearn"}  # what PaddleClas's requirements bring
_STANDARD = {"__future__", "collections", "copy", "dataclasses", "enum", "functools", "itertools", "math", "typing"}

_LICENCE = """\
# Copyright (c) {year} PaddlePaddle Authors. All Rights Reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""
_LOAD_PRETRAINED = '''\
def _load_pretrained(pretrained, model, model_url, use_ssld):
    """Fill `model` with the weights of `model_url` (True), of a path, or with none (False)."""
    if pretrained is True:
        load_dygraph_pretrain(model, model_url, use_ssld=use_ssld)
    elif isinstance(pretrained, str):
        load_dygraph_pretrain(model, pretrained)
    elif pretrained is not False:
        raise RuntimeError("pretrained: expected True, False or a path")
'''


class Architecture(NamedTuple):
    """The text of the file, its name without folder, the docstring of the original, and what its reader must know."""

    text: str
    file: str
    docstring: str
    notes: tuple


def write_architecture(urls, library=None):
    """The Architecture of the networks `urls` {registered name: address of its weights, or ""}, all of one file.

    Raises UserError for an unknown name, for networks of several files, and for what cannot be written without this
    repository.
    """
    library = library or Library()
    wanted = [_definition_of(name, library) for name in urls]
    module = wanted[0][0]
    others = [name for (other, _), name in zip(wanted, urls) if other.name != module.name]
    if others:
        raise UserError(f"-m: expected networks of one file, found {others[0]} outside of {module.path.name}")
    wrapped = {name: f"_{name}" for name in urls if not _only_returns(module.definitions[name][-1])}
    closure = Closure(library, wanted, _LEFT_OUT, RESERVED, wrapped)
    blocks = []
    for piece, text in closure.texts():
        text = _without_private_members(text)
        name = next((name for name, found in zip(urls, wanted) if found == (piece.module, piece.name)), None)
        blocks.append(text if name is None else _with_weights(text, name))
    imports = closure.imports()
    text = "\n".join(
        [
            _LICENCE.format(year=datetime.date.today().year),
            f'"""{module.docstring}\n"""\n' if "\n" in module.docstring else f'"""{module.docstring}"""\n',
            "\n".join(imports) + "\n",
            LOADER,
            _urls(urls),
            "__all__ = list(MODEL_URLS.keys())\n",
            "",
            _joined([_LOAD_PRETRAINED, *blocks]),
        ]
    )
    ast.parse(text)
    return Architecture(text, module.path.name, module.docstring, tuple(_foreign_packages(imports)))


def _definition_of(name, library):
    """The Definition that is registered as `name`."""
    builder = ARCH.get(name, where="-m")
    module = library.module(builder.__module__)
    own = getattr(builder, "__name__", "")
    if module is None or own not in module.definitions:
        place = inspect.getsourcefile(builder) or builder.__module__
        raise UserError(f"-m {name}: expected a definition at the top of a file of ppcls_lite, found it in {place}")
    if own != name:
        raise UserError(f"-m {name}: is registered by {own} of {module.path.name}; expected one of the same name")
    return Definition(module, own)


def _foreign_packages(imports):
    for line in filter(None, imports):
        package = line.split()[1].partition(".")[0]
        if package not in _PACKAGES | _STANDARD:
            yield f"`{line}`: PaddleClas's requirements.txt does not bring {package}; add it there, or write without it"


def _urls(urls):
    lines = "".join(f'    "{name}":\n    "{url}",\n' for name, url in urls.items())
    return f"MODEL_URLS = {{\n{lines}}}\n"


def _joined(blocks):
    """Two empty lines around functions and classes, none between the lines of a table."""
    text = ""
    for block in blocks:
        tall = re.search(r"^(def|class|@|async def)\b", block, re.MULTILINE) is not None
        text += ("\n\n" if text and (tall or text.endswith("\n\n\n")) else "") + block + ("\n\n\n" if tall else "")
        text = re.sub(r"\n{3,}\Z", "\n\n\n", re.sub(r"\n{4,}", "\n\n\n", text))
    return text.rstrip("\n") + "\n"


# ------------------------------------------------------------------------------------------ what is only for this place


def _without_private_members(text):
    """A definition without the members of ONLY_HERE, unless it reads them itself."""
    tree = ast.parse(text)
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    lines = text.splitlines(keepends=True)
    names = set(ONLY_HERE) - read
    gone = [node for node in ast.walk(tree) if _binds(node, names)]
    for node in gone:
        lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    if not gone:
        return text
    text = re.sub(rf"^ +(?:{'|'.join(names)}): .*\n", "", "".join(lines), flags=re.MULTILINE)  # in the docstring
    text = re.sub(r'\n+ +Class attributes:\n( *)"""', r'\n\1"""', text)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def _binds(node, names):
    if isinstance(node, ast.FunctionDef):
        return node.name in names
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        (target,) = node.targets
        if isinstance(target, ast.Attribute):
            return isinstance(target.value, ast.Name) and target.value.id == "self" and target.attr in names
        return isinstance(target, ast.Name) and target.id in names and node.col_offset > 0
    return False


# --------------------------------------------------------------------------------------------- the functions of a model


def _with_weights(text, name):
    """The definition of a registered network as PaddleClas calls it: with `pretrained` and `use_ssld`."""
    node = ast.parse(text).body[-1]
    end = f'    _load_pretrained(pretrained, model, MODEL_URLS["{name}"], use_ssld)\n    return model\n'
    if _only_returns(node):
        lines = text.splitlines(keepends=True)
        returned = node.body[-1]
        row = lines[returned.lineno - 1]
        lines[returned.lineno - 1] = row.replace("return ", "model = ", 1)
        body = "".join(lines[node.body[0].lineno - 1 :])
        head = "".join(lines[: node.lineno - 1])
        return f"{head}def {name}({_arguments(node.args)}):\n{body}{end}"
    called = f"    model = {node.name}(**kwargs)\n"  # it has another name by now
    return f"{text}\n\ndef {name}(pretrained=False, use_ssld=False, **kwargs):\n{called}{end}"


def _only_returns(node):
    """Is this a function of one `return`, below its docstring, on lines of its own?"""
    if not isinstance(node, ast.FunctionDef):
        return False
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    one = len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None
    return one and node.body[0].lineno > node.lineno and len(node.decorator_list) < 2 and not node.args.posonlyargs


def _arguments(arguments):
    """The arguments of a function, with those of PaddleClas before its `**`."""
    kept = ast.arguments(
        posonlyargs=[],
        args=arguments.args,
        vararg=arguments.vararg,
        kwonlyargs=arguments.kwonlyargs,
        kw_defaults=arguments.kw_defaults,
        kwarg=None,
        defaults=arguments.defaults,
    )
    rest = arguments.kwarg.arg if arguments.kwarg else "kwargs"
    return ", ".join(filter(None, [ast.unparse(kept), "pretrained=False", "use_ssld=False", f"**{rest}"]))
