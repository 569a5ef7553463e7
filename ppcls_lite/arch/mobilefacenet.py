"""MobileFaceNet (Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile
Devices", 2018, https://arxiv.org/abs/1804.07573), table 1: MobileNetV2's blocks, a PReLU for each activation, and a
depthwise convolution over the whole last map where others take its mean.

The names and shapes of the weights, and how they begin, are those of InsightFace's network for Paddle.
"""

import math

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import Normal

from ppcls_lite.arch.registry import BACKBONES
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError

# expansion, output channels, repeats, stride of the first
_BLOCKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
_STEM, _LAST = 64, 512
_STRIDE = 16  # of the image's size over that of the last map


def _conv(in_channels, out_channels, kernel_size, stride=1, padding=0, groups=1):
    fan_in = in_channels // groups * kernel_size**2
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        groups=groups,
        weight_attr=ParamAttr(initializer=Normal(0.0, math.sqrt(2 / fan_in))),
        bias_attr=False,
    )


class ConvBlock(nn.Layer):
    """Convolution, BatchNorm and, unless `linear`, a PReLU with a slope for each channel."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, groups=1, linear=False):
        super().__init__()
        self.conv = _conv(in_channels, out_channels, kernel_size, stride, padding, groups)
        self.bn = nn.BatchNorm2D(out_channels)
        self.prelu = None if linear else nn.PReLU(out_channels)

    def forward(self, x):
        x = self.bn(self.conv(x))
        return x if self.prelu is None else self.prelu(x)


class Bottleneck(nn.Layer):
    """Expand by 1x1, depthwise 3x3, project by 1x1 without activation; a shortcut where the shape stays."""

    def __init__(self, in_channels, out_channels, stride, expansion):
        super().__init__()
        wide = in_channels * expansion
        self.shortcut = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential(
            _conv(in_channels, wide, 1),
            nn.BatchNorm2D(wide),
            nn.PReLU(wide),
            _conv(wide, wide, 3, stride, 1, groups=wide),
            nn.BatchNorm2D(wide),
            nn.PReLU(wide),
            _conv(wide, out_channels, 1),
            nn.BatchNorm2D(out_channels),
        )

    def forward(self, x):
        return x + self.conv(x) if self.shortcut else self.conv(x)


@BACKBONES.register
class MobileFaceNet(nn.Layer):
    """Images [N, 3, input_size, input_size] to features [N, feature_dim]; it has no classifier.

    `input_size` is a multiple of 16: its sixteenth is the kernel of the last depthwise convolution, `linear7`, 7 for
    the 112 pixels of aligned faces. Raises UserError for a wrong option, and on a call for images of another size.
    """

    def __init__(self, feature_dim=128, input_size=112):
        super().__init__()
        self.feature_size = checks.whole("feature_dim", feature_dim)
        if checks.whole("input_size", input_size) % _STRIDE:
            raise checks.wrong("input_size", f"a multiple of {_STRIDE}", input_size)
        self.input_size = input_size
        self.conv1 = ConvBlock(3, _STEM, 3, 2, 1)
        self.dw_conv1 = ConvBlock(_STEM, _STEM, 3, 1, 1, groups=_STEM)
        blocks, channels = [], _STEM
        for expansion, out, repeats, first in _BLOCKS:
            for number in range(repeats):
                blocks.append(Bottleneck(channels, out, 1 if number else first, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvBlock(channels, _LAST, 1)
        self.linear7 = ConvBlock(_LAST, _LAST, input_size // _STRIDE, groups=_LAST, linear=True)
        self.linear1 = ConvBlock(_LAST, self.feature_size, 1, linear=True)

    def forward(self, x):
        if list(x.shape[2:]) != [self.input_size] * 2:
            expected = f"images of {self.input_size} x {self.input_size} pixels, as Arch.Backbone.input_size says"
            raise UserError(f"{type(self).__name__}: expected {expected}, found height and width {list(x.shape[2:])}")
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        return paddle.squeeze(self.linear1(self.linear7(x)), [2, 3])


@BACKBONES.register
def MobileFaceNet_128(num_features=128, input_size=112):
    """MobileFaceNet under InsightFace's name of it, and its name of the option."""
    return MobileFaceNet(num_features, input_size)
