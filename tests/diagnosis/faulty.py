"""A script that exports a network with a fault, predicts with the sound one, or infers:

    python tests/diagnosis/faulty.py NAME export|predict|infer PREFIX

The networks that a forward or an export makes other than they were trained, one for each cause that diagnose.py names.
"""

import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import inference, nn
from paddle.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.agree import zoo

IMAGES = 4


class Channels(zoo.Classifier):
    """Dropout of whole channels, which Paddle's export leaves as it is in training mode."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout2D(0.5)

    def forward(self, x):
        x = self.drop(F.relu(self.norm(self.conv(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Noisy(zoo.Classifier):
    """Numbers that are drawn in the static graph only."""

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        if not paddle.in_dynamic_mode():
            x = x * paddle.uniform([1, 8, 1, 1], min=0.9, max=1.1)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Branched(zoo.Classifier):
    """An `if` on a tensor, which the export takes from the last call."""

    is_bright = True

    def forward(self, x):
        if paddle.in_dynamic_mode():
            self.is_bright = bool(x.mean() > 0)
        x = self.norm(self.conv(x))
        x = F.relu(x) if self.is_bright else F.sigmoid(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Factor(zoo.Classifier):
    """Another number in the export."""

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x))) * (2.0 if paddle.in_dynamic_mode() else 3.0)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Resized(nn.Layer):
    """An output that is as large as the image: in the export, as large as that of the export."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3, padding=1)

    def forward(self, x):
        size = [int(side) for side in x.shape[2:]] if paddle.in_dynamic_mode() else [16, 16]
        return F.interpolate(F.max_pool2d(self.conv(x), 2), size=size, mode="bilinear")


class Flattened(nn.Layer):
    """A number of images that is written into the export."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 8)

    def forward(self, x):
        count = x.shape[0] if paddle.in_dynamic_mode() else 2
        return self.fc(F.adaptive_avg_pool2d(x, 1).reshape([count, 3]))


class Gated(zoo.Classifier):
    """A gate that is 1 for all inputs: it hides what is wrong before it."""

    def forward(self, x):
        x = self.norm(self.conv(x))
        x = x * F.hardsigmoid(paddle.abs(x) + 6.0)
        return self.fc(F.adaptive_avg_pool2d(F.relu(x), 1).flatten(1))


class Softmax(zoo.Classifier):
    """Softmax in the dynamic graph only."""

    def forward(self, x):
        return F.softmax(self.logits(x)) if paddle.in_dynamic_mode() else self.logits(x)


class Longer(zoo.Classifier):
    """A step at the end, which is none of those that exports leave out."""

    def forward(self, x):
        return F.hardswish(self.logits(x)) if paddle.in_dynamic_mode() else self.logits(x)


def _train(network):
    network.train()


def _use_batch(network):
    network.norm._use_global_stats = False


def _other_epsilon(network):
    network.norm._epsilon = 1e-3


# {name: (network, what the export does to it)}
NETWORKS = {
    "sound": (zoo.Classifier, None),
    "dropout": (Channels, _train),
    "batch_norm": (zoo.Classifier, _use_batch),
    "random": (Noisy, None),
    "frozen_if": (Branched, None),
    "scale": (Factor, None),
    "epsilon": (zoo.Classifier, _other_epsilon),
    "gated": (Gated, _other_epsilon),
    "frozen_output": (Resized, None),
    "frozen_batch": (Flattened, None),
    "softmax_missing": (Softmax, None),
    "missing_operator": (Longer, None),
}


def main(name, step, prefix):
    network, spoil = NETWORKS[name]
    paddle.seed(1)
    network = zoo.filled(network())
    pixels = zoo.images(IMAGES, size=24 if name == "frozen_output" else zoo.SIZE)
    if step == "predict":
        with paddle.no_grad():
            for image in pixels:
                network(paddle.to_tensor(image[None]))
    elif step == "export":
        if spoil:
            spoil(network)
        side = None if name == "frozen_output" else zoo.SIZE
        spec = paddle.static.InputSpec([None, 3, side, side], "float32", "image")
        paddle.jit.save(paddle.jit.to_static(network, input_spec=[spec]), prefix)
    else:
        infer(next(path for path in Path(prefix).parent.iterdir() if path.suffix in (".json", ".pdmodel")), pixels)


def infer(structure, pixels):
    config = inference.Config(str(structure), str(structure.with_suffix(".pdiparams")))
    config.disable_gpu()
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    for image in pixels:
        predictor.get_input_handle("image").copy_from_cpu(np.ascontiguousarray(image[None]))
        predictor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
