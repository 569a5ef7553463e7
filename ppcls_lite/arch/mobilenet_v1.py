"""MobileNetV1 (Howard et al., "MobileNets", 2017, https://arxiv.org/abs/1704.04861), table 1."""

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import KaimingNormal

from ppcls_lite.arch.layers import ConvBN
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH

# output channels, stride of the depthwise convolution
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
_STEM = 32


class DepthwiseSeparable(nn.Layer):
    """Depthwise 3x3, then pointwise 1x1, each with BatchNorm and ReLU."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.depthwise_conv = ConvBN(
            in_channels, in_channels, 3, stride, groups=in_channels, act=nn.ReLU(), init=KaimingNormal()
        )
        self.pointwise_conv = ConvBN(in_channels, out_channels, 1, act=nn.ReLU(), init=KaimingNormal())

    def forward(self, x):
        return self.pointwise_conv(self.depthwise_conv(x))


class MobileNetV1(Network):
    """MobileNetV1 with all widths multiplied by `scale`. Feature maps: the stem is 1, the blocks 2 to 14."""

    weights_folder = "dygraph/legendary_models"

    def __init__(self, scale, class_num=1000):
        super().__init__()
        channels = int(_STEM * scale)
        self.conv = ConvBN(3, channels, 3, 2, act=nn.ReLU(), init=KaimingNormal())
        self.follow(self.conv, channels, 2)
        self.blocks = nn.Sequential()
        for number, (out, stride) in enumerate(_BLOCKS):
            out = int(out * scale)
            block = DepthwiseSeparable(channels, out, stride)
            self.blocks.add_sublayer(str(number), block)
            self.follow(block, out, stride, index=number + 2)
            channels = out
        self.avg_pool = nn.AdaptiveAvgPool2D(1)
        self.fc = nn.Linear(channels, class_num, weight_attr=ParamAttr(initializer=KaimingNormal()))

    def embed(self, x):
        return paddle.squeeze(self.avg_pool(x), [2, 3])

    def head(self, x):
        return self.fc(self.embed(x))


@ARCH.register
def MobileNetV1_x0_25(**options):
    return MobileNetV1(0.25, **options)


@ARCH.register
def MobileNetV1_x0_5(**options):
    return MobileNetV1(0.5, **options)


@ARCH.register
def MobileNetV1_x0_75(**options):
    return MobileNetV1(0.75, **options)


@ARCH.register
def MobileNetV1_x1_0(**options):
    return MobileNetV1(1.0, **options)
