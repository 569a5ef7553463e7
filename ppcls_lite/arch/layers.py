"""Blocks that several papers share and that carry the same names in the official weights."""

import paddle
from paddle import ParamAttr, nn
from paddle.nn import functional as F
from paddle.regularizer import L2Decay

_SHORTEST = 1e-24  # the square of a length that is taken for 0


class ConvBN(nn.Layer):
    """Convolution without bias, BatchNorm (epsilon 1e-5, momentum 0.9) and an optional activation.

    Maps [N, in_channels, H, W] to [N, out_channels, H', W']; entries `conv.*` and `bn.*`.

    Args:
        padding: None for (kernel_size - 1) // 2, or whatever `nn.Conv2D` takes.
        act: an activation layer, or None.
        init: initialiser of the kernel; None for Paddle's default.
        decay_bn: False exempts BatchNorm's scale and shift from weight decay.
        lr_mult: factor on the learning rate of everything in this block.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=None,
        groups=1,
        act=None,
        init=None,
        decay_bn=True,
        lr_mult=1.0,
    ):
        super().__init__()
        self.conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2 if padding is None else padding,
            groups=groups,
            weight_attr=ParamAttr(initializer=init, learning_rate=lr_mult),
            bias_attr=False,
        )
        regularizer = None if decay_bn else L2Decay(0.0)
        self.bn = nn.BatchNorm2D(
            out_channels,
            weight_attr=ParamAttr(learning_rate=lr_mult, regularizer=regularizer),
            bias_attr=ParamAttr(learning_rate=lr_mult, regularizer=regularizer),
        )
        self.act = act

    def forward(self, x):
        x = self.bn(self.conv(x))
        return x if self.act is None else self.act(x)


class GlobalPool(nn.Layer):
    """Mean over height and width: [N, C, H, W] to [N, C, 1, 1].

    A type of its own because `paddle.flops` counts `nn.AdaptiveAvgPool2D` and the published figures do not.
    """

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, 1)


def unit(x, axis):
    """`x` divided by its lengths along `axis`; what is (nearly) 0 stays so, without nan in it or its gradient."""
    square = paddle.sum(x * x, axis=axis, keepdim=True)
    return x / paddle.sqrt(paddle.clip(square, min=_SHORTEST))


def make_divisible(channels, divisor=8):
    """The multiple of `divisor` nearest to `channels`, never more than 10 % below it (MobileNetV2's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
