"""MixNet (Tan and Le, "MixConv: Mixed Depthwise Convolutional Kernels", 2019, https://arxiv.org/abs/1907.09595),
figure 5. Convolutions may be split over channel groups, each group with its own kernel.
"""

import paddle
from paddle import nn

from ppcls_lite.arch.layers import ConvBN, GlobalPool, make_divisible
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH

# per stage, per unit: output channels; splits of the expanding, depthwise and projecting convolution;
# expansion factor; squeeze factor of the gate (0: none)
_STAGES = {
    "S": (
        ((24, 2, 1, 2, 6, 0), (24, 2, 1, 2, 3, 0)),
        ((40, 1, 3, 1, 6, 2), *((40, 2, 2, 2, 6, 2),) * 3),
        ((80, 1, 3, 2, 6, 4), *((80, 1, 2, 2, 6, 4),) * 2),
        (
            (120, 2, 3, 2, 6, 2),
            *((120, 2, 4, 2, 3, 2),) * 2,
            (200, 1, 5, 1, 6, 2),
            *((200, 1, 4, 2, 6, 2),) * 2,
        ),
    ),
    "M": (
        ((32, 2, 3, 2, 6, 0), (32, 2, 1, 2, 3, 0)),
        ((40, 1, 4, 1, 6, 2), *((40, 2, 2, 2, 6, 2),) * 3),
        ((80, 1, 3, 1, 6, 4), *((80, 2, 4, 2, 6, 4),) * 3),
        (
            (120, 1, 1, 1, 6, 2),
            *((120, 2, 4, 2, 3, 2),) * 3,
            (200, 1, 4, 1, 6, 2),
            *((200, 1, 4, 2, 6, 2),) * 3,
        ),
    ),
}
_STEM = {"S": 16, "M": 24}
_LAST = 1536
_POOL = 7  # the size of the last map at 224 px


