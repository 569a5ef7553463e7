"""When do two predictions agree? The one place where that is decided."""

from dataclasses import asdict, dataclass
from typing import Optional

import numpy as np

from ppcls_lite.infer.engines.spread import Spread

TOLERANCE = 1e-4
CONSTANT = 1e-5  # as a share of a score: rounding alone makes differences of 1e-6
TOP = 5


@dataclass
class Agreement:
    """How far an engine's probabilities are from the reference's, over a whole list of images."""

    engine: str
    tolerance: float  # 0.0 requires equality bit by bit
    images: int = 0
    largest: float = 0.0
    bitwise_mismatches: int = 0  # images with any bit differing
    topk_mismatches: int = 0  # images whose top-5 ids differ by more than a tie explains
    top1_mismatches: int = 0  # images whose best class differs by more than a tie explains
    top1_correct: Optional[int] = None  # images whose label is the best class; None: labels are not known
    topk_correct: Optional[int] = None  # images whose label is among the best 5
    different: int = 0  # images with different inputs of the network
    spread: Optional[float] = None  # the largest difference of any score between them; None: fewer than two
    share: Optional[float] = None  # the same as a share of the score

    def __post_init__(self):
        self._spread = Spread()

    def add(self, reference, scores, labels=None, keys=()):
        """Count one batch; both arrays are [N, C] probabilities, `labels` are the true classes, if known.

        `keys` are those of the images' inputs (`key_of`); without them it is not seen that answers are constant.
        """
        self.images += len(reference)
        if labels is not None:
            order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP] == np.asarray(labels)[:, None]
            self.top1_correct = (self.top1_correct or 0) + int(order[:, 0].sum())
            self.topk_correct = (self.topk_correct or 0) + int(order.any(axis=1).sum())
        if reference.shape != scores.shape or reference.dtype != scores.dtype:
            self.largest = np.inf
            self.bitwise_mismatches = self.topk_mismatches = self.top1_mismatches = self.images
            return
        for key, row in zip(keys, scores):
            self._spread.add(key, row)
        self.different = self._spread.different
        self.spread, self.share = self._spread.largest, self._spread.share
        difference = np.abs(reference.astype(np.float64) - scores).max(axis=1)
        difference[np.isnan(difference)] = np.inf
        self.largest = max(self.largest, float(difference.max()))
        self.bitwise_mismatches += int((reference.view(np.uint32) != scores.view(np.uint32)).any(axis=1).sum())
        for first, second in zip(reference, scores):
            self.topk_mismatches += not same_top(first, second, self.tolerance)
            self.top1_mismatches += not same_top(first, second, self.tolerance, 1)

    @property
    def agrees(self):
        """Whether the engine passes: at least one image, close enough, the same best classes, and not all the same."""
        bits = self.tolerance > 0 or self.bitwise_mismatches == 0
        close = self.images > 0 and bits and self.largest <= self.limit and self.topk_mismatches == 0
        return close and not is_constant(self.share)

    @property
    def limit(self):
        """The difference that is allowed; see `least_tolerance`."""
        return least_tolerance(self.tolerance, self.spread)

    def as_dict(self):
        return {**asdict(self), "agrees": self.agrees}

    def __str__(self):
        return f"{self._figures}: {verdict(self)}"

    @property
    def _figures(self):
        return (
            f"{self.engine}: largest difference {self.largest:.3g} ({allowed(self.limit)}), "
            f"{self.images - self.bitwise_mismatches} of {self.images} images bitwise equal, "
            f"{self.images - self.topk_mismatches} of {self.images} with the same top-{TOP}"
        )

    @property
    def details(self):
        """`str(self)` with the best class and the accuracy added."""
        parts = [self._figures, f"{self.images - self.top1_mismatches} of {self.images} with the same top-1"]
        if self.top1_correct is not None and self.images:
            top1, topk = self.top1_correct / self.images, self.topk_correct / self.images
            parts.append(f"accuracy top1 {top1:.5f}, top{TOP} {topk:.5f}")
        return f"{', '.join(parts)}: {verdict(self)}"


def verdict(agreement, numbers="scores"):
    """The last words of an agreement's line, of probabilities, of boxes or of embeddings; `numbers` says of which."""
    if is_constant(agreement.share):
        return (
            f"DISAGREES: the {numbers} of {agreement.different} different images differ by at most "
            f"{agreement.spread:.1g}: the answers do not depend on the image"
        )
    return "agrees" if agreement.agrees else "DISAGREES"


def is_constant(share):
    """Whether a `Spread.share` is so small that the answers do not depend on the image; None is not known to be."""
    return share is not None and share <= CONSTANT


def least_tolerance(tolerance, spread):
    """`tolerance`, or half of what different images' scores differ by: within more, a wrong answer would agree too."""
    return min(tolerance, spread / 2) if spread else tolerance


def allowed(tolerance):
    """`tolerance` in words, as the printed lines have it."""
    return f"at most {tolerance:.3g} allowed" if tolerance else "bitwise equality required"


def same_top(reference, scores, tolerance, top=TOP):
    """Whether the `top` best classes of two rows are the same, in the same order.

    Two ids may change places only where the reference scores them within `tolerance` of each other.
    """
    first = np.argsort(-reference, kind="stable")[:top]
    second = np.argsort(-scores, kind="stable")[:top]
    return bool((np.abs(reference[first] - reference[second]) <= tolerance)[first != second].all())
