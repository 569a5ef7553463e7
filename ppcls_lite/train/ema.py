"""The moving average of a network's weights (`EMA: {decay: 0.9999}`)."""

from contextlib import contextmanager

import paddle

from ppcls_lite.utils import checks


class Ema:
    """An exponential moving average of everything in a network's state, BatchNorm's statistics included.

    After each update: average = decay * average + (1 - decay) * weight, in FP32, beginning with the weights as they
    are; entries that are not real numbers are copied. This is PaddleClas's `ExponentialMovingAverage`, after timm's
    ModelEma: no bias correction, the same decay from the first update on.
    """

    def __init__(self, model, decay=None):
        self.model = model
        self.decay = checks.real("EMA.decay", 0.9999 if decay is None else decay, 0, 1)
        self.averages = {}
        with paddle.no_grad():
            for name, tensor in self._tensors():
                average = tensor.astype("float32") if tensor.is_floating_point() else tensor
                self.averages[name] = average.detach().clone()
                self.averages[name].name = tensor.name  # as in a state of the network itself

    def _tensors(self):
        # without hooks: those of mixed precision give copies, and these are written to
        return self.model.state_dict(use_hook=False).items()

    @paddle.no_grad()
    def update(self):
        """Take in the weights as they are now."""
        for name, tensor in self._tensors():
            average = self.averages[name]
            if tensor.is_floating_point():
                # in this form, what a training leaves as it is stays so bit by bit: a frozen teacher
                tensor = average + (1.0 - self.decay) * (tensor.astype("float32") - average)
            paddle.assign(tensor, average)

    @paddle.no_grad()
    def share(self):
        """Give BatchNorm's statistics their mean over the processes, each of which has seen its own images."""
        world = paddle.distributed.get_world_size()
        if world == 1:
            return
        for name, tensor in self._tensors():
            if tensor.stop_gradient and tensor.is_floating_point():  # Paddle keeps them among the parameters
                paddle.distributed.all_reduce(self.averages[name])
                self.averages[name].scale_(1 / world)

    @contextmanager
    def in_use(self):
        """Inside, the network has the averages for its weights; then its own again, bit for bit."""
        own = {name: tensor.clone() for name, tensor in self._tensors()}
        self._put(self.averages)
        try:
            yield
        finally:
            self._put(own)

    @paddle.no_grad()
    def _put(self, values):
        for name, tensor in self._tensors():
            paddle.assign(values[name].astype(tensor.dtype), tensor)

    def load(self, arrays):
        """Go on with the averages in `arrays`, {name: array} of all entries."""
        for name, average in self.averages.items():
            average.set_value(arrays[name])


def build_ema(section, model):
    """The `Ema` of a config's `EMA` section, or None without one."""
    return None if section is None else Ema(model, section.get("decay"))
