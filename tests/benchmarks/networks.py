"""How long building, exporting and training networks takes, compared with the same networks written plainly in Paddle.

    python tests/benchmarks/networks.py
    python tests/benchmarks/networks.py ResNet50_vd --size 96 --batch 4 --steps 10

Both take turns within one process, since a machine is not equally fast at all times, and the median of each counts.
Prints a table; "ours" over "plain" below 1 means that ours took less time. Nothing passes or fails here: a busy
machine moves these figures by more than the differences.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("FLAGS_enable_pir_api", "0")  # export inference.pdmodel, as tools/export_model.py does
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import paddle
import paddle.nn.functional as F
from paddle import nn

from ppcls_lite.arch import build_model
from ppcls_lite.arch.summary import count_parameters
from ppcls_lite.utils.errors import UserError, run_main


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, relu=True):
    layers = [
        nn.Conv2D(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias_attr=False),
        nn.BatchNorm2D(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def plain_mobilenet_v1():
    """Howard et al., "MobileNets" (2017), table 1."""
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    layers = [conv_bn(3, 32, 3, 2)]
    for number, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers.append(conv_bn(inputs, inputs, 3, 2 if number in (1, 3, 5, 11) else 1, groups=inputs))
        layers.append(conv_bn(inputs, outputs, 1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(1024, 1000))


class PlainBottleneck(nn.Layer):
    """He et al., "Bag of Tricks" (2018), figure 2: ResNet-D's block."""

    def __init__(self, inputs, width, stride, first):
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(inputs, width, 1), conv_bn(width, width, 3, stride), conv_bn(width, width * 4, 1, relu=False)
        )
        self.shortcut = None
        if first:
            pool = [nn.AvgPool2D(2, 2, ceil_mode=True)] if stride == 2 else []
            self.shortcut = nn.Sequential(*pool, conv_bn(inputs, width * 4, 1, relu=False))

    def forward(self, x):
        return F.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)))


def plain_resnet50_vd():
    layers = [conv_bn(3, 32, 3, 2), conv_bn(32, 32, 3), conv_bn(32, 64, 3), nn.MaxPool2D(3, 2, 1)]
    inputs = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512))):
        for block in range(blocks):
            layers.append(PlainBottleneck(inputs, width, 2 if stage and not block else 1, not block))
            inputs = width * 4
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(2048, 1000))


PLAIN = {"MobileNetV1_x1_0": plain_mobilenet_v1, "ResNet50_vd": plain_resnet50_vd}


def timed(action):
    """(seconds, result)."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def export(model, size):
    model.eval()
    spec = [paddle.static.InputSpec([None, 3, size, size], "float32")]
    with tempfile.TemporaryDirectory() as folder:
        paddle.jit.save(paddle.jit.to_static(model, input_spec=spec, full_graph=True), f"{folder}/inference")


def trainer(model, images, labels):
    """A function that makes one training step."""
    model.train()
    optimizer = paddle.optimizer.Momentum(0.01, parameters=model.parameters())

    def step():
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.clear_grad()

    return step


def compare(name, args):
    """{what: (seconds of ours, seconds of the plain one)}, medians."""
    builders = (lambda: build_model(name), PLAIN[name])
    models = [build() for build in builders]
    if count_parameters(models[0]) != count_parameters(models[1]):
        raise UserError(f"{name}: the plain network is not the same one")
    images = paddle.randn([args.batch, 3, args.size, args.size])
    labels = paddle.arange(args.batch) % 1000
    steps = [trainer(model, images, labels) for model in models]
    for step in steps:
        step()  # the first step allocates
    actions = {
        "build": (args.rounds, builders),
        "training step": (args.steps, steps),
        "export": (args.rounds, [lambda build=build: export(build(), args.size) for build in builders]),
    }
    found = {}
    for what, (times, pair) in actions.items():
        rounds = [[timed(action)[0] for action in pair] for _ in range(times)]
        found[what] = [statistics.median(column) for column in zip(*rounds)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(PLAIN), metavar="NAME", help=f"out of {', '.join(PLAIN)}")
    parser.add_argument("--size", type=int, default=128, help="pixels")
    parser.add_argument("--batch", type=int, default=8, help="images")
    parser.add_argument("--steps", type=int, default=10, help="training steps of each")
    parser.add_argument("--rounds", type=int, default=3, help="times that each is built and exported")
    args = parser.parse_args()
    for name in args.names:
        if name not in PLAIN:
            raise UserError(f"{name}: there is a plain twin of {', '.join(PLAIN)} only")
    print(f"{'network':18} {'':14} {'ours':>8} {'plain':>8}  ours / plain")
    for name in args.names:
        for what, (ours, plain) in compare(name, args).items():
            print(f"{name:18} {what:14} {ours:7.3f}s {plain:7.3f}s  {ours / plain:.2f}")


if __name__ == "__main__":
    run_main(main)
