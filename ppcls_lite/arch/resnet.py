"""ResNet: He et al., "Deep Residual Learning for Image Recognition", 2015, https://arxiv.org/abs/1512.03385.

PaddleClas's form: a bottleneck has its stride in the 3x3 convolution, not in the first 1x1, and the first block of
every stage projects its shortcut, the first stage's too, also in the basic-block networks, where the paper would not.
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
_WIDTHS = (64, 128, 256, 512)
_SAME_RATE = (1.0, 1.0, 1.0, 1.0, 1.0)


def project(in_channels, out_channels, stride, lr_mult):
    """The shortcut of a block that changes the shape: a 1x1 convolution."""
    return ConvBN(in_channels, out_channels, 1, stride, lr_mult=lr_mult)


class Block(nn.Layer):
    """Residual block: 1x1, 3x3, 1x1 to four times `width` (bottleneck) or 3x3, 3x3; ReLU after the sum.

    `shortcut`: None for the identity, or what makes the layer of (in_channels, out_channels, stride, lr_mult).
    """

    def __init__(self, in_channels, width, stride, bottleneck, shortcut, lr_mult):
        super().__init__()
        out_channels = width * 4 if bottleneck else width
        if bottleneck:
            self.conv0 = ConvBN(in_channels, width, 1, act=nn.ReLU(), lr_mult=lr_mult)
            self.conv1 = ConvBN(width, width, 3, stride, act=nn.ReLU(), lr_mult=lr_mult)
            self.conv2 = ConvBN(width, out_channels, 1, lr_mult=lr_mult)
            self.path = [self.conv0, self.conv1, self.conv2]
            self.inner_layers = ("conv0", "conv1"), ("conv1", "conv2")  # for pruning: slim/fpgm.py
        else:
            self.conv0 = ConvBN(in_channels, width, 3, stride, act=nn.ReLU(), lr_mult=lr_mult)
            self.conv1 = ConvBN(width, width, 3, lr_mult=lr_mult)
            self.path = [self.conv0, self.conv1]
            self.inner_layers = (("conv0", "conv1"),)
        self.short = shortcut and shortcut(in_channels, out_channels, stride, lr_mult)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = x
        for step in self.path:
            y = step(y)
        short = x if self.short is None else self.short(x)
        return self.relu(paddle.add(y, short))


class ResNet(Network):
    """ResNet of `depth` layers. Feature maps: the pooled stem is 1 (stride 4), the blocks are 2, 3, ...

    `lr_mult_list`: factors on the learning rate of the stem and of the four stages. `stem_act`: relu, or None for a
    stem without an activation. A variant of the network has other convolutions in its stem (`stem_convs`: input
    channels, output channels, kernel size, stride), and another shortcut where a block divides the size
    (`downsample`, called as `project` is).
    """

    weights_folder = "dygraph/legendary_models"
    stem_convs = ((3, 64, 7, 2),)
    downsample = staticmethod(project)

    def __init__(self, depth, class_num=1000, lr_mult_list=_SAME_RATE, stem_act="relu"):
        super().__init__()
        repeats, bottleneck = _STAGES[depth]
        act = nn.ReLU if stem_act else lambda: None
        self.stem = nn.Sequential(*[ConvBN(*conv, act=act(), lr_mult=lr_mult_list[0]) for conv in self.stem_convs])
        self.max_pool = nn.MaxPool2D(kernel_size=3, stride=2, padding=1)
        channels = self.stem_convs[-1][1]
        self.follow(self.stem, channels, 2)
        self.follow(self.max_pool, channels, 2, index=1)
        self.blocks = nn.Sequential()
        for stage, (width, count) in enumerate(zip(_WIDTHS, repeats)):
            for number in range(count):
                stride = 2 if stage and not number else 1
                shortcut = None if number else self.downsample if stage else project
                block = Block(channels, width, stride, bottleneck, shortcut, lr_mult_list[stage + 1])
                channels = width * 4 if bottleneck else width
                position = len(self.blocks)
                self.blocks.add_sublayer(str(position), block)
                self.follow(block, channels, stride, index=position + 2)
        self.avg_pool = GlobalPool()
        bound = 1.0 / math.sqrt(channels)
        self.fc = nn.Linear(channels, class_num, weight_attr=ParamAttr(initializer=Uniform(-bound, bound)))

    def embed(self, x):
        return paddle.squeeze(self.avg_pool(x), [2, 3])

    def head(self, x):
        return self.fc(self.embed(x))


@ARCH.register
def ResNet18(**options):
    return ResNet(18, **options)


@ARCH.register
def ResNet34(**options):
    return ResNet(34, **options)


@ARCH.register
def ResNet50(**options):
    return ResNet(50, **options)


@ARCH.register
def ResNet101(**options):
    return ResNet(101, **options)


@ARCH.register
def ResNet152(**options):
    return ResNet(152, **options)
