"""CenterNet's losses (https://arxiv.org/abs/1904.07850, section 3), each over the whole batch and per object.

All are called `loss(outputs, target)`: outputs (heat logits, size, offset) as CenterNet returns them, target a
`DetectionTarget` of a batch. A batch without objects gives 0 for size and offset.
"""

import paddle
import paddle.nn.functional as F

from ppcls_lite.data.batch import DetectionTarget
from ppcls_lite.train.losses import LOSSES
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError


def _check(loss, outputs, target):
    """UserError for the outputs or the target of a classifier."""
    if paddle.is_tensor(outputs) or not isinstance(target, DetectionTarget):
        raise UserError(f"{type(loss).__name__}: needs the maps of a detector and boxes, found a classifier's")


@LOSSES.register
class HeatmapFocalLoss:
    """Focal loss with fewer penalties around the centres (the paper's equation 1), divided by the objects."""

    def __init__(self, alpha=2.0, beta=4.0):
        self.alpha = checks.real("HeatmapFocalLoss.alpha", alpha, low=0)
        self.beta = checks.real("HeatmapFocalLoss.beta", beta, low=0)

    def __call__(self, outputs, target):
        _check(self, outputs, target)
        logits, heat = outputs[0], target.heat
        scores = F.sigmoid(logits)
        centre = (heat == 1).astype(logits.dtype)
        # the logarithms from the logits: that of a sigmoid which has become 0 would be infinite
        hits = centre * (1 - scores) ** self.alpha * F.log_sigmoid(logits)
        misses = (1 - centre) * (1 - heat) ** self.beta * scores**self.alpha * F.log_sigmoid(-logits)
        return -(hits.sum() + misses.sum()) / paddle.clip(centre.sum(), min=1.0)


class _AtCentres:
    """L1 distance of one map [N, 2, h, w] to `field` of the targets, at the objects' cells."""

    field, output = "", 0

    def __call__(self, outputs, target):
        _check(self, outputs, target)
        found = outputs[self.output].flatten(2)
        cells = target.cells.unsqueeze(1).expand([-1, 2, -1])
        found = paddle.take_along_axis(found, cells, axis=2).transpose([0, 2, 1])
        distance = paddle.abs(found - getattr(target, self.field)) * target.valid.unsqueeze(2)
        return distance.sum() / paddle.clip(target.valid.sum(), min=1.0)


@LOSSES.register
class SizeL1Loss(_AtCentres):
    """Width and height in cells (the paper's equation 3; its weight there is 0.1)."""

    field, output = "sizes", 1


@LOSSES.register
class OffsetL1Loss(_AtCentres):
    """The centre's place within its cell (the paper's equation 2; its weight there is 1)."""

    field, output = "offsets", 2
