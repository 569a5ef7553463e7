"""Transforms of a whole batch (`batch_transform_ops`): Mixup, CutMix, and a draw between them.

An operation is called `op(batch, rng)` with a `Batch` of images [N, 3, H, W] float32 and labels [N] int64, and returns
a `Batch` whose target is `Mixed`; one that it leaves as it is (OpSampler) keeps its labels.
"""

import math

import numpy as np

from ppcls_lite.data.batch import Batch, Mixed
from ppcls_lite.data.transforms.compose import build_op
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

BATCH_OPS = Registry("batch transform")


def build_batch_op(ops, where="batch_transform_ops", class_num=None):
    """The one operation of a config's `batch_transform_ops`, or None for an empty list.

    Raises UserError for a wrong option, and for two operations: labels can be mixed once.
    """
    if not ops:
        return None
    if not isinstance(ops, (list, tuple)) or len(ops) > 1:
        raise UserError(f"{where}: expected a list of one operation, found {ops!r:.120}; OpSampler chooses among many")
    return build_op(BATCH_OPS, _with_class_num(ops[0], class_num), f"{where}[0]")


def _with_class_num(entry, class_num):
    """`entry` with the network's class number filled in where the config leaves it out."""
    if class_num is None or not isinstance(entry, dict) or len(entry) != 1:
        return entry
    ((name, given),) = entry.items()
    if given is not None and not isinstance(given, dict):
        return entry
    return {name: {"class_num": class_num, **(given or {})}}


class _Mix:
    """What Mixup and CutMix share: their options and the partner of every image."""

    def __init__(self, alpha, class_num):
        self.alpha = checks.positive("alpha", alpha)
        self.class_num = None if class_num is None else checks.whole("class_num", class_num)

    def __call__(self, batch, rng):
        images, labels = batch
        if self.class_num is not None and labels.max() >= self.class_num:
            raise UserError(f"{type(self).__name__}: label {labels.max()} is not below class_num {self.class_num}")
        partner = rng.permutation(len(images))
        images, share = self.mix(images, partner, float(rng.beta(self.alpha, self.alpha)), rng)
        return Batch(images, Mixed(labels, labels[partner], np.array([share], np.float32)))


@BATCH_OPS.register
class MixupOperator(_Mix):
    """lam * image + (1 - lam) * partner, lam from Beta(alpha, alpha) (https://arxiv.org/abs/1710.09412)."""

    def __init__(self, alpha=1.0, class_num=None):
        super().__init__(alpha, class_num)

    def mix(self, images, partner, lam, rng):
        """(mixed images, their own share)."""
        mixed = lam * images
        mixed += (1 - lam) * images[partner]
        return mixed, lam


@BATCH_OPS.register
class CutmixOperator(_Mix):
    """A rectangle of the partner's pixels replaces the image's own (https://arxiv.org/abs/1905.04899).

    Its sides are sqrt(1 - lam) of the image's, lam from Beta(alpha, alpha); at a border it is cut off, and
    `share` is the part of the image that stayed.
    """

    def __init__(self, alpha=0.2, class_num=None):
        super().__init__(alpha, class_num)

    def mix(self, images, partner, lam, rng):
        """(mixed images, their own share)."""
        height, width = images.shape[2:]
        top, bottom = _cut(height, lam, rng)
        left, right = _cut(width, lam, rng)
        mixed = images.copy()
        mixed[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _cut(length, lam, rng):
    """(start, end) of the cut along one side, clipped to the image."""
    half = int(length * math.sqrt(1.0 - lam)) // 2
    centre = int(rng.integers(length))
    return max(centre - half, 0), min(centre + half, length)


@BATCH_OPS.register
class OpSampler:
    """Draw one operation per batch: `OpSampler: {MixupOperator: {alpha: 0.8, prob: 0.5}, CutmixOperator: ...}`.

    The probabilities add up to 1 at most; with the rest of the probability the batch stays as it is.
    """

    def __init__(self, class_num=None, **operations):
        self.ops, self.probabilities = [], []
        if not operations:
            raise UserError("MixupOperator: at least one operation with its prob is required")
        for name, given in operations.items():
            if not isinstance(given, dict) or "prob" not in given:
                raise UserError(f"{name}: expected a mapping with prob, found {given!r:.80}")
            rest = {option: value for option, value in given.items() if option != "prob"}
            self.probabilities.append(checks.real(f"{name}.prob", given["prob"], 0, 1))
            try:
                self.ops.append(build_op(BATCH_OPS, _with_class_num({name: rest}, class_num), "sampled"))
            except UserError as error:
                raise UserError(str(error).replace("sampled ", "", 1)) from error
        if sum(self.probabilities) > 1 + 1e-9:
            raise UserError(f"prob: expected a sum of 1 at most, found {sum(self.probabilities):g}")

    def __call__(self, batch, rng):
        draw = rng.random()
        for op, probability in zip(self.ops, self.probabilities):
            if draw < probability:
                return op(batch, rng)
            draw -= probability
        return batch
