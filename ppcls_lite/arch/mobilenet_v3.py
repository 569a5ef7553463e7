"""MobileNetV3 (Howard et al., "Searching for MobileNetV3", 2019, https://arxiv.org/abs/1905.02244).

The paper's tables 1 and 2, except that the classifier's hidden layer of the small network is 1280 wide too.
"""

import paddle
from paddle import nn
from paddle.nn import functional as F

from ppcls_lite.arch.layers import ConvBN, GlobalPool, make_divisible
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH

# kernel, expanded channels, output channels, squeeze-and-excitation, activation, stride
_BLOCKS = {
    "large": (
        (3, 16, 16, False, nn.ReLU, 1),
        (3, 64, 24, False, nn.ReLU, 2),
        (3, 72, 24, False, nn.ReLU, 1),
        (5, 72, 40, True, nn.ReLU, 2),
        (5, 120, 40, True, nn.ReLU, 1),
        (5, 120, 40, True, nn.ReLU, 1),
        (3, 240, 80, False, nn.Hardswish, 2),
        (3, 200, 80, False, nn.Hardswish, 1),
        (3, 184, 80, False, nn.Hardswish, 1),
        (3, 184, 80, False, nn.Hardswish, 1),
        (3, 480, 112, True, nn.Hardswish, 1),
        (3, 672, 112, True, nn.Hardswish, 1),
        (5, 672, 160, True, nn.Hardswish, 2),
        (5, 960, 160, True, nn.Hardswish, 1),
        (5, 960, 160, True, nn.Hardswish, 1),
    ),
    "small": (
        (3, 16, 16, True, nn.ReLU, 2),
        (3, 72, 24, False, nn.ReLU, 2),
        (3, 88, 24, False, nn.ReLU, 1),
        (5, 96, 40, True, nn.Hardswish, 2),
        (5, 240, 40, True, nn.Hardswish, 1),
        (5, 240, 40, True, nn.Hardswish, 1),
        (5, 120, 48, True, nn.Hardswish, 1),
        (5, 144, 48, True, nn.Hardswish, 1),
        (5, 288, 96, True, nn.Hardswish, 2),
        (5, 576, 96, True, nn.Hardswish, 1),
        (5, 576, 96, True, nn.Hardswish, 1),
    ),
}
_STEM = 16
_LAST_CONV = {"large": 960, "small": 576}
_HIDDEN = 1280


class SqueezeExcitation(nn.Layer):
    """Channel gate with a bottleneck of a quarter and the hard sigmoid 0.2 x + 0.5 (not x / 6 + 0.5)."""

    def __init__(self, channels):
        super().__init__()
        self.avg_pool = GlobalPool()
        self.conv1 = nn.Conv2D(channels, channels // 4, 1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2D(channels // 4, channels, 1)

    def forward(self, x):
        gate = self.conv2(self.relu(self.conv1(self.avg_pool(x))))
        return paddle.multiply(x, F.hardsigmoid(gate, slope=0.2, offset=0.5))

    def per_channel(self):
        """(layer, parameter, axis) of what has an entry for each channel, for pruning."""
        return (self.conv1, "weight", 1), (self.conv2, "weight", 0), (self.conv2, "bias", 0)


class InvertedResidual(nn.Layer):
    """Expand by 1x1, depthwise k x k, optional gate, project by 1x1; a shortcut where the shape stays."""

    inner_layers = (("expand_conv", "bottleneck_conv", "mid_se", "linear_conv"),)  # for pruning: slim/fpgm.py

    def __init__(self, in_channels, expanded, out_channels, kernel, stride, gated, act):
        super().__init__()
        self.expand_conv = ConvBN(in_channels, expanded, 1, act=act(), decay_bn=False)
        self.bottleneck_conv = ConvBN(expanded, expanded, kernel, stride, groups=expanded, act=act(), decay_bn=False)
        self.mid_se = SqueezeExcitation(expanded) if gated else None
        self.linear_conv = ConvBN(expanded, out_channels, 1, decay_bn=False)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x):
        y = self.bottleneck_conv(self.expand_conv(x))
        if self.mid_se is not None:
            y = self.mid_se(y)
        y = self.linear_conv(y)
        return paddle.add(x, y) if self.shortcut else y


class MobileNetV3(Network):
    """MobileNetV3 `kind` ("large" or "small") with all widths but the classifier's multiplied by `scale`.

    Feature maps: the stem is 1, the blocks are 2, 3, ... as PaddleDetection numbers them.
    """

    hidden_layer = True
    weights_folder = "dygraph/legendary_models"

    def __init__(self, kind, scale, class_num=1000, dropout_prob=0.2):
        super().__init__()
        channels = make_divisible(_STEM * scale)
        self.conv = ConvBN(3, channels, 3, 2, act=nn.Hardswish(), decay_bn=False)
        self.follow(self.conv, channels, 2)
        self.blocks = nn.Sequential()
        for number, (kernel, expanded, out, gated, act, stride) in enumerate(_BLOCKS[kind]):
            expanded, out = make_divisible(expanded * scale), make_divisible(out * scale)
            block = InvertedResidual(channels, expanded, out, kernel, stride, gated, act)
            self.blocks.add_sublayer(str(number), block)
            self.follow(block, out, stride, index=number + 2)
            channels = out
        last = make_divisible(_LAST_CONV[kind] * scale)
        self.last_second_conv = ConvBN(channels, last, 1, act=nn.Hardswish(), decay_bn=False)
        self.avg_pool = GlobalPool()
        self.last_conv = nn.Conv2D(last, _HIDDEN, 1, bias_attr=False)
        self.hardswish = nn.Hardswish()
        # This mode scales by 1 - p in evaluation, where the usual one scales in training: the weights expect it.
        self.dropout = nn.Dropout(dropout_prob, mode="downscale_in_infer")
        self.fc = nn.Linear(_HIDDEN, class_num)

    def embed(self, x):
        x = self.avg_pool(self.last_second_conv(x))
        x = self.dropout(self.hardswish(self.last_conv(x)))
        return paddle.squeeze(x, [2, 3])

    def head(self, x):
        return self.fc(self.embed(x))


@ARCH.register
def MobileNetV3_large_x0_35(**options):
    return MobileNetV3("large", 0.35, **options)


@ARCH.register
def MobileNetV3_large_x0_5(**options):
    return MobileNetV3("large", 0.5, **options)


@ARCH.register
def MobileNetV3_large_x0_75(**options):
    return MobileNetV3("large", 0.75, **options)


@ARCH.register
def MobileNetV3_large_x1_0(**options):
    return MobileNetV3("large", 1.0, **options)


@ARCH.register
def MobileNetV3_large_x1_25(**options):
    return MobileNetV3("large", 1.25, **options)


@ARCH.register
def MobileNetV3_small_x0_35(**options):
    return MobileNetV3("small", 0.35, **options)


@ARCH.register
def MobileNetV3_small_x0_5(**options):
    return MobileNetV3("small", 0.5, **options)


@ARCH.register
def MobileNetV3_small_x0_75(**options):
    return MobileNetV3("small", 0.75, **options)


@ARCH.register
def MobileNetV3_small_x1_0(**options):
    return MobileNetV3("small", 1.0, **options)


@ARCH.register
def MobileNetV3_small_x1_25(**options):
    return MobileNetV3("small", 1.25, **options)
