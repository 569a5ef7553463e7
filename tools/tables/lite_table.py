"""Print what Paddle Lite makes of every network: sizes of the .nb files, seconds of opt, differences of the x86 twin.

    python tools/tables/lite_table.py MixNet_S
    python tools/tables/lite_table.py --measure --update test_tipc/docs/test_lite_arm_cpu_cpp.md

Without --measure the table is made of docs/measured/lite.json; with it, the networks named (all, by default) are
measured again and kept there, which takes some minutes and needs .venv-lite (or TIPC_LITE_PYTHON). The steps are those
of test_tipc/test_lite_arm_cpu_cpp.sh, on images of lite_data at the size of the ImageNet recipe, with filled weights
(ppcls_lite/benchmark/filled.py): an untrained network hides differences.
Exit code: 0, or 1 for an unknown network, a network that cannot be converted, or a file that cannot be used.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, nearest, run_main
from ppcls_lite.utils.files import REPO, atomic_write, show_block
from tools.tables.model_table import NETWORKS

MEASURED = REPO / "docs/measured/lite.json"
BEGIN, END = "<!-- lite table: begin -->", "<!-- lite table: end -->"
LIB = REPO / "test_tipc/lib"
IMAGES = REPO / "lite_data/val"
_OPT = re.compile(r"Paddle Lite (\S+), (\d+) operators?, (\d+) weights?, (\d+) bytes, ([\d.]+) seconds")
_LAST_BIT = re.compile(r"the last bit of the inputs moves it by (\S+)")
_AGREES = re.compile(r"largest difference (\S+) \(.*\), (\d+) of \2 images with the same top-5: agrees")
_HEADING = ("network", "exported (MB)", "ARM `.nb` (MB)", "opt (s)", "largest difference", "last bit")


def measure(model, python, folder):
    """The figures of an exported model; UserError where a step fails."""
    program, arm, x86 = folder / "program", folder / "arm.nb", folder / "x86.nb"
    run(sys.executable, REPO / "deploy/lite/write_demo.py", model, "--images", IMAGES, "--output", folder / "demo")
    inputs = ["--inputs", folder / "demo/inputs.npz", "--output", program]
    said = run(sys.executable, LIB / "lite_program.py", model, *inputs)
    figures = {"exported_bytes": sum((model / f"inference.{end}").stat().st_size for end in ("pdmodel", "pdiparams"))}
    for target, path in (("arm", arm), ("x86", x86)):
        made = _OPT.search(run(python, LIB / "lite_opt.py", program, "--target", target, "--output", path))
        figures[f"{target}_bytes"], figures[f"{target}_seconds"] = int(made[4]), float(made[5])
    run(python, LIB / "lite_run.py", x86, "--inputs", program / "inputs.npz", "--save", folder / "found.npz")
    words = ["outputs", "x86", "--expected", program / "expected.npz", "--found", folder / "found.npz"]
    agreed = _AGREES.search(run(sys.executable, LIB / "lite_agree.py", *words))
    run(
        sys.executable,
        LIB / "lite_agree.py",
        "weights",
        "--arm",
        arm,
        "--x86",
        x86,
        "--params",
        program / "model.pdiparams",
    )
    figures.update(largest=float(agreed[1]), images=int(agreed[2]), last_bit=float(_LAST_BIT.search(said)[1]))
    return {"paddle_lite": made[1], **figures}


def run(*words):
    """What a command prints; UserError, its line of error, where it fails."""
    done = subprocess.run(list(map(str, words)), cwd=REPO, capture_output=True, text=True)
    if done.returncode not in (0, 77):  # 77: the demo has no such transform; the inputs are there
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")] or [f"{words[1]} failed"]
        raise UserError(said[-1].replace("error: ", "", 1))
    return done.stdout


def measure_all(names):
    """Measure these networks, and keep the figures of each as soon as they are there."""
    from ppcls_lite.benchmark.plan import export_networks
    from ppcls_lite.utils import machine

    python = os.environ.get("TIPC_LITE_PYTHON") or REPO / ".venv-lite/bin/python"
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            model = export_networks([name], folder)[name]
            figures = measure(model, python, Path(folder))
        print(name, figures, file=sys.stderr)
        known = {**(kept()["networks"] if MEASURED.is_file() else {}), name: figures}
        networks = {name: known[name] for name in NETWORKS if name in known}
        with atomic_write(MEASURED) as stream:
            stream.write(json.dumps({"conditions": machine.describe(), "networks": networks}, indent=2) + "\n")


def kept():
    """The figures that an earlier --measure kept; UserError when there are none."""
    try:
        return json.loads(MEASURED.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{MEASURED}: cannot be read ({error}); run --measure") from error


def as_markdown(measured, names):
    lines = [_HEADING, ["---", *["---:"] * (len(_HEADING) - 1)]]
    for name in names:
        row = measured["networks"][name]
        sizes = [f"{row[key] / 1e6:.1f}" for key in ("exported_bytes", "arm_bytes")]
        lines.append([name, *sizes, f"{row['arm_seconds']:.1f}", f"{row['largest']:.2g}", f"{row['last_bit']:.2g}"])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; default: those of the documents")
    parser.add_argument("--measure", action="store_true", help=f"measure again and keep it in {MEASURED.name}")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew the table between the markers in FILE")
    args = parser.parse_args()
    for name in args.names:
        if name not in NETWORKS:
            raise UserError(f"{name}: no such network{nearest(name, NETWORKS)}; known: {', '.join(NETWORKS)}")
    if args.measure:
        measure_all(args.names or NETWORKS)
    measured = kept()
    names = args.names or [name for name in NETWORKS if name in measured["networks"]]
    missing = [name for name in names if name not in measured["networks"]]
    if missing:
        raise UserError(f"{MEASURED}: has no {', '.join(missing)}; run --measure {' '.join(missing)}")
    show_block(args.update, BEGIN, END, as_markdown(measured, names))


if __name__ == "__main__":
    run_main(main)
