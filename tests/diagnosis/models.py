"""Exports of one trained network, right and with each fault in their weights, and the checkpoints of its training.

python tests/diagnosis/models.py FOLDER          # FLAGS_enable_pir_api says in which format
"""

import sys

import numpy as np
import paddle
from paddle.nn import functional as F

from tests.agree import zoo


class Aided(zoo.Classifier):
    """The same network with a second head, which serves training alone."""

    def __init__(self):
        super().__init__()
        self.aux, self.aux_norm = paddle.nn.Linear(8, zoo.CLASSES), paddle.nn.BatchNorm1D(zoo.CLASSES)


class Wider(zoo.Classifier):
    """The same network with a head for other classes, under another name."""

    def __init__(self, classes):
        super().__init__()
        self.head, self.fc = paddle.nn.Linear(8, classes), None

    def logits(self, x):
        x = F.adaptive_avg_pool2d(F.relu(self.norm(self.conv(x))), 1)
        return self.head(self.drop(x.flatten(1)))


class Shifted(zoo.Classifier):
    """The same network with a constant that no checkpoint has."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shift", paddle.linspace(0.1, 0.4, 3).reshape([1, 3, 1, 1]), persistable=False)

    def forward(self, x):
        return self.logits(x - self.shift)


def trained(seed=1):
    """The network with trained weights."""
    return zoo.filled(zoo.Classifier(), seed)


def after(epochs, network=None):
    """The trained network, some epochs before or after."""
    network, rng = network or trained(), np.random.default_rng(epochs)
    for tensor in network.state_dict().values():
        tensor.set_value((tensor.numpy() * rng.uniform(0.8, 1.2, tensor.shape)).astype("float32"))
    return network


def with_state(network, state):
    """A network with what fits it of a state."""
    own = network.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    network.set_state_dict(fitting)
    network.eval()
    return network


def changed():
    network = trained()
    weight = network.fc.weight.numpy()
    weight[2, 3] += 1e-3
    network.fc.weight.set_value(weight)
    return network


def rounded():
    network = trained()
    for tensor in network.state_dict().values():
        tensor.set_value(tensor.numpy().astype("float16").astype("float32"))
    return network


def half():
    network = trained()
    network.to(dtype="float16")
    return network


def head_unloaded():
    network = trained()
    network.fc.set_state_dict(paddle.nn.Linear(8, zoo.CLASSES).state_dict())
    return network


def statistics_unloaded():
    network = trained()
    network.norm._mean.set_value(np.zeros(8, "float32"))
    network.norm._variance.set_value(np.ones(8, "float32"))
    return network


def aided():
    return zoo.filled(Aided(), 1)


MODELS = {
    "right": trained,
    "softmax": lambda: zoo.Behind(trained(), F.softmax),
    "merged": lambda: zoo.Merged(trained()),
    "aided": aided,
    "shifted": lambda: zoo.filled(Shifted(), 1),
    "shifted_epoch_5": lambda: after(5, zoo.filled(Shifted(), 1)),
    "unloaded": zoo.Classifier,
    "head_unloaded": head_unloaded,
    "other_head": lambda: with_state(Wider(5), trained().state_dict()),
    "other_key": lambda: with_state(Wider(zoo.CLASSES), trained().state_dict()),
    "statistics_unloaded": statistics_unloaded,
    "epoch_5": lambda: after(5),
    "aided_epoch_7": lambda: after(7, aided()),
    "changed": changed,
    "rounded": rounded,
}
ONLY_PROGRAMS = {"half": half}  # the operators of a .json program have no float16 on the CPU
CHECKPOINTS = {"latest": trained, "epoch_5": lambda: after(5), "aided": aided}


def make(folder, form):
    """Write FOLDER/<model>/inference.* and FOLDER/<checkpoint>.pdparams."""
    for name, network in CHECKPOINTS.items():
        with paddle.utils.unique_name.guard():
            paddle.save(network().state_dict(), f"{folder}/checkpoints/{name}.pdparams")
    for name, network in {**MODELS, **(ONLY_PROGRAMS if form == "pdmodel" else {})}.items():
        with paddle.utils.unique_name.guard():
            layer = network()
            layer.eval()
            dtype = "float16" if name == "half" else "float32"
            spec = paddle.static.InputSpec([None, 3, zoo.SIZE, zoo.SIZE], dtype, "image")
            paddle.jit.save(paddle.jit.to_static(layer, input_spec=[spec]), f"{folder}/{name}/inference")


if __name__ == "__main__":
    make(*sys.argv[1:])
