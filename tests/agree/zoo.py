"""Small networks of a foreign project, and how it exports them: right, and with each fault."""

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

CLASSES, SIZE = 8, 16


class Classifier(nn.Layer):
    """Images [N, 3, 16, 16] to logits [N, 8]."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2D(3, 8, 3, bias_attr=False), nn.BatchNorm2D(8)
        self.drop, self.fc = nn.Dropout(0.5), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.logits(x)

    def logits(self, x):
        """What a subclass may change: Paddle 2.6 exports no `super()`."""
        x = F.adaptive_avg_pool2d(F.relu(self.norm(self.conv(x))), 1)
        return self.fc(self.drop(x.flatten(1)))


class Merged(nn.Layer):
    """The same function with batch norm merged into the convolution."""

    def __init__(self, other):
        super().__init__()
        self.conv, self.fc = nn.Conv2D(3, 8, 3), nn.Linear(8, CLASSES)
        factor = other.norm.weight / paddle.sqrt(other.norm._variance + 1e-5)
        self.conv.weight.set_value(other.conv.weight * factor.reshape([-1, 1, 1, 1]))
        self.conv.bias.set_value(other.norm.bias - other.norm._mean * factor)
        self.fc.set_state_dict(other.fc.state_dict())

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.conv(x)), 1).flatten(1))


class Wide(nn.Layer):
    """Images [N, 3, 16, 16] to logits [N, 100], with sums that MKL shares among threads."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(768, 100)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Segmenter(nn.Layer):
    """Images [N, 3, H, W] to logits [N, 4, H, W], in a list."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3, padding=1)

    def forward(self, x):
        return [self.conv(x)]


class Detector(nn.Layer):
    """A dictionary of tensors to boxes [K, 6] of all images and their number, as detectors of PaddleDetection."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 5)

    def forward(self, image, scale_factor, im_id=None, im_shape=None):
        scores = self.scores(image)  # [N, 5]: one box each
        corners = paddle.cumsum(scores[:, 1:], axis=1)[:, [0, 1, 2, 3]] * 16 / scale_factor.mean(1, keepdim=True)
        corners = paddle.concat([corners[:, :2], corners[:, :2] + corners[:, 2:]], 1)
        boxes = paddle.concat([paddle.zeros_like(scores[:, :1]), scores[:, :1], corners], 1)
        return {"bbox": boxes, "bbox_num": paddle.ones_like(scores[:, 0]).astype("int32")}

    def scores(self, image):
        return F.sigmoid(self.fc(image.mean([2, 3])))


class HalvedDetector(Detector):
    """The same detector, with its weights as the sum of two halves: the last bits of its boxes differ."""

    def __init__(self, other, error=1.0):
        super().__init__()
        self.more = nn.Linear(3, 5)
        for own in (self.fc, self.more):
            own.weight.set_value(other.fc.weight * (0.3 if own is self.fc else 0.7) * error)
            own.bias.set_value(other.fc.bias * (0.3 if own is self.fc else 0.7))

    def scores(self, image):
        return F.sigmoid(self.fc(image.mean([2, 3])) + self.more(image.mean([2, 3])))


class Behind(nn.Layer):
    """A network with something behind it."""

    def __init__(self, network, behind):
        super().__init__()
        self.network, self.behind = network, behind

    def forward(self, x):
        return self.behind(self.network(x))


def filled(layer, seed=1):
    """A layer in evaluation mode with random weights, far from those of an untrained network."""
    rng = np.random.default_rng(seed)
    for name, tensor in layer.state_dict().items():
        low, high = (0.5, 1.5) if "variance" in name else (-1.0, 1.2)
        tensor.set_value(rng.uniform(low, high, tensor.shape).astype("float32"))
    layer.eval()
    return layer


def images(count, seed=0, size=SIZE):
    """Inputs [N, 3, size, size] float32, each with a colour of its own."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 3, size, size)) + rng.normal(size=(count, 3, 1, 1)) * 2).astype(np.float32)
