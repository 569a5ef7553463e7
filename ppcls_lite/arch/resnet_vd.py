"""ResNet-vd: ResNet-D of He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks",
2018, https://arxiv.org/abs/1812.01187, section 4: three 3x3 convolutions as stem, the stride in the block's 3x3,
and in the shortcut an average pool before the 1x1.
"""

from paddle import nn

from ppcls_lite.arch.layers import ConvBN
from ppcls_lite.arch.registry import ARCH
from ppcls_lite.arch.resnet import ResNet


class PooledConvBN(ConvBN):
    """2x2 average pool with the given stride, then 1x1 convolution and BatchNorm.

    Edges that stick out (odd sizes) are padded on the far side and left out of the mean.
    """

    def __init__(self, in_channels, out_channels, stride, lr_mult):
        super().__init__(in_channels, out_channels, 1, lr_mult=lr_mult)
        self.avg_pool = nn.AvgPool2D(2, stride, padding="SAME", ceil_mode=True)

    def forward(self, x):
        return self.bn(self.conv(self.avg_pool(x)))  # not super().forward, which Paddle 2.6 cannot export


class ResNetVd(ResNet):
    """ResNet-vd of `depth` layers; options and feature maps are those of `ResNet`."""

    stem_convs = ((3, 32, 3, 2), (32, 32, 3, 1), (32, 64, 3, 1))
    downsample = PooledConvBN


@ARCH.register
def ResNet18_vd(**options):
    return ResNetVd(18, **options)


@ARCH.register
def ResNet34_vd(**options):
    return ResNetVd(34, **options)


@ARCH.register
def ResNet50_vd(**options):
    return ResNetVd(50, **options)


@ARCH.register
def ResNet101_vd(**options):
    return ResNetVd(101, **options)


@ARCH.register
def ResNet152_vd(**options):
    return ResNetVd(152, **options)


@ARCH.register
def ResNet200_vd(**options):
    return ResNetVd(200, **options)
