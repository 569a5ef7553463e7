"""MyNet: five convolutions."""

import paddle
from paddle import nn

from ppcls_lite.arch.layers import ConvBN
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import ARCH


class MyNet(Network):
    def __init__(self, width, class_num=1000):
        super().__init__()
        self.stages = nn.Sequential()
        channels = 3
        for number in range(5):
            out = width * 2**number
            stage = ConvBN(channels, out, 3, 2, act=nn.ReLU())
            self.stages.add_sublayer(str(number), stage)
            self.follow(stage, out, stride=2, index=number)
            channels = out
        self.avg_pool = nn.AdaptiveAvgPool2D(1)
        self.fc = nn.Linear(channels, class_num)

    def head(self, x):
        return self.fc(paddle.flatten(self.avg_pool(x), 1))


@ARCH.register
def MyNet_x1_0(**options):
    return MyNet(16, **options)
