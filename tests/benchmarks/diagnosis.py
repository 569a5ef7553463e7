"""What a diagnosis costs: of a sound export, through all stages, and of one with a fault in the middle of the network.

    python tests/benchmarks/diagnosis.py
    python tests/benchmarks/diagnosis.py PPHGNetV2_B6 --size 224

Takes networks of this repository with seeded weights, 1000 classes. Printed are seconds, the ratio to the plain
prediction of two images (a process with Paddle's import), and the most memory of a process. Nothing passes or fails
here.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
import numpy as np
import paddle
from ppcls_lite.arch.registry import build_model
step, name, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
paddle.seed(1)
network = build_model(name, class_num=1000)
network.eval()
if step == "export":
    paddle.save(network.state_dict(), "weights.pdparams")
    spec = [paddle.static.InputSpec([None, 3, size, size], "float32", "x")]
    paddle.jit.save(paddle.jit.to_static(network, input_spec=spec), "inference")
else:
    network.set_state_dict(paddle.load("weights.pdparams"))
    with paddle.no_grad():
        for image in np.random.default_rng(0).random((2, 1, 3, size, size), dtype=np.float32):
            network(paddle.to_tensor(image)).numpy()
"""
SPOIL = """
from paddle.base import core
with open("inference.pdmodel", "rb") as stream:
    program = core.ProgramDesc(stream.read())
block = program.block(0)
operators = [block.op(number) for number in range(block.op_size())]
norms = [one for one in operators if one.type() == "batch_norm"]
norms[len(norms) // 2]._set_attr("epsilon", 1e-3)
with open("inference.pdmodel", "wb") as stream:
    stream.write(program.serialize_to_string())
"""


def run(folder, *words, **environment):
    """(seconds, exit code, the last line of its output) of a Python program."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TIPC_")}
    kept.update({"PYTHONPATH": str(ROOT), "FLAGS_enable_pir_api": "0", "GLOG_minloglevel": "2", **environment})
    clock = time.perf_counter()
    command = [sys.executable, "-W", "ignore", *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    return time.perf_counter() - clock, done.returncode, lines[-1]


def measure(name, size, folder):
    (folder / "seen").mkdir()
    run(folder, "-c", SCRIPT, "export", name, size)
    plain, code, last = run(folder, "-c", SCRIPT, "predict", name, size)
    if code:
        sys.exit(f"{name}: {last}")
    observer = f"{ROOT / 'test_tipc/lib/observe'}{os.pathsep}{ROOT}"
    seen = {"TIPC_OBSERVE": str(folder / "seen"), "TIPC_OBSERVE_DEEP": "1", "PYTHONPATH": observer}
    rows = [("prediction", plain)]
    rows.append(("the same, observed deeply", run(folder, "-c", SCRIPT, "predict", name, size, **seen)[0]))
    words = [ROOT / "test_tipc/lib/diagnose.py", "--reference", "seen", "--model_dir", ".",
             "--weights", "weights.pdparams", "--output", "found"]  # fmt: skip
    seconds, _, sound = run(folder, *words)
    rows.append(("diagnosis, all stages", seconds))
    run(folder, "-c", SPOIL)
    seconds, _, spoilt = run(folder, *words)
    rows.append(("diagnosis, a fault in the middle", seconds))
    return plain, rows, (sound, spoilt)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["MobileNetV3_small_x1_0", "PPHGNetV2_B6"])
    parser.add_argument("--size", type=int, default=224, help="pixels")
    args = parser.parse_args()
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            plain, rows, verdicts = measure(name, args.size, Path(folder))
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        for title, seconds in rows:
            print(f"{name:24} {title:34} {seconds:7.1f} s  {seconds / plain:6.1f}")
        print(f"{name:24} most memory of a process so far: {most:,.0f} MB")
        for verdict in verdicts:
            print(f"    {verdict[:160]}")


if __name__ == "__main__":
    main()
