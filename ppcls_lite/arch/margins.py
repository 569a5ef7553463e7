"""Heads that compare features with a vector for each identity, and make their own identity's cosine harder to reach.

All three take features [N, embedding_size] and labels [N] or [N, 1] of `class_num` identities. In training they give
scaled logits for a cross entropy; in evaluation, and without labels, the plain cosines. They compute in float32, also
in a training of mixed precision: a rounded cosine times the scale would be a wrong logit.
"""

import math

import paddle
from paddle import nn
from paddle.nn import functional as F

from ppcls_lite.arch.layers import unit
from ppcls_lite.arch.registry import HEADS
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError

# Below this, 1 - cos^2 is mostly rounding, and the slope of its root grows without end.
_SMALL = 1e-6


class Margin(nn.Layer):
    """The cosines that all margins begin with; `weight` [embedding_size, class_num] holds a vector per identity.

    A feature of zeros has no direction: its cosines are 0 and it gets no gradient. Raises UserError for a wrong option,
    and on a call for a label that is not below `class_num`.
    """

    takes = "embedding_size"  # the option that is the number of features

    def __init__(self, embedding_size, class_num, margin, scale, most, most_name=None):
        super().__init__()
        self.embedding_size = checks.whole("embedding_size", embedding_size)
        self.class_num = checks.whole("class_num", class_num, low=2)  # one has nothing to be kept apart from
        self.margin = checks.real("margin", margin, 0, most, most_name)
        self.scale = checks.positive("scale", scale)
        shape = [self.embedding_size, self.class_num]
        self.weight = self.create_parameter(shape, default_initializer=nn.initializer.XavierNormal())

    def forward(self, features, labels=None):
        with paddle.amp.auto_cast(enable=False):
            cosines = self._cosines(features.astype("float32"), self.weight.astype("float32"))
            if labels is None or not self.training:
                return cosines
            return self.scale * self.with_margin(cosines, self._own(labels))

    def with_margin(self, cosines, own):
        """Cosines to logits before the scale, both [N, class_num]; `own` is 1 at each row's identity, else 0."""
        raise NotImplementedError

    def _cosines(self, features, weight):
        has_direction = (features.detach().abs().max(axis=1, keepdim=True) > 0).astype("float32")
        return paddle.matmul(unit(features, 1) * has_direction, unit(weight, 0))

    def _own(self, labels):
        labels = labels.reshape([-1])
        if paddle.in_dynamic_mode():  # a traced program has no values to look at
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= self.class_num:
                found = low if low < 0 else high
                raise UserError(f"Arch.Head.class_num: expected labels from 0 to {self.class_num - 1}, found {found}")
        return F.one_hot(labels, self.class_num)


@HEADS.register
class ArcMargin(Margin):
    """ArcFace (Deng et al., 2018, https://arxiv.org/abs/1801.07698), equation 3: cos(theta + margin).

    Beyond pi - margin that would grow again; there cos(theta) - margin * sin(margin) takes its place, as in the
    authors' code. With `easy_margin`, the margin is there only where cos(theta) is above 0.
    """

    def __init__(self, embedding_size, class_num, margin=0.5, scale=80.0, easy_margin=False):
        super().__init__(embedding_size, class_num, margin, scale, most=math.pi / 2, most_name="pi/2 (1.5708)")
        self.easy_margin = checks.boolean("easy_margin", easy_margin)

    def with_margin(self, cosines, own):
        shifted = cosines * math.cos(self.margin) - sine_of(cosines) * math.sin(self.margin)
        if self.easy_margin:
            harder = paddle.where(cosines > 0, shifted, cosines)
        else:
            beyond = cosines - self.margin * math.sin(self.margin)
            harder = paddle.where(cosines > -math.cos(self.margin), shifted, beyond)
        return paddle.where(own > 0, harder, cosines)


def sine_of(cosines):
    """sqrt(1 - cos^2), of angles from 0 to pi, with a slope of at most 2000.

    The root's slope has no bound at 0 and pi; close to them a straight line through 0 takes its place, which at 0 and
    pi is exact. Cosines that rounding has brought above 1 give no root of a negative number either.
    """
    square = (1 - cosines) * (1 + cosines)
    return paddle.where(square > _SMALL, paddle.sqrt(paddle.clip(square, min=_SMALL)), square / math.sqrt(_SMALL))


@HEADS.register
class CosMargin(Margin):
    """CosFace (Wang et al., 2018, https://arxiv.org/abs/1801.09414), equation 4: cos(theta) - margin."""

    def __init__(self, embedding_size, class_num, margin=0.35, scale=64.0):
        super().__init__(embedding_size, class_num, margin, scale, most=1)

    def with_margin(self, cosines, own):
        return cosines - self.margin * own


@HEADS.register
class CircleMargin(Margin):
    """Circle loss (Sun et al., 2020, https://arxiv.org/abs/2002.10857) with labels of classes, sections 3.1 and 3.2.

    Each cosine is weighed by how far it is from its optimum, 1 + margin for the own identity and -margin for the
    others; the weights take no part in the gradient.
    """

    def __init__(self, embedding_size, class_num, margin, scale):
        super().__init__(embedding_size, class_num, margin, scale, most=1)

    def with_margin(self, cosines, own):
        found = cosines.detach()
        positive = F.relu(1 + self.margin - found) * (cosines - (1 - self.margin))
        negative = F.relu(found + self.margin) * (cosines - self.margin)
        return paddle.where(own > 0, positive, negative)
