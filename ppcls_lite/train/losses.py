"""Training and evaluation losses, in the form that configs list them: `- CELoss: {weight: 1.0, epsilon: 0.1}`."""

import math

import paddle
import paddle.nn.functional as F

from ppcls_lite.data.batch import Mixed
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

LOSSES = Registry("loss")


def check_finite(loss, fault):
    """Raise UserError, with `fault` and advice, when the number `loss` is not finite."""
    if not math.isfinite(loss):
        raise UserError(f"{fault} a smaller Optimizer.lr.learning_rate or a longer warm-up may help")


def logits_of(outputs, where):
    """The scores [N, C] of a network's outputs: a classifier's, or those of a RecModel's head; else UserError."""
    if isinstance(outputs, dict) and "logits" in outputs:
        return outputs["logits"]
    if isinstance(outputs, dict) and "features" in outputs:
        raise UserError(f"{where}: needs scores of classes, and the network has no Arch.Head")
    if not paddle.is_tensor(outputs):
        raise UserError(f"{where}: the network gives several maps, not one score per class")
    return outputs


@LOSSES.register
class CELoss:
    """Cross entropy of logits [N, C], averaged over N, with label smoothing when `epsilon` is given. Of a RecModel's
    outputs it takes `logits`.

    Labels are int64 class ids [N], or distributions [N, C]. Smoothing as in Szegedy et al., "Rethinking the
    Inception Architecture" (2015), section 7: (1 - epsilon) * target + epsilon / C.
    """

    def __init__(self, epsilon=None):
        self.epsilon = None if epsilon is None else checks.real("CELoss.epsilon", epsilon, 0, 1)

    def __call__(self, outputs, target):
        """`target` is labels, or `Mixed` after Mixup or CutMix; UserError for those of a detector."""
        logits = logits_of(outputs, "CELoss")
        if isinstance(target, Mixed):
            share = target.share.reshape([])  # the loader's [1] would make the loss a list of one
            mixed_in = self._of_labels(logits, target.others)
            return share * self._of_labels(logits, target.labels) + (1 - share) * mixed_in
        if not paddle.is_tensor(target):
            raise UserError("CELoss: needs one label per image, found the boxes of a detection set")
        return self._of_labels(logits, target)

    def _of_labels(self, logits, labels):
        if not self.epsilon:
            return F.cross_entropy(logits, labels, soft_label=labels.ndim == 2)
        if labels.ndim == 1:
            labels = F.one_hot(labels, logits.shape[-1])
        smooth = F.label_smooth(labels, epsilon=self.epsilon)
        return -paddle.sum(F.log_softmax(logits, axis=-1) * smooth, axis=-1).mean()


class WeightedLosses:
    """The weighted sum of a config's losses; `parts` holds the last value of each, by name and without weight.

    `layers` is a layer of the losses that have parameters, by name: an optimizer moves these too.
    """

    def __init__(self, items, where):
        if not items:
            raise UserError(f"{where}: expected a list of losses such as '- CELoss: {{weight: 1.0}}'")
        self.terms, self.parts, layers = [], {}, {}
        for index, item in enumerate(items):
            place = f"{where}[{index}]"
            if not isinstance(item, dict) or len(item) != 1:
                raise UserError(f"{place}: expected one loss such as 'CELoss: {{weight: 1.0}}', found {item!r}")
            ((name, params),) = item.items()
            if params is not None and not isinstance(params, dict):
                raise UserError(f"{place}: {name} takes a mapping of options, found {params!r}")
            params = dict(params or {})
            weight = checks.real(f"{place}.{name}.weight", params.pop("weight", 1.0), low=0)
            with paddle.utils.unique_name.guard():  # parameters have the same names in every process, as `.pdopt` needs
                loss = LOSSES.build_at(name, params, place)
            if isinstance(loss, paddle.nn.Layer):
                if name in layers:
                    raise UserError(f"{place}: {name} occurs twice, and only one can have parameters of this name")
                layers[name] = loss
            self.terms.append((name, weight, loss))
        self.layers = paddle.nn.LayerDict(layers)
        if not any(weight for _, weight, _ in self.terms):
            raise UserError(f"{where}: expected a loss with a weight above 0, found {items!r:.80}")

    def __call__(self, outputs, target):
        """The sum for the network's outputs and the target of their `Batch`."""
        total, self.parts = 0.0, {}
        for name, weight, loss in self.terms:
            part = loss(outputs, target)
            self.parts[name] = part.detach()
            total = total + weight * part
        return total