class MixConv(nn.Layer):
    """Split the channels, convolve each part with its own kernel, concatenate; entries `0.*`, `1.*`, ...

    Where the channels do not divide evenly, the first part takes the rest.
    """

    def __init__(self, in_channels, out_channels, kernel_sizes, stride=1, depthwise=False):
        super().__init__()
        self.parts = _split(in_channels, len(kernel_sizes))
        outputs = _split(out_channels, len(kernel_sizes))
        self.convs = []
        for number, (i, o, kernel) in enumerate(zip(self.parts, outputs, kernel_sizes)):
            groups = o if depthwise else 1
            conv = nn.Conv2D(i, o, kernel, stride, padding=kernel // 2, groups=groups, bias_attr=False)
            self.convs.append(self.add_sublayer(str(number), conv))

    def forward(self, x):
        parts = paddle.split(x, self.parts, axis=1)
        return paddle.concat([conv(part) for conv, part in zip(self.convs, parts)], axis=1)


def _split(channels, count):
    share = channels // count
    return [channels - share * (count - 1)] + [share] * (count - 1)


class MixConvBN(nn.Layer):
    """MixConv, BatchNorm, and an optional activation; the entries are named as ConvBN's."""

    def __init__(self, in_channels, out_channels, kernel_sizes, stride=1, depthwise=False, act=None):
        super().__init__()
        self.conv = MixConv(in_channels, out_channels, kernel_sizes, stride, depthwise)
        self.bn = nn.BatchNorm2D(out_channels)
        self.act = act

    def forward(self, x):
        x = self.bn(self.conv(x))
        return x if self.act is None else self.act(x)


def _pointwise(in_channels, out_channels, splits, act=None):
    if splits == 1:
        return ConvBN(in_channels, out_channels, 1, act=act)
    return MixConvBN(in_channels, out_channels, [1] * splits, act=act)


def _depthwise(channels, splits, stride, act):
    if splits == 1:
        return ConvBN(channels, channels, 3, stride, groups=channels, act=act)
    return MixConvBN(channels, channels, range(3, 3 + 2 * splits, 2), stride, True, act)


class SqueezeExcitation(nn.Layer):
    """Channel gate with `middle` channels in its bottleneck and a true sigmoid."""

    def __init__(self, channels, middle, act):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.conv1 = nn.Conv2D(channels, middle, 1)
        self.act = act
        self.conv2 = nn.Conv2D(middle, channels, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        return x * self.sigmoid(self.conv2(self.act(self.conv1(self.pool(x)))))


class Unit(nn.Layer):
    """Expand, depthwise, optional gate, project; a shortcut where the shape stays.

    The gate's bottleneck is the unit's input width (before expansion) over `squeeze`.
    """

    def __init__(self, in_channels, out_channels, splits, factor, squeeze, stride, act):
        super().__init__()
        expanding, mixing, projecting = splits
        middle = in_channels * factor
        self.exp_conv = _pointwise(in_channels, middle, expanding, act()) if factor > 1 else None
        self.conv1 = _depthwise(middle, mixing, stride, act())
        self.se = SqueezeExcitation(middle, middle // (factor * squeeze), act()) if squeeze else None
        self.conv2 = _pointwise(middle, out_channels, projecting)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x):
        y = x if self.exp_conv is None else self.exp_conv(x)
        y = self.conv1(y)
        if self.se is not None:
            y = self.se(y)
        y = self.conv2(y)
        return y + x if self.shortcut else y


class LastPool(nn.Layer):
    """Mean over the whole map, [N, C, H, W] to [N, C, 1, 1], also where it is not the 7x7 of 224 px.

    The 7x7 case keeps the published network's pooling layer, which `paddle.flops` counts.
    """

    def __init__(self):
        super().__init__()
        self.fixed = nn.AvgPool2D(_POOL, stride=1)
        self.any_size = GlobalPool()

    def forward(self, x):
        return self.fixed(x) if x.shape[2:] == [_POOL, _POOL] else self.any_size(x)


class MixNet(Network):
    """MixNet with the units of `size` ("S" or "M"), widths times `scale`.

    Feature maps: the stem's convolution is 1, its separable unit 2 (stride 2), the other units 3, 4, ...
    """

    classifier = "output"
    weights_folder = "dygraph"

    def __init__(self, size, scale=1.0, class_num=1000):
        super().__init__()
        channels = make_divisible(_STEM[size] * scale)
        layers = self.add_sublayer("features", nn.Sequential())  # not an attribute: `features` is a method
        stem = nn.Layer()
        stem.conv1 = ConvBN(3, channels, 3, 2, act=nn.ReLU())
        stem.conv2 = Unit(channels, channels, (1, 1, 1), 1, 0, 1, nn.ReLU)
        layers.add_sublayer("init_block", stem)
        self.follow(stem.conv1, channels, 2)
        self.follow(stem.conv2, channels, index=2)
        index = 3
        for number, units in enumerate(_STAGES[size]):
            # the last stage is two of the paper's: its second half begins at stride 32
            halving = len(units) // 2 if number == 3 else 0
            stage = nn.Sequential()
            for position, (out, *splits, factor, squeeze) in enumerate(units):
                out = make_divisible(out * scale)
                stride = 2 if position == halving else 1
                act = nn.Swish if number else nn.ReLU
                unit = Unit(channels, out, splits, factor, squeeze, stride, act)
                stage.add_sublayer(f"unit{position + 1}", unit)
                self.follow(unit, out, stride, index=index)
                channels = out
                index += 1
            layers.add_sublayer(f"stage{number + 1}", stage)
        final_block = layers.add_sublayer("final_block", ConvBN(channels, _LAST, 1, act=nn.ReLU()))
        self._last = [final_block, layers.add_sublayer("final_pool", LastPool())]
        self.output = nn.Linear(_LAST, class_num)

    def embed(self, x):
        for step in self._last:
            x = step(x)
        return paddle.squeeze(x, [2, 3])

    def head(self, x):
        return self.output(self.embed(x))


@ARCH.register
def MixNet_S(**options):
    return MixNet("S", **options)


@ARCH.register
def MixNet_M(**options):
    return MixNet("M", **options)


@ARCH.register
def MixNet_L(**options):
    return MixNet("M", 1.3, **options)
