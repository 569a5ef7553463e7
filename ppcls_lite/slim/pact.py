"""Training for INT8: PACT (Choi et al., "PACT: Parameterized Clipping Activation", 2018, arXiv 1805.06085).

`paddle.quantization` puts a quanter before each convolution and each linear layer and one on their weights; those are
here. Each layer computes with what INT8 would give it, rounded and cut, and its gradients pass the rounding as if it
were not there (the straight-through estimator).
"""

import paddle
from paddle import nn
from paddle.quantization import QAT, QuantConfig
from paddle.quantization.base_quanter import BaseQuanter
from paddle.quantization.factory import QuanterFactory

from ppcls_lite.utils.errors import UserError

ACTIVATION_STEPS = 255  # of unsigned integers of 8 bits
WEIGHT_MOST = 64  # weights of 7 bits: see Calibration.reduce_range
_QUANTER = "activation_quanter."


class PactLayer(BaseQuanter):
    """Clips at a learnt `alpha`, and below at a learnt `-beta`; then rounds to 256 values.

    The paper's clip is that of a ReLU, from 0 to alpha. What comes from another activation may be negative, and beta is
    its other end; behind a ReLU nothing is below 0, so beta begins and stays at 0. Both begin at the ends of the first
    batch of a training, over all processes. The optimizer's weight decay is the paper's decay of alpha.
    """

    def __init__(self, layer):
        super().__init__()
        zero = nn.initializer.Constant(0.0)
        self.alpha = self.create_parameter([1], default_initializer=zero)
        self.beta = self.create_parameter([1], default_initializer=zero)
        self._begun = False  # whether alpha is above 0, without looking into the tensor for each batch
        self.ends = None  # numbers, once `stop_rounding` has fixed them

    def forward(self, x):
        if self.ends:
            return paddle.clip(x, *self.ends)
        if self.training and not self._begun:
            self._begin(x)
        clipped = clip(x, -self.beta, self.alpha)
        rounded = self._rounded(clipped)
        return _straight_through(clipped, rounded) if self.training else rounded

    def _rounded(self, x):
        step = self.scales()
        zero = self.zero_points()
        return (paddle.clip(paddle.round(x / step) + zero, 0, ACTIVATION_STEPS) - zero) * step

    @paddle.no_grad()
    def _begin(self, x):
        self._begun = True
        if self.alpha.item() != 0:  # of weights that were trained with it
            return
        ends = paddle.concat([x.max().reshape([1]), -x.min().reshape([1])])
        ends = paddle.clip(ends, min=0.0)
        if paddle.distributed.get_world_size() > 1:
            paddle.distributed.all_reduce(ends, op=paddle.distributed.ReduceOp.MAX)
        self.alpha.set_value(paddle.clip(ends[:1], min=1e-6))
        self.beta.set_value(ends[1:])

    def scales(self):
        return paddle.clip(self.alpha + self.beta, min=1e-6) / ACTIVATION_STEPS

    def zero_points(self):
        return paddle.round(self.beta / self.scales())

    def bit_length(self):
        return 8

    def quant_axis(self):
        return -1


class ChannelLayer(BaseQuanter):
    """Rounds a weight to -64 … 64 steps, a step for each output channel.

    With one for each channel, the BatchNorm that follows can be folded into the weight afterwards: both it and the step
    are multiplied by the same number, and the integers stay those of the training.
    """

    def __init__(self, layer):
        super().__init__()
        self.axis = 1 if isinstance(layer, nn.Linear) else 0  # Linear's weight is [in, out]
        self.rounds = True

    def forward(self, weight):
        if not self.rounds:
            return weight
        others = [side for side in range(weight.ndim) if side != self.axis]
        values = weight.detach() if self.training else weight  # an export would keep a detached copy
        step = paddle.clip(values.abs().max(axis=others, keepdim=True), min=1e-12) / WEIGHT_MOST
        rounded = paddle.round(weight / step) * step
        return _straight_through(weight, rounded) if self.training else rounded

    def scales(self):
        return None

    def zero_points(self):
        return None

    def bit_length(self):
        return 7

    def quant_axis(self):
        return self.axis


class Pact(QuanterFactory):
    """Makes a `PactLayer` for a layer."""

    def _get_class(self):
        return PactLayer


class Channel(QuanterFactory):
    """Makes a `ChannelLayer` for a layer."""

    def _get_class(self):
        return ChannelLayer


def clip(x, low, high):
    """`x` between two learnt numbers, to which the gradients of what is cut go (equation 1 of the paper)."""
    return paddle.minimum(paddle.maximum(x, low), high)


def _straight_through(x, rounded):
    return x + (rounded - x).detach()


def add_quanters(network):
    """Put quanters into the network, in its place; its parameters keep their names. Returns it."""
    config = QuantConfig(activation=None, weight=None)
    config.add_type_config([nn.Conv2D, nn.Linear], activation=Pact(), weight=Channel())
    network.train()
    return QAT(config).quantize(network, inplace=True)


def quanters(network):
    """The quanters of a network; none of one without."""
    return [layer for layer in network.sublayers() if isinstance(layer, BaseQuanter)]


def with_own_ranges(arrays, network):
    """`arrays` {name: ndarray} of a network without quanters, with those of `network`'s own, which have not begun."""
    if any(_QUANTER in name for name in arrays):
        return arrays
    own = {name: tensor.numpy() for name, tensor in network.state_dict().items() if _QUANTER in name}
    return {**own, **arrays}


def check_begun(arrays, source):
    """UserError where weights {name: ndarray} are not those of a training with quanters, or one that never began."""
    begun = [float(array[0]) for name, array in arrays.items() if name.endswith(_QUANTER + "alpha")]
    if not begun:
        raise UserError(f"{source}: expected weights of a training with Slim.quant, found those of a plain network")
    if not all(begun):
        raise UserError(f"{source}: the training of these weights ended before the ranges of Slim.quant began")


def stop_rounding(network):
    """Leave the clips in the network and take the rounding out: what the quantiser for INT8 begins with."""
    for one in quanters(network):
        if isinstance(one, PactLayer):
            one.ends = -one.beta.item(), one.alpha.item()
        else:
            one.rounds = False
    return network
