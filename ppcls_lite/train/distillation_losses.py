"""Losses of a knowledge distillation, under PaddleClas's names; each compares named outputs of a DistillationModel.

All are called `loss(outputs, target)`, with outputs {name: logits [N, C]}, and give one number, the sum over their
pairs (or names). A pair is [student, teacher]: `model_name_pairs: [["Student", "Teacher"]]`. `key` is for
networks with several outputs in PaddleClas; those here have one, `logits`. `name` is a label of PaddleClas's log.
"""

import paddle
import paddle.nn.functional as F

from ppcls_lite.train.losses import LOSSES, CELoss
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest

_LOGITS = "logits"
_DISTANCES = {"l1": F.l1_loss, "l2": F.mse_loss, "smooth_l1": F.smooth_l1_loss}
_EPSILON = 1e-12  # keeps a logarithm finite where a probability is 0


def output_of(outputs, name, where):
    """The logits of the network `name` out of a DistillationModel's outputs; UserError where there are none."""
    if not isinstance(outputs, dict):
        raise UserError(f"{where}: needs the outputs of several networks: Arch.name: DistillationModel")
    if name not in outputs:
        raise UserError(f"{where}: expected one of {', '.join(outputs)}, found {name!r}{nearest(name, outputs)}")
    return outputs[name]


def check_key(where, key):
    """UserError unless `key` names the one output that the networks here have."""
    if key not in (None, _LOGITS):
        raise UserError(f"{where}: expected null or '{_LOGITS}', the one output of the networks here, found {key!r}")


def _temperature(loss, value):
    return checks.positive(f"{type(loss).__name__}.temperature", value)


class _OfPairs:
    """The sum of `of_pair(student, teacher, target)` over pairs of outputs."""

    needs_labels = False

    def __init__(self, model_name_pairs, key=None, name=None):
        self.place = f"{type(self).__name__}.model_name_pairs"
        given = model_name_pairs
        if not isinstance(given, (list, tuple)) or not given or not all(map(_is_pair, given)):
            raise checks.wrong(self.place, 'a list of pairs such as [["Student", "Teacher"]]', given)
        self.pairs = [tuple(pair) for pair in given]
        check_key(f"{type(self).__name__}.key", key)

    def __call__(self, outputs, target):
        terms = []
        for pair in self.pairs:
            student, teacher = (output_of(outputs, name, self.place) for name in pair)
            terms.append(self.of_pair(student, teacher, target))
        return sum(terms[1:], terms[0])

    def of_pair(self, student, teacher, target):
        """The loss of one pair of logits [N, C]."""
        raise NotImplementedError


def _is_pair(entry):
    return isinstance(entry, (list, tuple)) and len(entry) == 2 and all(isinstance(name, str) for name in entry)


@LOSSES.register
class DistillationCELoss(_OfPairs):
    """Cross entropy of the student's logits with the softmax of the teacher's as labels: the loss of SSLD.

    With `epsilon` PaddleClas takes the teacher's smoothed logits, without softmax, for labels: this is refused here.
    """

    def __init__(self, model_name_pairs, epsilon=None, key=None, name=None):
        super().__init__(model_name_pairs, key, name)
        if epsilon:
            raise checks.wrong("DistillationCELoss.epsilon", "null: soft labels are smooth already", epsilon)

    def of_pair(self, student, teacher, target):
        return F.cross_entropy(student, F.softmax(teacher, axis=-1), soft_label=True)


@LOSSES.register
class DistillationGTCELoss:
    """CELoss of the named networks with the labels of the data set (the ground truth).

    An evaluation has the logits of the one network for use, and takes these.
    """

    def __init__(self, model_names, epsilon=None, key=None, name=None):
        self.place = "DistillationGTCELoss.model_names"
        if not isinstance(model_names, (list, tuple)) or not model_names:
            raise checks.wrong(self.place, 'a list such as ["Student"]', model_names)
        self.names = list(model_names)
        check_key("DistillationGTCELoss.key", key)
        self.loss = CELoss(epsilon)

    def __call__(self, outputs, target):
        if paddle.is_tensor(outputs):
            return self.loss(outputs, target)
        terms = [self.loss(output_of(outputs, name, self.place), target) for name in self.names]
        return sum(terms[1:], terms[0])


