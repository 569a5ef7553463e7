"""PP-HGNetV2, PaddleClas's network for GPUs (docs/zh_CN/models/ImageNet1k/PP-HGNetV2.md; no paper).

A stem with a 2x2-convolution branch beside a max pool, then four stages of blocks that concatenate everything
they computed; from the third stage on, convolutions are pointwise plus 5x5 depthwise. B0 to B3 put a learnable
affine block behind every ReLU.
"""

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import Constant, KaimingNormal

from ppcls_lite.arch.layers import ConvBN
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH

# stem: middle and output channels; affine blocks; layers per block;
# per stage: channels inside a block, output channels, number of blocks
_SIZES = {
    "B0": ((16, 16), True, 3, ((16, 64, 1), (32, 256, 1), (64, 512, 2), (128, 1024, 1))),
    "B1": ((24, 32), True, 3, ((32, 64, 1), (48, 256, 1), (96, 512, 2), (192, 1024, 1))),
    "B2": ((24, 32), True, 4, ((32, 96, 1), (64, 384, 1), (128, 768, 3), (256, 1536, 1))),
    "B3": ((24, 32), True, 5, ((32, 128, 1), (64, 512, 1), (128, 1024, 3), (256, 2048, 1))),
    "B4": ((32, 48), False, 6, ((48, 128, 1), (96, 512, 1), (192, 1024, 3), (384, 2048, 1))),
    "B5": ((32, 64), False, 6, ((64, 128, 1), (128, 512, 2), (256, 1024, 5), (512, 2048, 2))),
    "B6": ((48, 96), False, 6, ((96, 192, 2), (192, 512, 3), (384, 1024, 6), (768, 2048, 3))),
}
_LIGHT_FROM = 2  # the stage, counted from 0, where light 5x5 layers replace plain 3x3 convolutions
_HIDDEN = 2048
_AFFINE_RATE = 0.01  # an affine block learns a hundred times slower than the rest
_SAME_RATE = (1.0, 1.0, 1.0, 1.0, 1.0)


class LearnableAffine(nn.Layer):
    """scale * x + bias with one learned scale and one learned bias for the whole map."""

    def __init__(self, lr_mult=1.0):
        super().__init__()
        attr = ParamAttr(learning_rate=lr_mult * _AFFINE_RATE)
        self.scale = self.create_parameter([1], attr=attr, default_initializer=Constant(1.0))
        self.bias = self.create_parameter([1], attr=attr, default_initializer=Constant(0.0))

    def forward(self, x):
        return self.scale * x + self.bias


class Conv(ConvBN):
    """ConvBN in this family's setting; with `act` also ReLU and, with `affine`, the affine block `lab`."""

    def __init__(self, in_channels, out_channels, kernel_size, affine, lr_mult, act=True, **options):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            act=nn.ReLU() if act else None,
            init=KaimingNormal(),
            decay_bn=False,
            lr_mult=lr_mult,
            **options,
        )
        self.lab = LearnableAffine(lr_mult) if act and affine else None

    def forward(self, x):
        x = self.bn(self.conv(x))  # not super().forward, which Paddle 2.6 cannot export
        if self.act is not None:
            x = self.act(x)
        return x if self.lab is None else self.lab(x)


class LightConv(nn.Layer):
    """1x1 convolution without activation, then depthwise k x k with it."""

    def __init__(self, in_channels, out_channels, kernel_size, affine, lr_mult):
        super().__init__()
        self.conv1 = Conv(in_channels, out_channels, 1, affine, lr_mult, act=False)
        self.conv2 = Conv(out_channels, out_channels, kernel_size, affine, lr_mult, groups=out_channels)

    def forward(self, x):
        return self.conv2(self.conv1(x))


