"""Where the time of a training step goes, and whether a fused optimizer changes it.

    python tests/benchmarks/training_step.py
    python tests/benchmarks/training_step.py ResNet50_vd --size 128 --batch 4 --rounds 5

Steps with Paddle's usual Momentum and with its fused one (`use_multi_tensor`) take turns in one process; the fastest
round of each part counts. Prints the milliseconds of the forward pass, the backward pass and the update, and the share
of each. Nothing passes or fails here. What waiting for data takes, `avg_reader_cost` of every training's log says.
Exit code: 0 measured, 1 a network is not known.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ppcls_lite.utils.errors import quick_import, run_main
from ppcls_lite.utils.machine import describe, use_cores

PARTS = ("forward", "backward", "update")
USUAL, FUSED = "usual", "fused"


def measure(name, size, batch, rounds):
    """{optimizer: {part: milliseconds}}."""
    import paddle

    from ppcls_lite.arch import build_model

    model = build_model(name, class_num=10)
    images, labels = paddle.randn([batch, 3, size, size]), paddle.arange(batch) % 10
    optimizers = {
        kind: paddle.optimizer.Momentum(
            0.001, 0.9, parameters=model.parameters(), weight_decay=2e-5, use_multi_tensor=kind == FUSED
        )
        for kind in (USUAL, FUSED)
    }

    def step(optimizer):
        clocks = [time.perf_counter()]
        loss = paddle.nn.functional.cross_entropy(model(images), labels)
        clocks.append(time.perf_counter())
        loss.backward()
        clocks.append(time.perf_counter())
        optimizer.step()
        optimizer.clear_grad()
        clocks.append(time.perf_counter())
        return [1000 * (end - begin) for begin, end in zip(clocks, clocks[1:])]

    taken = {kind: [] for kind in optimizers}
    for _ in range(rounds + 1):
        for kind, optimizer in optimizers.items():
            taken[kind].append(step(optimizer))
    return {kind: dict(zip(PARTS, map(min, zip(*steps[1:])))) for kind, steps in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["MobileNetV3_small_x1_0", "MobileNetV1_x1_0", "ResNet50_vd"])
    parser.add_argument("--size", type=int, default=128, help="pixels of an image's side (default: 128)")
    parser.add_argument("--batch", type=int, default=8, help="images per step (default: 8)")
    parser.add_argument("--rounds", type=int, default=5, help="steps of each optimizer (default: 5)")
    args = parser.parse_args()
    print(f"{describe()['cpu']}, {use_cores()} threads, batches of {args.batch} at {args.size} px")
    with quick_import():
        import paddle  # noqa: F401
    print(f"{'network':24}{'optimizer':10}" + "".join(f"{part:>20}" for part in PARTS))
    for name in args.names:
        for kind, parts in measure(name, args.size, args.batch, args.rounds).items():
            total = sum(parts.values())
            cells = "".join(f"{value:11.1f} ms {value / total:5.1%}" for value in parts.values())
            print(f"{name:24}{kind:10}{cells}")


if __name__ == "__main__":
    run_main(main)