@LOSSES.register
class DistillationDMLLoss(_OfPairs):
    """Kullback-Leibler divergences of both directions, their mean (Zhang et al., "Deep Mutual Learning", 2017).

    `act` makes probabilities of logits: softmax, sigmoid or null. As in PaddleClas, the mean over images and classes is
    taken of terms that are multiplied by the number of classes; with `sum_across_class_dim` their sum over classes.
    """

    def __init__(self, model_name_pairs, act="softmax", sum_across_class_dim=False, weight_ratio=False, **options):
        super().__init__(model_name_pairs, **options)
        self.act = act and checks.choice("DistillationDMLLoss.act", act, ("softmax", "sigmoid"))
        self.sums = checks.boolean("DistillationDMLLoss.sum_across_class_dim", sum_across_class_dim)
        if checks.boolean("DistillationDMLLoss.weight_ratio", weight_ratio):
            raise UserError("DistillationDMLLoss.weight_ratio: expected False, it is for images with several labels")

    def of_pair(self, student, teacher, target):
        if self.act:
            student, teacher = (getattr(F, self.act)(logits) for logits in (student, teacher))
        ratio = paddle.log((teacher + _EPSILON) / (student + _EPSILON))
        # both directions have one logarithm, with opposite signs
        terms = (teacher - student) * ratio * student.shape[-1] / 2
        return terms.sum(axis=1).mean() if self.sums else terms.mean()


@LOSSES.register
class DistillationKLDivLoss(_OfPairs):
    """Divergence of the student from the teacher at a temperature (Hinton et al., 2015, section 2), per image."""

    def __init__(self, model_name_pairs, temperature=4, key=None, name=None):
        super().__init__(model_name_pairs, key, name)
        self.temperature = _temperature(self, temperature)

    def of_pair(self, student, teacher, target):
        return _divergence(student, teacher, self.temperature)


def _divergence(student, teacher, temperature):
    """Kullback-Leibler divergence of softened logits, summed over classes, mean over images, times temperature ** 2."""
    logs = F.log_softmax(student / temperature, axis=1)
    return F.kl_div(logs, F.softmax(teacher / temperature, axis=1), reduction="sum") * (
        temperature**2 / student.shape[0]
    )


@LOSSES.register
class DistillationDistanceLoss(_OfPairs):
    """Distance of the outputs, mean over all their numbers: `mode` l1, l2 (squared) or smooth_l1; `act` as above."""

    def __init__(self, model_name_pairs, mode="l2", act=None, key=None, name=None):
        super().__init__(model_name_pairs, key, name)
        self.distance = _DISTANCES[checks.choice("DistillationDistanceLoss.mode", mode, tuple(_DISTANCES))]
        self.act = act and checks.choice("DistillationDistanceLoss.act", act, ("softmax", "sigmoid"))

    def of_pair(self, student, teacher, target):
        if self.act:
            student, teacher = (getattr(F, self.act)(logits) for logits in (student, teacher))
        return self.distance(student, teacher)


@LOSSES.register
class DistillationDKDLoss(_OfPairs):
    """Decoupled distillation (Zhao et al., 2022, https://arxiv.org/abs/2203.08679, equation 7).

    `alpha` weighs the divergence of (label, all others), `beta` that among the others. With `use_target_as_gt` the
    teacher's best class takes the label's place, so that no labels are needed.
    """

    def __init__(self, model_name_pairs, temperature=1.0, alpha=1.0, beta=1.0, use_target_as_gt=False, **options):
        super().__init__(model_name_pairs, **options)
        self.temperature = _temperature(self, temperature)
        self.alpha = checks.real("DistillationDKDLoss.alpha", alpha, low=0)
        self.beta = checks.real("DistillationDKDLoss.beta", beta, low=0)
        self.of_teacher = checks.boolean("DistillationDKDLoss.use_target_as_gt", use_target_as_gt)
        self.needs_labels = not self.of_teacher

    def of_pair(self, student, teacher, target):
        labels = teacher.argmax(axis=-1) if self.of_teacher else _one_label(self, target)
        chosen = F.one_hot(labels, student.shape[-1])
        binary = [_in_two(F.softmax(logits / self.temperature, axis=1), chosen) for logits in (student, teacher)]
        scale = self.temperature**2 / student.shape[0]
        targets = F.kl_div(paddle.log(binary[0]), binary[1], reduction="sum") * scale
        away = 1000.0 * self.temperature * chosen  # a logit so low that the label's class has no part in the softmax
        others = _divergence(student - away, teacher - away, self.temperature)
        return self.alpha * targets + self.beta * others


