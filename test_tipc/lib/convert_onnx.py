"""Run the command `paddle2onnx` of this interpreter's environment, and prove that it left a whole and valid ONNX file.

    python test_tipc/lib/convert_onnx.py --model_dir=./inference --model_filename=inference.pdmodel \\
        --params_filename=inference.pdiparams --save_file=./inference/inference.onnx --opset_version=10

Takes the options of the official configs. The command has a process of its own: Paddle2ONNX ends its process for some
models, and ends with code 0 where it wrote nothing. The file appears under its name when ONNX's checker has accepted
it; where another opset than the one in --opset_version had to be taken, a line says so. Options that only other
releases of Paddle2ONNX have are left out, with a note.
Exit code: 0 converted, 1 not (one line names the operator, or what else stood in the way).
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from agreement.onnx_file import OnnxFile
from known_versions import numbers
from script import UserError, run_main
from versions import PADDLES, find_versions

# options of other releases, which official scripts pass
OLD = ("enable_dev_version", "deploy_backend", "input_shape_dict", "enable_auto_update_opset", "custom_ops")
OLD += ("external_filename", "export_fp16_model", "save_calibration_file", "enable_optimization")
_COMMAND = "import sys; from paddle2onnx.command import main; sys.argv[0] = 'paddle2onnx'; main()"
_HELP = "from paddle2onnx.command import arg_parser; print(arg_parser().format_help())"
_TOLD = re.compile(r"error", re.IGNORECASE)
# where Paddle2ONNX lists the operators that it has converters for, in both formats of programs
_KNOWN = {".pdmodel": "get_all_supported_operators", ".json": "get_all_supported_operators_pir"}
# names of operators in .json whose converters Paddle2ONNX lists under the names of Paddle 2
_RENAMED = {"add": "elementwise_add", "subtract": "elementwise_sub", "multiply": "elementwise_mul",
            "divide": "elementwise_div", "maximum": "elementwise_max", "minimum": "elementwise_min",
            "remainder": "elementwise_mod", "floor_divide": "elementwise_floordiv", "mean": "reduce_mean",
            "sum": "reduce_sum", "max": "reduce_max", "min": "reduce_min", "prod": "reduce_prod", "any": "reduce_any",
            "all": "reduce_all", "reshape": "reshape2", "transpose": "transpose2", "squeeze": "squeeze2",
            "unsqueeze": "unsqueeze2", "flatten": "flatten_contiguous_range", "matmul": "matmul_v2", "topk": "top_k_v2",
            "argmax": "arg_max", "argmin": "arg_min", "full": "fill_constant", "expand": "expand_v2",
            "grid_sample": "grid_sampler", "hardswish": "hard_swish", "hardsigmoid": "hard_sigmoid",
            "embedding": "lookup_table_v2", "shape64": "shape", "full_int_array": "fill_constant"}  # fmt: skip


def main():
    args, others = parse()
    check_packages()
    target = Path(args.save_file)
    target.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        made = Path(folder, target.name)
        said, status = run_command([*model_words(args), f"--save_file={made}", *known_words(args, others)])
        print(said, end="" if said.endswith("\n") else "\n")
        if status or not made.is_file() or not made.stat().st_size:
            reason = reason_of(Path(args.model_dir, args.model_filename), said, status)
            raise UserError(f"{args.model_dir}: Paddle2ONNX cannot convert it: {reason}")
        file = OnnxFile(made)
        os.replace(made, target)
    seconds = time.monotonic() - began
    file.path = target
    if file.opset != args.opset_version:
        print(f"note: opset {args.opset_version} is not enough for this model, and Paddle2ONNX took {file.opset}")
    print(f"converted in {seconds:.1f} seconds: {file.words}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_dir", required=True, metavar="FOLDER")
    parser.add_argument("--model_filename", required=True, metavar="NAME")
    parser.add_argument("--params_filename", metavar="NAME")
    parser.add_argument("--save_file", required=True, metavar="FILE.onnx")
    parser.add_argument("--opset_version", type=int, default=11, metavar="N", help="default: 11")
    args, others = parser.parse_known_args()
    for name in (args.model_filename, args.params_filename):
        if name and not Path(args.model_dir, name).is_file():
            raise UserError(f"{Path(args.model_dir, name)}: no such file of an exported model")
    return args, others


def check_packages():
    """UserError unless Paddle2ONNX is installed, and fits the Paddle."""
    missing = [name for name in ("paddle2onnx", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"no {' and no '.join(missing)} in {sys.executable}: pip install -r requirements-engines.txt")
    found, installed = metadata.version("paddle2onnx"), find_versions()
    paddle = next((installed[name] for name in PADDLES if name in installed), "")
    if paddle and numbers(paddle)[:1] < (3,) <= numbers(found)[:1]:
        raise UserError(f"no paddle2onnx for Paddle {paddle}, found {found}: pip install paddle2onnx==1.3.1")


def model_words(args):
    words = [f"--model_dir={args.model_dir}", f"--model_filename={args.model_filename}"]
    words += [f"--params_filename={args.params_filename}"] if args.params_filename else []
    return [*words, f"--opset_version={args.opset_version}"]


def known_words(args, others):
    """Those of the further options that the installed command has; a note for each that only another release has."""
    done = subprocess.run([sys.executable, "-c", _HELP], capture_output=True, text=True, env=environment())
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        raise UserError(f"Paddle2ONNX cannot be imported: {reason:.200}")
    kept = []
    for word in others:
        name = word.lstrip("-").partition("=")[0]
        if name in OLD and f"--{name} " not in done.stdout + " ":
            print(f"note: Paddle2ONNX {metadata.version('paddle2onnx')} has no --{name}: left out")
        else:
            kept.append(word)
    return kept


def environment():
    """Without a package index: Paddle2ONNX would install packages while it converts."""
    return {**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONWARNINGS": "ignore"}


def run_command(words):
    """(all that the command printed, its exit code)."""
    print("paddle2onnx " + " ".join(words), flush=True)
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment(),
    )  # fmt: skip
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout), done.returncode


def reason_of(structure, said, status):
    """What stands in the way: operators that have no converter, or else the line of the command that says it."""
    try:
        known = known_operators(structure.suffix)
        missing = {name for name in operators_of(structure) if name not in known and _RENAMED.get(name) not in known}
    except Exception:  # a damaged model, or a release that does not tell: its own words follow
        missing = set()
    if missing:
        noun = "the operator" if len(missing) == 1 else "the operators"
        return f"it has no converter for {noun} {', '.join(sorted(missing))}"
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    told = [line for line in lines if _TOLD.search(line)] or lines or [f"it ended with status {status}"]
    return f"{told[-1]:.200}"


def operators_of(structure):
    """The names of the operators in a structure file, blocks of branches and loops included."""
    if structure.suffix == ".json":
        return set(_pir_operators(json.loads(structure.read_bytes())))
    from paddle.base import core

    program = core.ProgramDesc(structure.read_bytes())  # kept: Paddle frees its parts with it
    blocks = [program.block(number) for number in range(program.num_blocks())]
    names = {block.op(number).type() for block in blocks for number in range(block.op_size())}
    return names - {"feed", "fetch"}


def _pir_operators(part):
    """Yield the names of Paddle's operators in a part of a .json file; those of the program's frame are none."""
    if isinstance(part, dict):
        name = part.get("#")
        if isinstance(name, str) and "O" in part and name.startswith("1."):
            yield name.partition(".")[2]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _pir_operators(one)


def known_operators(suffix):
    """Those that Paddle2ONNX converts."""
    import paddle  # noqa: F401  its libraries are needed by the next one
    from paddle2onnx import paddle2onnx_cpp2py_export as compiled

    names = getattr(compiled, _KNOWN[suffix])()
    return {name.rpartition(".")[2] for name in names} | {"data", "feed", "fetch"}


if __name__ == "__main__":
    run_main(main)
