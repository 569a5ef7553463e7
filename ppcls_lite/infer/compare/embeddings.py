"""Does an exported recogniser give the trained network's embeddings, with every engine?"""

from dataclasses import asdict, dataclass
from typing import Optional

import numpy as np

from ppcls_lite.infer.compare.engines import USUAL, compare_all
from ppcls_lite.infer.compare.exact import embedding_row
from ppcls_lite.infer.compare.neighbours import NEAREST, Neighbours
from ppcls_lite.infer.compare.scores import ScoreComparison
from ppcls_lite.infer.engines.agreement import allowed, is_constant, least_tolerance, verdict
from ppcls_lite.infer.engines.spread import Spread
from ppcls_lite.infer.engines.training import RecognizerTrainingEngine

ANGLE = 1e-8  # of 1 - cosine where bits may differ; engines differ by up to 2e-12, wrong embeddings by 1e-3 and more


@dataclass
class EmbeddingAgreement:
    """How far an engine's embeddings are from the training engine's, over a whole list of images.

    A difference of numbers is a share of the embedding's length where that is more than 1. The nearest neighbours of an
    image are those among the other images of the list.
    """

    engine: str
    tolerance: float  # 0.0 requires equality bit by bit
    images: int = 0
    largest: float = 0.0  # difference of two numbers
    angle: float = 0.0  # the largest 1 - cosine of the two embeddings of an image
    bitwise_mismatches: int = 0  # images with any bit differing
    different: int = 0  # images with different inputs of the network
    spread: Optional[float] = None  # the largest difference of any number of their unit vectors; None: fewer than 2
    share: Optional[float] = None  # the same: a unit vector's length is 1

    def __post_init__(self):
        self._spread, self._neighbours = Spread(), Neighbours()

    def add(self, reference, found, keys=()):
        """Count one batch; both arrays are [N, D] embeddings.

        `keys` are those of the images' inputs (`key_of`); without them it is not seen that embeddings are constant.
        """
        self.images += len(reference)
        if reference.shape != found.shape or reference.dtype != found.dtype:
            self.largest = self.angle = np.inf
            self.bitwise_mismatches = self.images
            self._neighbours.lose()
            return
        ours, theirs = unit(reference), unit(found)
        for key, row in zip(keys, theirs):
            self._spread.add(key, row)
        self.different = self._spread.different
        self.spread = self.share = self._spread.largest
        lengths = np.maximum(np.linalg.norm(reference.astype(np.float64), axis=1), 1)
        apart = np.abs(reference.astype(np.float64) - found).max(axis=1) / lengths
        angles = 1 - (ours * theirs).sum(axis=1)
        self.largest, self.angle = _most(self.largest, apart), _most(self.angle, angles)
        self.bitwise_mismatches += int((reference.view(np.uint32) != found.view(np.uint32)).any(axis=1).sum())
        self._neighbours.add(ours, theirs)

    @property
    def top1_mismatches(self):
        """Images with another nearest neighbour than a tie of the reference's cosines explains."""
        return self._neighbours.mismatches(self.tolerance, 1)

    @property
    def topk_mismatches(self):
        """The same of the 5 nearest, in their order."""
        return self._neighbours.mismatches(self.tolerance, NEAREST)

    @property
    def agrees(self):
        """Whether the engine passes: at least one image, close enough, the same neighbours, and not all the same."""
        bits = self.bitwise_mismatches == 0
        close = self.largest <= self.limit and self.angle <= ANGLE if self.tolerance else bits
        return self.images > 0 and close and self.topk_mismatches == 0 and not is_constant(self.share)

    @property
    def limit(self):
        """The difference of two numbers that is allowed; see `least_tolerance`."""
        return least_tolerance(self.tolerance, self.spread)

    def as_dict(self):
        mismatches = {"topk_mismatches": self.topk_mismatches, "top1_mismatches": self.top1_mismatches}
        return {**asdict(self), **mismatches, "agrees": self.agrees}

    def __str__(self):
        angle = f", 1 - cosine {self.angle:.3g} ({allowed(ANGLE)})" if self.tolerance else ""
        return (
            f"{self.engine}: largest difference {self.largest:.3g} ({allowed(self.limit)}){angle}, "
            f"{self.images - self.bitwise_mismatches} of {self.images} images bitwise equal, "
            f"{self.images - self.topk_mismatches} of {self.images} with the same {NEAREST} nearest neighbours: "
            f"{verdict(self, 'embeddings')}"
        )

    @property
    def details(self):
        """`str(self)`: there is nothing more to say."""
        return str(self)


def unit(rows):
    """Rows [N, D] in double precision, each divided by its length; nan where that is 0."""
    rows = rows.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _most(known, numbers):
    """The largest of them; what is not a number is infinite."""
    return max(known, float(np.nan_to_num(numbers, nan=np.inf).max()))


def compare_recognizers(
    config, model_dir, inference_config, images, batch_size=8, engines=(USUAL,), labels=None, watch=None, exact=None
):
    """Yield an `EmbeddingAgreement` for `strict`, then for each of `engines`; see `compare_all`.

    `images` are paths. `labels` is not used: eval.py counts what is right. `watch` gets embeddings [N, D], `exact` (an
    `ExactPredictions`) those of each engine.
    """
    comparison = EmbeddingComparison(images)
    return compare_all(comparison, config, model_dir, inference_config, batch_size, engines, watch, exact)


class EmbeddingComparison(ScoreComparison):
    """How recognisers are compared: by the embeddings of the images."""

    training_engine = RecognizerTrainingEngine
    agreement = EmbeddingAgreement

    def entries(self, outputs):
        return map(embedding_row, outputs[0])

    def add(self, agreement, expected, found, batch):
        (reference, _), (embeddings, keys) = expected, found
        agreement.add(reference, embeddings, keys)
