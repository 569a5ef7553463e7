"""How much faster a training step is on an AMD processor when MKL is told of AVX2 (MKL_DEBUG_CPU_TYPE=5).

    python tests/benchmarks/mkl.py
    python tests/benchmarks/mkl.py ResNet50_vd --size 96 --batch 4 --rounds 5

Each round measures every network twice, in a process of its own without and with the setting, one after the other,
because a machine is not equally fast at all times. Prints the median milliseconds of a step (forward, backward, update)
and the median ratio of the rounds. Nothing passes or fails here.
Exit code: 0 measured, 1 a network is not known.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import UserError, run_main
from ppcls_lite.utils.machine import describe

STEP = """
import sys, time
import paddle
from ppcls_lite.arch import build_model
name, size, batch, steps = sys.argv[1], *map(int, sys.argv[2:])
paddle.seed(0)
model = build_model(name, class_num=10)
optimizer = paddle.optimizer.Momentum(0.01, parameters=model.parameters())
images, labels = paddle.randn([batch, 3, size, size]), paddle.randint(0, 10, [batch])
times = []
for step in range(steps + 2):
    clock = time.perf_counter()
    paddle.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    optimizer.clear_grad()
    times.append(time.perf_counter() - clock)
print(1000 * sorted(times[2:])[steps // 2])
"""


def milliseconds(setting, *words):
    environment = {key: value for key, value in os.environ.items() if key != "MKL_DEBUG_CPU_TYPE"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", STEP, *map(str, words)]
    done = subprocess.run(command, env={**environment, **setting}, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{words[0]}: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
    return float(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["ResNet50_vd", "MobileNetV3_small_x1_0"], metavar="NETWORK")
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--batch", type=int, default=8, help="images")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    machine = describe()
    print(f"{machine['cpu']}, {machine['cores']} cores; images of {args.size} px, batch size {args.batch}")
    print("network  without (ms)  with (ms)  ratio")
    for name in args.names:
        words = name, args.size, args.batch, args.steps
        rounds = [
            (milliseconds({}, *words), milliseconds({"MKL_DEBUG_CPU_TYPE": "5"}, *words)) for _ in range(args.rounds)
        ]
        without, with_it = (statistics.median(times) for times in zip(*rounds))
        ratio = statistics.median(second / first for first, second in rounds)
        print(f"{name}  {without:.0f}  {with_it:.0f}  {ratio:.2f}")


if __name__ == "__main__":
    run_main(main)
