"""PP-HGNet, PaddleClas's network for GPUs (docs/zh_CN/models/ImageNet1k/PP-HGNet.md; no paper).

Plain 3x3 convolutions in blocks that concatenate everything they computed, and weigh the channels of the result by
their mean: VoVNet's block with effective squeeze-excitation (Lee & Park, "CenterMask", 2020,
https://arxiv.org/abs/1911.06667).
"""

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import Constant, KaimingNormal

from ppcls_lite.arch.layers import ConvBN, GlobalPool
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH

# channels of the three convolutions of the stem; layers per block;
# per stage: channels inside a block, output channels, number of blocks
_SIZES = {
    "tiny": ((48, 48, 96), 5, ((96, 224, 1), (128, 448, 1), (160, 512, 2), (192, 768, 1))),
    "small": ((64, 64, 128), 6, ((128, 256, 1), (160, 512, 1), (192, 768, 2), (224, 1024, 1))),
    "base": ((96, 96, 160), 7, ((192, 320, 1), (224, 640, 2), (256, 960, 3), (288, 1280, 2))),
}
_HIDDEN = 2048


def _conv(in_channels, out_channels, kernel_size, stride=1, groups=1, act=True):
    return ConvBN(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        groups=groups,
        act=nn.ReLU() if act else None,
        init=KaimingNormal(),
        decay_bn=False,
    )


class ChannelGate(nn.Layer):
    """x times the sigmoid of a 1x1 convolution of its means: [N, channels, H, W] keeps its shape."""

    def __init__(self, channels):
        super().__init__()
        self.avg_pool = GlobalPool()
        self.conv = nn.Conv2D(channels, channels, 1, weight_attr=ParamAttr(initializer=KaimingNormal()))
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        return paddle.multiply(x, self.sigmoid(self.conv(self.avg_pool(x))))


class Block(nn.Layer):
    """A chain of 3x3 layers; input and all their outputs are concatenated, squeezed to `out_channels`, and gated."""

    def __init__(self, in_channels, inner, out_channels, count, shortcut):
        super().__init__()
        widths = [in_channels] + [inner] * count
        self.layers = nn.LayerList([_conv(width, inner, 3) for width in widths[:-1]])
        self.aggregation_conv = _conv(sum(widths), out_channels, 1)
        self.att = ChannelGate(out_channels)
        self.shortcut = shortcut

    def forward(self, x):
        maps = [x]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        y = self.att(self.aggregation_conv(paddle.concat(maps, axis=1)))
        return y + x if self.shortcut else y


class PPHGNet(Network):
    """PP-HGNet of `size` tiny, small or base. Feature maps: the pooled stem is 1 (stride 4), the blocks 2 and on."""

    hidden_layer = True
    weights_folder = "dygraph/legendary_models"

    def __init__(self, size, class_num=1000, dropout_prob=0.0):
        super().__init__()
        stem, layers, stages = _SIZES[size]
        self.stem = nn.Sequential(*[_conv(a, b, 3, 1 if a > 3 else 2) for a, b in zip((3, *stem), stem)])
        self.pool = nn.MaxPool2D(kernel_size=3, stride=2, padding=1)
        channels = stem[-1]
        self.follow(self.stem, channels, 2)
        self.follow(self.pool, channels, 2, index=1)
        self.stages = nn.LayerList()
        index = 2
        for number, (inner, out, count) in enumerate(stages):
            stage = nn.Layer()
            if number > 0:
                stage.downsample = _conv(channels, channels, 3, 2, groups=channels, act=False)
                self.follow(stage.downsample, channels, 2)
            stage.blocks = nn.Sequential()
            for position in range(count):
                block = Block(channels, inner, out, layers, position > 0)
                stage.blocks.add_sublayer(str(position), block)
                self.follow(block, out, index=index)
                channels = out
                index += 1
            self.stages.append(stage)
        self.avg_pool = GlobalPool()
        self.last_conv = nn.Conv2D(
            channels, _HIDDEN, 1, weight_attr=ParamAttr(initializer=KaimingNormal()), bias_attr=False
        )
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(dropout_prob, mode="downscale_in_infer")
        bias = ParamAttr(initializer=Constant(0.0))
        self.fc = nn.Linear(_HIDDEN, class_num, bias_attr=bias)

    def embed(self, x):
        x = self.act(self.last_conv(self.avg_pool(x)))
        return paddle.squeeze(self.dropout(x), [2, 3])

    def head(self, x):
        return self.fc(self.embed(x))


@ARCH.register
def PPHGNet_tiny(**options):
    return PPHGNet("tiny", **options)


@ARCH.register
def PPHGNet_small(**options):
    return PPHGNet("small", **options)


@ARCH.register
def PPHGNet_base(**options):
    return PPHGNet("base", **{"dropout_prob": 0.2, **options})
