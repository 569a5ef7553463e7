"""ResNet-vd: ResNet-D of He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks",
2018, https://arxiv.org/abs/1812.01187, section 4: three 3x3 convolutions as stem, the stride in the block's 3x3,
and in the shortcut an average pool before the 1x1.

PaddleClas's form: the first block of every stage projects its shortcut, the first stage's too, also in the
basic-block networks, where the paper would not.
"""

import math

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import Uniform

from ppcls_lite.arch.layers import ConvBN, GlobalPool
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH

# depth: blocks per stage, whether they are bottlenecks
_STAGES = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
    200: ((3, 12, 48, 3), True),
}
_STEM = ((3, 32, 2), (32, 32, 1), (32, 64, 1))  # input channels, output channels, stride
_WIDTHS = (64, 128, 256, 512)
_SAME_RATE = (1.0, 1.0, 1.0, 1.0, 1.0)


class PooledConvBN(ConvBN):
    """2x2 average pool with the given stride, then 1x1 convolution and BatchNorm.

    Edges that stick out (odd sizes) are padded on the far side and left out of the mean.
    """

    def __init__(self, in_channels, out_channels, stride, lr_mult):
        super().__init__(in_channels, out_channels, 1, lr_mult=lr_mult)
        self.avg_pool = nn.AvgPool2D(2, stride, padding="SAME", ceil_mode=True)

    def forward(self, x):
        return self.bn(self.conv(self.avg_pool(x)))  # not super().forward, which Paddle 2.6 cannot export


class Block(nn.Layer):
    """Residual block: 1x1, 3x3, 1x1 to four times `width` (bottleneck) or 3x3, 3x3; ReLU after the sum.

    `project`: None for the identity as shortcut, "plain" for a 1x1 convolution, "pooled" for the vd form.
    """

    def __init__(self, in_channels, width, stride, bottleneck, project, lr_mult):
        super().__init__()
        out_channels = width * 4 if bottleneck else width
        if bottleneck:
            self.conv0 = ConvBN(in_channels, width, 1, act=nn.ReLU(), lr_mult=lr_mult)
            self.conv1 = ConvBN(width, width, 3, stride, act=nn.ReLU(), lr_mult=lr_mult)
            self.conv2 = ConvBN(width, out_channels, 1, lr_mult=lr_mult)
            self.path = [self.conv0, self.conv1, self.conv2]
        else:
            self.conv0 = ConvBN(in_channels, width, 3, stride, act=nn.ReLU(), lr_mult=lr_mult)
            self.conv1 = ConvBN(width, width, 3, lr_mult=lr_mult)
            self.path = [self.conv0, self.conv1]
        if project == "pooled":
            self.short = PooledConvBN(in_channels, out_channels, stride, lr_mult)
        elif project == "plain":
            self.short = ConvBN(in_channels, out_channels, 1, stride, lr_mult=lr_mult)
        else:
            self.short = None
        self.relu = nn.ReLU()

    def forward(self, x):
        y = x
        for step in self.path:
            y = step(y)
        short = x if self.short is None else self.short(x)
        return self.relu(paddle.add(y, short))


class ResNetVd(Network):
    """ResNet-vd of `depth` layers. Feature maps: the pooled stem is 1 (stride 4), the blocks are 2, 3, ...

    `lr_mult_list`: factors on the learning rate of the stem and of the four stages.
    """

    def __init__(self, depth, class_num=1000, lr_mult_list=_SAME_RATE):
        super().__init__()
        repeats, bottleneck = _STAGES[depth]
        self.stem = nn.Sequential(
            *[ConvBN(i, o, 3, stride, act=nn.ReLU(), lr_mult=lr_mult_list[0]) for i, o, stride in _STEM]
        )
        self.max_pool = nn.MaxPool2D(kernel_size=3, stride=2, padding=1)
        channels = _STEM[-1][1]
        self.follow(self.stem, channels, 2)
        self.follow(self.max_pool, channels, 2, index=1)
        self.blocks = nn.Sequential()
        for stage, (width, count) in enumerate(zip(_WIDTHS, repeats)):
            for number in range(count):
                project = None if number else "pooled" if stage else "plain"
                stride = 2 if project == "pooled" else 1
                block = Block(channels, width, stride, bottleneck, project, lr_mult_list[stage + 1])
                channels = width * 4 if bottleneck else width
                position = len(self.blocks)
                self.blocks.add_sublayer(str(position), block)
                self.follow(block, channels, stride, index=position + 2)
        self.avg_pool = GlobalPool()
        bound = 1.0 / math.sqrt(channels)
        self.fc = nn.Linear(channels, class_num, weight_attr=ParamAttr(initializer=Uniform(-bound, bound)))

    def head(self, x):
        return self.fc(paddle.squeeze(self.avg_pool(x), [2, 3]))


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
