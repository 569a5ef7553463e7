"""Losses that compare the features of a recognition network with each other, under PaddleClas's names.

Both are called `loss(outputs, target)` with a RecModel's outputs {"features": [N, D], "backbone": [N, F], …} and labels
[N]. They compute in FP32 also where the network has mixed precision: a small distance is a difference of large numbers.
"""

import paddle
import paddle.nn.functional as F

from ppcls_lite.train.losses import LOSSES
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.recognition import FEATURES

_SMALLEST = 1e-12  # of a squared distance: the root has no finite slope at 0
_FAR = 1e30  # squared distance of an image that is not to be chosen


def _source(loss, feature_from):
    return checks.choice(f"{type(loss).__name__}.feature_from", feature_from, FEATURES)


def _features(loss, outputs, target):
    """The features [N, D] that `loss` takes, in FP32; UserError for a classifier's outputs and for mixed labels."""
    name = type(loss).__name__
    if not isinstance(outputs, dict) or loss.takes not in outputs:
        raise UserError(f"{name}: needs the features of a recognition network: Arch.name: RecModel")
    if not paddle.is_tensor(target) or target.ndim != 1:
        raise UserError(f"{name}: needs one label per image, not mixed ones: take batch_transform_ops out")
    return outputs[loss.takes].astype("float32")


@LOSSES.register
class TripletLossV2:
    """The triplet loss (Schroff et al., "FaceNet", 2015) of the hardest triplet of each image in the batch (Hermans et
    al., "In Defense of the Triplet Loss", 2017, equation 5): max(0, margin + d(image, farthest of its identity) -
    d(image, nearest of the others)), the mean over images that have both.

    Distances are Euclidean, of features that `normalize_feature` brings to length 1. Identities may have different
    numbers of images in a batch. A batch without any triplet teaches nothing, and the first one is warned of.
    """

    def __init__(self, margin=0.5, normalize_feature=True, feature_from="features"):
        self.margin = checks.real("TripletLossV2.margin", margin, low=0)
        self.normalize = checks.boolean("TripletLossV2.normalize_feature", normalize_feature)
        self.takes = _source(self, feature_from)
        self._warned = False

    def __call__(self, outputs, target):
        with paddle.amp.auto_cast(enable=False):
            features = _features(self, outputs, target)
            if self.normalize:
                features = F.normalize(features, axis=1)
            positive, negative, valid = _hardest(features, target)
            count = valid.sum()
            self._warn_of_no_triplet(count)
            excess = self.margin + _distance(features, positive) - _distance(features, negative)
            return (F.relu(excess) * valid).sum() / paddle.clip(count, min=1.0)

    def _warn_of_no_triplet(self, count):
        if not self._warned and float(count) == 0:
            self._warned = True
            logger.warning(
                "TripletLossV2: a batch has no two images of one identity beside one of another, and teaches nothing; "
                "DataLoader.Train.sampler: PKSampler or DistributedRandomIdentitySampler makes others"
            )


@paddle.no_grad()
def _hardest(features, labels):
    """For each of N images the number of the farthest of its identity, [N], and of the nearest of the others, [N]; and
    [N] float32, 1 where there are both. Equally far ones: the first."""
    squares = (features**2).sum(axis=1)
    squared = squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * paddle.matmul(features, features, transpose_y=True)
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    others = paddle.logical_not(same)
    same = paddle.logical_and(same, paddle.logical_not(paddle.eye(len(labels)).astype("bool")))
    far = paddle.full_like(squared, _FAR)
    positive = paddle.argmax(paddle.where(same, squared, -far), axis=1)
    negative = paddle.argmin(paddle.where(others, squared, far), axis=1)
    return positive, negative, paddle.logical_and(same.any(axis=1), others.any(axis=1)).astype("float32")


def _distance(features, chosen):
    """[N]: how far each image is from the one of the number `chosen`; without a slope where they are equal."""
    difference = features - paddle.gather(features, chosen)
    return paddle.clip((difference**2).sum(axis=1), min=_SMALLEST).sqrt()


@LOSSES.register
class CenterLoss(paddle.nn.Layer):
    """The squared distance of each image's features to the centre of its class, averaged over the batch (Wen et al., "A
    Discriminative Feature Learning Approach for Deep Face Recognition", 2016, equation 2, times 2 as in PaddleClas).

    The centres [num_classes, feat_dim] are parameters: an optimizer moves them, checkpoints hold them, and no
    exported model has them. They begin with normally distributed numbers.
    """

    def __init__(self, num_classes, feat_dim, feature_from="features"):
        super().__init__()
        self.num_classes = checks.whole("CenterLoss.num_classes", num_classes)
        self.feat_dim = checks.whole("CenterLoss.feat_dim", feat_dim)
        self.takes = _source(self, feature_from)
        self.centers = self.create_parameter(
            [num_classes, feat_dim], default_initializer=paddle.nn.initializer.Normal(0.0, 1.0)
        )

    def forward(self, outputs, target):
        with paddle.amp.auto_cast(enable=False):
            features = _features(self, outputs, target)
            if features.shape[1] != self.feat_dim:
                raise UserError(
                    f"CenterLoss.feat_dim: expected {features.shape[1]}, the length of outputs['{self.takes}'], found "
                    f"{self.feat_dim}"
                )
            return ((features - paddle.gather(self.centers, target)) ** 2).sum(axis=1).mean()
