"""Networks that an engine computes in another way than strict mode does, each for one reason; and healthy ones.

    python -m tests.diagnosis.networks FOLDER

exports all of NETWORKS to FOLDER/<name>/inference, in the format that FLAGS_enable_pir_api chooses.
"""

import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from ppcls_lite.arch.registry import build_model
from tests.agree import zoo
from tests.agree.zoo import filled
from tests.helpers.recordings import export


class Overflowing(nn.Layer):
    """Its batch norm's factor times a weight is more than float32 holds, and the same two after each other are not.

    With a dropout between the two, the pass that merges them needs one that removes the dropout before it.
    """

    def __init__(self, with_dropout=False):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(3, 8, 3, bias_attr=False), nn.BatchNorm2D(8, epsilon=1e-12)
        self.drop = nn.Dropout(0.5) if with_dropout else nn.Identity()
        self.fc = nn.Linear(8, 5)

    def forward(self, image):
        x = self.drop(self.conv(image * 1e-30))
        return self.fc(F.relu(self.norm(x)).mean([2, 3]))


def overflowing(with_dropout=False):
    """An `Overflowing` network with such weights."""
    network = filled(Overflowing(with_dropout))
    network.conv.weight.set_value(network.conv.weight * np.float32(1e33))
    network.norm._variance.set_value(paddle.zeros([8]))
    network.norm._mean.set_value(paddle.zeros([8]))
    return network


class Operator(nn.Layer):
    """One operator on images [N, 3, 16, 16], behind a layer that has a weight."""

    def __init__(self, operator):
        super().__init__()
        self.conv, self.operator = nn.Conv2D(3, 3, 1), operator

    def forward(self, image):
        return self.operator(self.conv(image))


class Mixing(nn.Layer):
    """Subtracts the mean of the batch."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 5)

    def forward(self, image):
        x = self.fc(image.mean([2, 3]))
        return x - 0.5 * x.mean(0, keepdim=True)


def smallest(x):
    """Numbers that are too small for a processor's usual floats, and large again: some engines take them for 0."""
    return x * 1e-20 * 1e-20 * 1e38


def nearest(x):
    return F.interpolate(x, size=[24, 24], mode="nearest")


def pool_up(x):
    return F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, exclusive=False)


def halves(x):
    """Halves, rounded: up, or to the next even number."""
    return paddle.round(paddle.floor(x * 3) + 0.5)


def softplus(x):
    """A softplus with a threshold of its own, which the fusion with relu loses."""
    return F.relu(F.softplus(x, beta=3, threshold=1))


def both(x):
    return nearest(x)[:, :, :, :1].mean() + pool_up(x)


def ours(name):
    """A network of the project with random weights under which the numbers keep their size."""
    network = build_model(name, class_num=10)
    rng = np.random.default_rng(3)
    for tensor in network.state_dict().values():
        if tensor.ndim > 1:
            fan_in = int(np.prod(tensor.shape[1:])) if tensor.ndim == 4 else tensor.shape[0]
            tensor.set_value(rng.normal(0, np.sqrt(2 / fan_in), tensor.shape).astype("float32"))
    network.eval()
    return network


OURS = ("MobileNetV3_small_x1_0", "ShuffleNetV2_x1_0", "MixNet_M")
SIZE = 64  # of the images of ours
NETWORKS = {
    **{kind.__name__: lambda kind=kind: filled(kind()) for kind in (zoo.Classifier, zoo.Wide, zoo.Segmenter, Mixing)},
    **{
        function.__name__: lambda function=function: filled(Operator(function))
        for function in (smallest, nearest, pool_up, halves, softplus, both)
    },
    "overflowing": overflowing,
    "pair": lambda: overflowing(with_dropout=True),
    **{name: lambda name=name: ours(name) for name in OURS},
}


def main():
    for name, make in NETWORKS.items():
        size = SIZE if name in OURS else zoo.SIZE
        export(make(), Path(sys.argv[1], name, "inference"), ((None, 3, size, size), "float32", None))


if __name__ == "__main__":
    main()