def _in_two(shares, chosen):
    """[N, C] to [N, 2]: the share of the chosen class, and that of all others."""
    label = (shares * chosen).sum(axis=1, keepdim=True)
    rest = (shares * (1 - chosen)).sum(axis=1, keepdim=True)
    return paddle.concat([label, rest], axis=1)


@LOSSES.register
class DistillationWSLLoss(_OfPairs):
    """Weighted soft labels (Zhou et al., 2021, https://arxiv.org/abs/2102.00650, equation 10), their second term.

    The soft cross entropy of an image counts the more, the worse the student's prediction of its label is beside the
    teacher's. The first term is DistillationGTCELoss.
    """

    needs_labels = True

    def __init__(self, model_name_pairs, temperature=2.0, key=None, name=None):
        super().__init__(model_name_pairs, key, name)
        self.temperature = _temperature(self, temperature)

    def of_pair(self, student, teacher, target):
        labels = _one_label(self, target)
        own, given = (F.cross_entropy(x.detach(), labels, reduction="none").flatten() for x in (student, teacher))
        weight = 1 - paddle.exp(-own / (given + 1e-7))
        return self.temperature**2 * (weight * _soft_entropy(student, teacher, self.temperature)).mean()


@LOSSES.register
class DistillationSKDLoss(_OfPairs):
    """Spherical distillation (Guo et al., 2020, https://arxiv.org/abs/2010.07485).

    Both logits are brought to mean 0 and standard deviation `multiplier` first; `alpha` is the share of the soft cross
    entropy, the rest that of the labels (of the teacher's best class with `use_target_as_gt`).
    """

    def __init__(self, model_name_pairs, temperature=1.0, multiplier=2.0, alpha=0.9, use_target_as_gt=False, **options):
        super().__init__(model_name_pairs, **options)
        self.temperature = _temperature(self, temperature)
        self.multiplier = checks.positive("DistillationSKDLoss.multiplier", multiplier)
        self.alpha = checks.real("DistillationSKDLoss.alpha", alpha, 0, 1)
        self.of_teacher = checks.boolean("DistillationSKDLoss.use_target_as_gt", use_target_as_gt)
        self.needs_labels = not self.of_teacher

    def of_pair(self, student, teacher, target):
        labels = teacher.argmax(axis=-1) if self.of_teacher else _one_label(self, target)
        student, teacher = (
            F.layer_norm(logits, logits.shape[1:], epsilon=1e-7) * self.multiplier for logits in (student, teacher)
        )
        soft = _soft_entropy(student, teacher, self.temperature).mean() * self.temperature**2
        return self.alpha * soft + (1 - self.alpha) * F.cross_entropy(student, labels)


@LOSSES.register
class DistillationDISTLoss(_OfPairs):
    """DIST (Huang et al., 2022, https://arxiv.org/abs/2205.10536, equations 6 to 9): one minus Pearson's correlation.

    `beta` weighs that of an image's probabilities, `gamma` that of a class's probabilities over the batch.
    """

    def __init__(self, model_name_pairs, beta=1.0, gamma=1.0, **options):
        super().__init__(model_name_pairs, **options)
        self.beta = checks.real("DistillationDISTLoss.beta", beta, low=0)
        self.gamma = checks.real("DistillationDISTLoss.gamma", gamma, low=0)

    def of_pair(self, student, teacher, target):
        student, teacher = F.softmax(student, axis=-1), F.softmax(teacher, axis=-1)
        between = 1 - _correlation(student, teacher).mean()
        within = 1 - _correlation(student.t(), teacher.t()).mean()
        return self.beta * between + self.gamma * within


def _correlation(first, second):
    """Pearson's correlation of the rows of two matrices: [N]."""
    first, second = (rows - rows.mean(axis=1, keepdim=True) for rows in (first, second))
    norms = first.norm(axis=1) * second.norm(axis=1)
    return (first * second).sum(axis=1) / (norms + 1e-8)


def _soft_entropy(student, teacher, temperature):
    """Cross entropy of each image with the teacher's softened probabilities as labels: [N]."""
    soft = F.softmax(teacher / temperature, axis=1)
    return -(soft * F.log_softmax(student / temperature, axis=1)).sum(axis=1)


def _one_label(loss, target):
    """The labels [N]; UserError where Mixup or CutMix has mixed them, or there are boxes."""
    if not paddle.is_tensor(target) or target.ndim != 1:
        raise UserError(f"{type(loss).__name__}: needs one label per image, found mixed ones or none")
    return target
