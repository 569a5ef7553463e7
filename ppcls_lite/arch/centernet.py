"""CenterNet (Zhou et al., "Objects as Points", 2019, https://arxiv.org/abs/1904.07850) on any network of this registry.

An object is a peak in the heat-map of its class, with a size and a sub-cell offset regressed there; no anchors and no
non-maximum suppression but a 3x3 max-pool. The backbone's four maps are brought together at stride 4 by a light
feature pyramid in place of the paper's deconvolutions.
"""

import math

import paddle
from paddle import ParamAttr, nn
from paddle.nn import functional as F

from ppcls_lite.arch.backbone import build_backbone
from ppcls_lite.arch.layers import ConvBN
from ppcls_lite.arch.registry import DETECTORS
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.grid import MULTIPLE, STRIDE

_STRIDES = [STRIDE, 8, 16, MULTIPLE]
_PRIOR = 0.1  # the score of every cell before training (the paper's heads begin with it, as RetinaNet's)


class UpsampleNeck(nn.Layer):
    """Four maps at strides 4, 8, 16, 32 to one of `channels` channels at stride 4.

    A 1x1 convolution brings each map to `channels`; from the smallest on, the sum is doubled in size (nearest
    neighbour), added to the next, and smoothed by a 3x3 convolution.
    """

    def __init__(self, in_channels, channels=64):
        super().__init__()
        self.laterals = nn.LayerList([ConvBN(width, channels, 1) for width in in_channels])
        self.smooths = nn.LayerList([ConvBN(channels, channels, 3, act=nn.ReLU()) for _ in in_channels[1:]])

    def forward(self, maps):
        x = self.laterals[-1](maps[-1])
        for level in range(len(maps) - 2, -1, -1):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.smooths[level](x + self.laterals[level](maps[level]))
        return x


class MapHead(nn.Sequential):
    """A 3x3 convolution with BatchNorm and ReLU, then one of 1x1: [N, C, H, W] to [N, out_channels, H, W]."""

    def __init__(self, in_channels, channels, out_channels, bias=0.0):
        bias_attr = ParamAttr(initializer=nn.initializer.Constant(bias))
        # small weights: the prior of the heat-map would drown in large ones
        weight_attr = ParamAttr(initializer=nn.initializer.Normal(std=0.01))
        super().__init__(
            ConvBN(in_channels, channels, 3, act=nn.ReLU()),
            nn.Conv2D(channels, out_channels, 1, weight_attr=weight_attr, bias_attr=bias_attr),
        )


@DETECTORS.register
class CenterNet(nn.Layer):
    """Images [N, 3, H, W], H and W multiples of 32, to three maps of h = H/4 and w = W/4 cells.

    Returns:
        heat [N, class_num, h, w]: logits of an object's centre being in the cell.
        size [N, 2, h, w]: width and height of the object there, in cells.
        offset [N, 2, h, w]: where in the cell the centre is, x and y from 0 to 1.

    Args:
        Backbone: the options of `build_backbone`: name, out_indices, pretrained, use_ssld.
        Neck, Head: `{channels: 64}` each.
        max_boxes: how many boxes the deployed network gives for an image, best first.

    Raises UserError for an unknown backbone, a wrong option, or taps that are not at strides 4, 8, 16 and 32.
    """

    def __init__(self, class_num, Backbone, Neck=None, Head=None, max_boxes=100):
        super().__init__()
        self.class_num, self.max_boxes = class_num, checks.whole("Arch.max_boxes", max_boxes)
        self.backbone = _build_backbone(Backbone)
        channels = _channels(Neck, "Arch.Neck")
        self.neck = UpsampleNeck(self.backbone.channels, channels)
        wide = _channels(Head, "Arch.Head")
        self.heat = MapHead(channels, wide, class_num, -math.log((1 - _PRIOR) / _PRIOR))
        self.size = MapHead(channels, wide, 2)
        self.offset = MapHead(channels, wide, 2)

    def forward(self, images):
        x = self.neck(self.backbone(images))
        return self.heat(x), self.size(x), self.offset(x)

    def deployed(self):
        """This network as it is exported, for images and their scales."""
        return DeployedCenterNet(self)


