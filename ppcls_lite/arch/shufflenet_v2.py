"""ShuffleNetV2 (Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018,
https://arxiv.org/abs/1807.11164), table 5; the widths 0.25, 0.33 and the Swish variant are PaddleClas's.
"""

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import KaimingNormal

from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH

_STEM = 24
_REPEATS = (4, 8, 4)
# channels of the three stages, of the last convolution
_WIDTHS = {
    0.25: ((24, 48, 96), 512),
    0.33: ((32, 64, 128), 512),
    0.5: ((48, 96, 192), 1024),
    1.0: ((116, 232, 464), 1024),
    1.5: ((176, 352, 704), 1024),
    2.0: ((244, 488, 976), 2048),  # not divisible by 8 as the others are; so it is in the official weights
}


class ConvBN(nn.Layer):
    """As `layers.ConvBN`, under the entry names of this family's weights: `_conv` and `_batch_norm`."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, groups=1, act=None):
        super().__init__()
        self._conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=(kernel_size - 1) // 2,
            groups=groups,
            weight_attr=ParamAttr(initializer=KaimingNormal()),
            bias_attr=False,
        )
        self._batch_norm = nn.BatchNorm2D(out_channels)
        self._act = act

    def forward(self, x):
        x = self._batch_norm(self._conv(x))
        return x if self._act is None else self._act(x)


class ChannelShuffle(nn.Layer):
    """Interleave the two halves of the channels: [N, C, H, W] keeps its shape."""

    def forward(self, x):
        _, channels, height, width = x.shape
        # -1 only at the batch, which an exported model leaves open
        x = paddle.reshape(x, [-1, 2, channels // 2, height, width])
        x = paddle.transpose(x, [0, 2, 1, 3, 4])
        return paddle.reshape(x, [-1, channels, height, width])


class BasicUnit(nn.Layer):
    """Figure 3(c): half of the channels pass by, half go through 1x1, depthwise 3x3, 1x1."""

    def __init__(self, channels, act):
        super().__init__()
        half = channels // 2
        self.half = [half, half]
        self._conv_pw = ConvBN(half, half, 1, act=act())
        self._conv_dw = ConvBN(half, half, 3, groups=half)
        self._conv_linear = ConvBN(half, half, 1, act=act())
        self.shuffle = ChannelShuffle()

    def forward(self, x):
        kept, x = paddle.split(x, self.half, axis=1)
        x = self._conv_linear(self._conv_dw(self._conv_pw(x)))
        return self.shuffle(paddle.concat([kept, x], axis=1))


class DownUnit(nn.Layer):
    """Figure 3(d): two branches that halve the size, each giving half of the channels."""

    def __init__(self, in_channels, out_channels, act):
        super().__init__()
        half = out_channels // 2
        self._conv_dw_1 = ConvBN(in_channels, in_channels, 3, 2, groups=in_channels)
        self._conv_linear_1 = ConvBN(in_channels, half, 1, act=act())
        self._conv_pw_2 = ConvBN(in_channels, half, 1, act=act())
        self._conv_dw_2 = ConvBN(half, half, 3, 2, groups=half)
        self._conv_linear_2 = ConvBN(half, half, 1, act=act())
        self.shuffle = ChannelShuffle()

    def forward(self, x):
        left = self._conv_linear_1(self._conv_dw_1(x))
        right = self._conv_linear_2(self._conv_dw_2(self._conv_pw_2(x)))
        return self.shuffle(paddle.concat([left, right], axis=1))


class ShuffleNetV2(Network):
    """ShuffleNetV2 of width `scale`. Feature maps: the pooled stem is 1 (stride 4), the units are 2 to 17."""

    classifier = "_fc"
    weights_folder = "dygraph"

    def __init__(self, scale, act=nn.ReLU, class_num=1000):
        super().__init__()
        widths, last = _WIDTHS[scale]
        channels = _STEM
        self._conv1 = ConvBN(3, channels, 3, 2, act=act())
        self._max_pool = nn.MaxPool2D(kernel_size=3, stride=2, padding=1)
        self.follow(self._conv1, channels, 2)
        self.follow(self._max_pool, channels, 2, index=1)
        index = 2
        for stage, (out, repeats) in enumerate(zip(widths, _REPEATS), start=2):
            for unit in range(1, repeats + 1):
                first = unit == 1
                layer = DownUnit(channels, out, act) if first else BasicUnit(out, act)
                self.add_sublayer(f"{stage}_{unit}", layer)
                self.follow(layer, out, 2 if first else 1, index=index)
                index += 1
            channels = out
        self._last_conv = ConvBN(channels, last, 1, act=act())
        self._pool2d_avg = nn.AdaptiveAvgPool2D(1)
        self._fc = nn.Linear(last, class_num)

    def embed(self, x):
        return paddle.squeeze(self._pool2d_avg(self._last_conv(x)), [2, 3])

    def head(self, x):
        return self._fc(self.embed(x))


@ARCH.register
def ShuffleNetV2_x0_25(**options):
    return ShuffleNetV2(0.25, **options)


@ARCH.register
def ShuffleNetV2_x0_33(**options):
    return ShuffleNetV2(0.33, **options)


@ARCH.register
def ShuffleNetV2_x0_5(**options):
    return ShuffleNetV2(0.5, **options)


@ARCH.register
def ShuffleNetV2_x1_0(**options):
    return ShuffleNetV2(1.0, **options)


@ARCH.register
def ShuffleNetV2_x1_5(**options):
    return ShuffleNetV2(1.5, **options)


@ARCH.register
def ShuffleNetV2_x2_0(**options):
    return ShuffleNetV2(2.0, **options)


@ARCH.register
def ShuffleNetV2_swish(**options):
    return ShuffleNetV2(1.0, nn.Swish, **options)