class Stem(nn.Layer):
    """[N, 3, H, W] to [N, channels, H / 4, W / 4]. The 2x2 layers pad on the right and at the bottom only."""

    def __init__(self, middle, channels, affine, lr_mult):
        super().__init__()
        self.stem1 = Conv(3, middle, 3, affine, lr_mult, stride=2)
        self.stem2a = Conv(middle, middle // 2, 2, affine, lr_mult, padding="SAME")
        self.stem2b = Conv(middle // 2, middle, 2, affine, lr_mult, padding="SAME")
        self.stem3 = Conv(middle * 2, middle, 3, affine, lr_mult, stride=2)
        self.stem4 = Conv(middle, channels, 1, affine, lr_mult)
        self.pool = nn.MaxPool2D(kernel_size=2, stride=1, ceil_mode=True, padding="SAME")

    def forward(self, x):
        x = self.stem1(x)
        x = paddle.concat([self.pool(x), self.stem2b(self.stem2a(x))], axis=1)
        return self.stem4(self.stem3(x))


class Block(nn.Layer):
    """A chain of layers; input and all their outputs are concatenated and squeezed to `out_channels`."""

    def __init__(self, in_channels, inner, out_channels, count, light, shortcut, affine, lr_mult):
        super().__init__()
        layer, kernel_size = (LightConv, 5) if light else (Conv, 3)
        widths = [in_channels] + [inner] * count
        self.layers = nn.LayerList([layer(width, inner, kernel_size, affine, lr_mult) for width in widths[:-1]])
        squeezed = out_channels // 2
        self.aggregation_squeeze_conv = Conv(sum(widths), squeezed, 1, affine, lr_mult)
        self.aggregation_excitation_conv = Conv(squeezed, out_channels, 1, affine, lr_mult)
        self.shortcut = shortcut

    def forward(self, x):
        maps = [x]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        y = self.aggregation_squeeze_conv(paddle.concat(maps, axis=1))
        y = self.aggregation_excitation_conv(y)
        return y + x if self.shortcut else y


class PPHGNetV2(Network):
    """PP-HGNetV2 of `size` "B0" to "B6". Feature maps: the stem is 1 (stride 4), the blocks are 2, 3, ...

    `lr_mult_list`: factors on the learning rate of the stem and of the four stages.
    """

    hidden_layer = True
    weights_folder = "dygraph/legendary_models"
    ssld_only = True

    def __init__(self, size, class_num=1000, dropout_prob=0.0, lr_mult_list=_SAME_RATE):
        super().__init__()
        (middle, channels), affine, layers, stages = _SIZES[size]
        self.stem = Stem(middle, channels, affine, lr_mult_list[0])
        self.follow(self.stem, channels, 4, index=1)
        self.stages = nn.LayerList()
        index = 2
        for number, (inner, out, count) in enumerate(stages):
            lr_mult = lr_mult_list[number + 1]
            stage = nn.Layer()
            if number > 0:
                stage.downsample = Conv(channels, channels, 3, affine, lr_mult, act=False, stride=2, groups=channels)
                self.follow(stage.downsample, channels, 2)
            light = number >= _LIGHT_FROM
            stage.blocks = nn.Sequential()
            for position in range(count):
                block = Block(channels, inner, out, layers, light, position > 0, affine, lr_mult)
                stage.blocks.add_sublayer(str(position), block)
                self.follow(block, out, index=index)
                channels = out
                index += 1
            self.stages.append(stage)
        self.avg_pool = nn.AdaptiveAvgPool2D(1)
        self.last_conv = nn.Conv2D(
            channels, _HIDDEN, 1, weight_attr=ParamAttr(initializer=KaimingNormal()), bias_attr=False
        )
        self.act = nn.ReLU()
        self.lab = LearnableAffine() if affine else None
        self.dropout = nn.Dropout(dropout_prob, mode="downscale_in_infer")
        self.fc = nn.Linear(_HIDDEN, class_num)

    def embed(self, x):
        x = self.act(self.last_conv(self.avg_pool(x)))
        if self.lab is not None:
            x = self.lab(x)
        return paddle.squeeze(self.dropout(x), [2, 3])

    def head(self, x):
        return self.fc(self.embed(x))


@ARCH.register
def PPHGNetV2_B0(**options):
    return PPHGNetV2("B0", **options)


@ARCH.register
def PPHGNetV2_B1(**options):
    return PPHGNetV2("B1", **options)


@ARCH.register
def PPHGNetV2_B2(**options):
    return PPHGNetV2("B2", **options)


@ARCH.register
def PPHGNetV2_B3(**options):
    return PPHGNetV2("B3", **options)


@ARCH.register
def PPHGNetV2_B4(**options):
    return PPHGNetV2("B4", **options)


@ARCH.register
def PPHGNetV2_B5(**options):
    return PPHGNetV2("B5", **options)


@ARCH.register
def PPHGNetV2_B6(**options):
    return PPHGNetV2("B6", **options)
