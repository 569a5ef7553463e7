"""Run the demo for devices on an emulated ARM processor, all of it but Paddle Lite and the decoder of images, and
compare.

    python deploy/lite/check_demo.py demo --expected program/expected.npz

`demo` is the folder that write_demo.py wrote, expected.npz has the scores that Paddle computes. The demo is compiled
for 64-bit ARM, prepares the images as its config.txt says, takes the scores as if its network had computed them, and
prints its lines: the network's inputs must be, bit by bit, those of predict_cls.py, and the lines its lines.
Exit code: 0 all equal, 1 something differs, or a file cannot be used (one line says what), 77 no compiler for ARM or no
emulator is there (one line names the packages).
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main

SOURCES = Path(__file__).resolve().parent
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
CANNOT_RUN_HERE = 77


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of config.txt")
    parser.add_argument("--expected", type=Path, required=True, metavar="FILE", help="{name: [N, 1, C]} as .npz")
    args = parser.parse_args()
    missing = [program for program in (COMPILER, EMULATOR, "make") if shutil.which(program) is None]
    if missing:
        print(f"no {' and no '.join(missing)} (Debian: apt-get install make g++-aarch64-linux-gnu qemu-user)")
        return CANNOT_RUN_HERE
    scores = read_scores(args.expected)
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        prepare(args.demo, Path(folder), scores)
        lines = run(program, Path(folder))
        compare_inputs(args.demo, Path(folder))
        compare_lines(args.demo, lines, scores)


def read_scores(path):
    """The scores [N, C] of the only output in expected.npz."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as content:
            found = [content[name] for name in content.files if not name.startswith("~")]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if len(found) != 1 or found[0].ndim != 3 or found[0].shape[1] != 1 or found[0].dtype != np.float32:
        shapes = [list(array.shape) for array in found]
        raise UserError(f"{path}: expected the scores [N, 1, C] of a classifier, found {shapes}")
    return found[0][:, 0]


def build(folder):
    """Compile the demo; the path of the program."""
    words = ["make", "-s", "-C", str(SOURCES), "check", f"CROSS={COMPILER}", f"BUILD={folder}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout)
        raise UserError(f"{SOURCES}: the demo cannot be compiled with {COMPILER} (see above)")
    return folder / "clas_check"


def prepare(demo, folder, scores):
    """Copy the demo's files, and put the scores in the place of its model."""
    import numpy as np

    try:
        config = (demo / "config.txt").read_text(encoding="utf-8").splitlines()
        for name in ("images.txt", "label_list.txt"):
            shutil.copy(demo / name, folder)
        shutil.copytree(demo / "images", folder / "images")
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be used ({error.strerror}); write_demo.py writes it") from None
    config = ["clas_model_file scores" if line.startswith("clas_model_file ") else line for line in config]
    (folder / "config.txt").write_text("\n".join(config) + "\n", encoding="utf-8")
    (folder / "scores").write_bytes(np.float32(scores.shape[1]).tobytes() + np.ascontiguousarray(scores).tobytes())


def run(program, folder):
    """The lines that the program prints for all images."""
    words = [EMULATOR, str(program), "config.txt", "images.txt", "found"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"clas_check: {said[-1].replace('error: ', '', 1)}")
    return done.stdout.splitlines()


def compare_inputs(demo, folder):
    import numpy as np

    with np.load(demo / "inputs.npz", allow_pickle=False) as content:
        expected = content["image"]
    found = np.frombuffer((folder / "scores.inputs").read_bytes(), np.float32)
    if found.size != expected.size:
        raise UserError(f"{demo}/config.txt: the demo prepares {found.size} numbers, predict_cls.py {expected.size}")
    found = found.reshape(expected.shape)
    for number, (first, second) in enumerate(zip(expected, found)):
        if first.tobytes() != second.tobytes():
            apart = np.abs(first - second)
            place = np.unravel_index(apart.argmax(), apart.shape)
            raise UserError(
                f"{demo}/config.txt: image {number} is prepared as {second[place]:.7g} at {list(map(int, place))} "
                f"(channel, row, column), by predict_cls.py as {first[place]:.7g}"
            )
    print(
        f"demo: the inputs of {len(expected)} images {list(expected.shape[1:])} are bit by bit those of predict_cls.py"
    )


def compare_lines(demo, lines, scores):
    from ppcls_lite.infer.model.postprocess import Topk, format_line

    labels = demo / "label_list.txt"
    config = dict(line.split(" ", 1) for line in (demo / "config.txt").read_text(encoding="utf-8").splitlines())
    topk = Topk(int(config["topk"]), str(labels) if labels.stat().st_size else None)
    paths = (demo / "images.txt").read_text(encoding="utf-8").splitlines()
    expected = [format_line(result, path) for result, path in zip(topk(scores), paths)]
    if lines != expected:
        wrong = next(
            number for number in range(len(expected)) if lines[number : number + 1] != expected[number : number + 1]
        )
        found = lines[wrong] if wrong < len(lines) else "nothing"
        raise UserError(f"{demo}: line {wrong + 1}: predict_cls.py prints {expected[wrong]!r}, the demo {found!r}")
    print(f"demo: its {len(lines)} lines are those of predict_cls.py")


if __name__ == "__main__":
    run_main(main)