def _build_backbone(options):
    if not isinstance(options, dict) or "name" not in options:
        raise UserError(f"Arch.Backbone: expected a mapping with a name, found {options!r:.80}")
    backbone = build_backbone(**options)
    if backbone.strides != _STRIDES:
        raise UserError(f"Arch.Backbone.out_indices: expected maps at strides {_STRIDES}, found {backbone.strides}")
    return backbone


def _channels(options, where):
    given = {"channels": 64} if options is None else options
    if not isinstance(given, dict) or set(given) != {"channels"}:
        raise UserError(f"{where}: expected 'channels: 64' or another width, found {options!r:.80}")
    return checks.whole(f"{where}.channels", given["channels"])


class DeployedCenterNet(nn.Layer):
    """The network with decoding inside, in the form of PaddleDetection's exported models.

    Inputs: image [N, 3, H, W]; scale_factor [N, 2], pixels of `image` per pixel of the image file, (y, x).
    Outputs: boxes [N * max_boxes, 6] of (label, score, x1, y1, x2, y2) in the file's pixels, an image's boxes
    together and best first; the number of boxes of each image [N] int32; and the raw maps, as `decode` takes them.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image, scale_factor):
        heat, size, offset = self.network(image)
        heat = F.sigmoid(heat)
        boxes = decode(heat, size, offset, scale_factor, self.network.max_boxes)
        count = paddle.full_like(boxes[:, 0, 0], boxes.shape[1], dtype="int32")
        return boxes.reshape([-1, 6]), count, heat, size, offset

    @staticmethod
    def input_specs(image_shape):
        """The inputs' form for `paddle.jit.to_static`, images of [3, H, W]; UserError for sizes that do not fit."""
        if any(side % MULTIPLE for side in image_shape[1:]):
            raise UserError(f"Global.image_shape: expected multiples of {MULTIPLE} pixels, found {image_shape}")
        return [
            paddle.static.InputSpec([None, *image_shape], dtype="float32", name="image"),
            paddle.static.InputSpec([None, 2], dtype="float32", name="scale_factor"),
        ]


def decode(heat, size, offset, scale_factor, max_boxes=100):
    """Maps to boxes [N, K, 6] of (label, score, x1, y1, x2, y2), K at most `max_boxes`, best first.

    Args:
        heat: scores [N, C, h, w] from 0 to 1; a cell counts when no neighbour of the 3x3 around it scores higher.
        size, offset: [N, 2, h, w], in cells.
        scale_factor: [N, 2], pixels of the network's image per pixel of the image file, (y, x).

    The boxes are in the file's pixels and may reach beyond its border.
    """
    classes, height, width = heat.shape[1:]
    cells = height * width
    peak = F.max_pool2d(heat, 3, stride=1, padding=1)
    scores = heat * (heat == peak).astype(heat.dtype)
    scores, places = paddle.topk(scores.reshape([-1, classes * cells]), min(max_boxes, classes * cells))
    labels = places // cells
    cell = places - labels * cells
    row = cell // width
    centre = paddle.stack([cell - row * width, row], axis=1).astype(heat.dtype)
    index = paddle.stack([cell, cell], axis=1)
    centre = centre + paddle.take_along_axis(offset.reshape([-1, 2, cells]), index, axis=2)
    half = 0.5 * paddle.take_along_axis(size.reshape([-1, 2, cells]), index, axis=2)
    # a tensor divided by a tensor: a number divided by one becomes an operator that Paddle2ONNX does not know
    scale = paddle.flip(scale_factor, axis=[1]).reshape([-1, 2, 1])
    corners = paddle.concat([(centre - half) * STRIDE / scale, (centre + half) * STRIDE / scale], axis=1)
    found = paddle.stack([labels.astype(heat.dtype), scores], axis=1)
    return paddle.concat([found, corners], axis=1).transpose([0, 2, 1])
