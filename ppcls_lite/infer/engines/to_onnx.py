"""Exported models in ONNX's format: the one place where Paddle2ONNX is called.

Paddle2ONNX is an optional package: `pip install -r requirements-engines.txt`.
"""

import importlib.util
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from ppcls_lite.infer.model.storage import operators, standard_files
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.paddle_version import installed, number
from ppcls_lite.utils.scratch import ScratchFolder

OPSET = 16  # has HardSwish, and every Paddle2ONNX and ONNX Runtime in use knows it
_CONVERT = """
import sys
import paddle2onnx
structure, params, target, opset = sys.argv[1:]
content = paddle2onnx.export(structure, params, None, int(opset))
with open(target, "wb") as stream:
    stream.write(content)
"""
_KNOWN = """
import paddle
from paddle2onnx.paddle2onnx_cpp2py_export import get_all_supported_operators
print(*get_all_supported_operators())
"""


def missing_packages(*names, model=None):
    """Which packages are not installed, or do not fit this Paddle, and how to get them; an empty string for none.

    `names` are those that are needed beside the ones for converting `model`, which ONNX's own format does not need.
    """
    names = names if model and model.is_onnx else (*names, "paddle2onnx")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        return f"no {' and no '.join(missing)}: pip install -r requirements-engines.txt"
    return why_no_paddle2onnx() if "paddle2onnx" in names else ""


def why_no_paddle2onnx():
    """Why the installed Paddle2ONNX cannot be imported beside this Paddle, or an empty string."""
    found = metadata.version("paddle2onnx")
    if number() < (3, 0) and number(found) >= (2, 0):
        return f"no paddle2onnx for Paddle {installed()}, found {found}: pip install paddle2onnx==1.3.1"
    return ""


def onnx_content(files):
    """The bytes of the model `files` in ONNX's format, converted where it has another one."""
    return files.structure.read_bytes() if files.is_onnx else convert_to_onnx(files)


def convert_to_onnx(files, opset=OPSET):
    """The exported model `files` in ONNX's format, as bytes; UserError with Paddle2ONNX's reason when it cannot.

    A higher opset than `opset` is taken where the network needs it.

    The conversion has a process of its own: Paddle2ONNX ends its process for some networks (detectors in
    `inference.json` among them), and prints on the screen, which is for predictions.
    """
    with standard_files(files) as standard, ScratchFolder() as folder:
        target = Path(folder, "model.onnx")
        command = [sys.executable, "-c", _CONVERT, standard.structure, standard.params, target, str(opset)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=_environment()
        )
        if done.returncode == 0 and target.is_file():
            return target.read_bytes()
        raise UserError(f"{files.folder}: Paddle2ONNX cannot convert it: {_reason(standard, done):.200}")


def check_onnx(path):
    """What ONNX's own checker says of the file at `path`: (opset, number of operators, whether the batch may vary).

    UserError where it is damaged or not valid.
    """
    import onnx

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # each layer of ONNX has exceptions of its own
        raise UserError(f"{path}: not a valid ONNX file: {' '.join(str(error).split()):.200}") from error
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    batches = [one.type.tensor_type.shape.dim[0] for one in model.graph.input]
    return opset, len(model.graph.node), all(one.dim_value <= 0 for one in batches)


def fix_batch(content, batch_size):
    """The model in the bytes `content` with a batch of that size only, as some accelerators want it."""
    import onnx

    model = onnx.load_from_string(content)
    for value in (*model.graph.input, *model.graph.output):
        sides = value.type.tensor_type.shape.dim
        if sides and sides[0].dim_value <= 0:
            sides[0].dim_value = batch_size
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def _environment():
    """Without a package index: Paddle2ONNX would install packages while it converts."""
    return {**os.environ, "PIP_NO_INDEX": "1"}


def _reason(files, done):
    """The operators that have no converter, which Paddle2ONNX itself does not name; else its own words."""
    known = set() if files.is_json else _known_operators()
    missing = sorted(set(operators(files.structure).kinds) - known) if known else []
    if missing:
        return f"it has no converter for the operator{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    lines = [line.strip() for line in done.stdout.splitlines() if "error" in line.lower()]
    return lines[-1] if lines else f"it ended with status {done.returncode}"


def _known_operators():
    """Those of Paddle's programs that Paddle2ONNX converts; none where it does not tell."""
    done = subprocess.run([sys.executable, "-c", _KNOWN], capture_output=True, text=True)
    return set(done.stdout.split()) if done.returncode == 0 else set()
