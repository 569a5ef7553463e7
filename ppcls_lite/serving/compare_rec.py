"""Compare the answers of a recogniser's service with the predictions of Paddle Inference."""

import math
from dataclasses import asdict, dataclass

import numpy as np

from ppcls_lite.infer.compare.embeddings import EmbeddingAgreement
from ppcls_lite.infer.compare.exact import embedding_row, numbers
from ppcls_lite.infer.engines.agreement import allowed, is_constant, verdict
from ppcls_lite.infer.engines.spread import Spread


class EmbeddingAnswers(EmbeddingAgreement):
    """Whether the embeddings that one client was answered are those of `predict_rec.py`, over all its images.

    Identical is: every number is the very float32 number. Nothing less agrees, unless there is a `limit`: then no
    number may differ by more, the cosine of both is 1 but for rounding, and the nearest other images are the same.
    """

    def __init__(self, client, limit=0.0):
        super().__init__(client, limit)

    @property
    def client(self):
        return self.engine

    def add(self, expected, found, key=None):
        """Count one image: what `Embedding` makes of it, and what was answered, which may be any JSON value."""
        super().add(_row(expected), _row(found), () if key is None else (key,))

    def as_dict(self):
        content = super().as_dict()
        identical = self.images - self.bitwise_mismatches
        return {"client": content.pop("engine"), "limit": content.pop("tolerance"), "identical": identical, **content}

    @staticmethod
    def entry(result):
        """The entry of a result in a file of full precision."""
        return embedding_row(_row(result)[0])


def _row(result):
    """[1, D] float32 of an answered embedding; [1, 0] of anything else."""
    features = result.get("features") if isinstance(result, dict) else None
    is_embedding = isinstance(features, list) and all(map(_is_number, features))
    return np.array([features if is_embedding else []], np.float32)


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value)  # JSON may have NaN


@dataclass
class GalleryAnswers:
    """Whether the names and scores that one client was answered are those of `predict_rec.py`, over all its images.

    Identical is: the same names in the same order, and every score the very number. With a `limit` a score may differ
    by so much, and nothing else.
    """

    client: str
    limit: float = 0.0
    images: int = 0
    identical: int = 0
    largest: float = 0.0  # difference of a score
    topk_mismatches: int = 0  # images with other names, or another order of them

    def __post_init__(self):
        self._spread = Spread()

    def add(self, expected, found, key=None):
        """Count one image: its nearest entries and its `features`, and what was answered, which may be any JSON value.

        `key` is that of the image's input (`key_of`); without it, it is not seen that answers are constant.
        """
        self.images += 1
        if key is not None:  # where the embedding is the same for all images, so are its neighbours
            self._spread.add(key, _row(expected)[0])
        names, scores = expected["rec_docs"], expected["rec_scores"]
        if not _has_form(found) or len(found["rec_scores"]) != len(scores):
            self.topk_mismatches += 1
            self.largest = float("inf")
            return
        same = found["rec_docs"] == names
        self.topk_mismatches += not same
        self.identical += same and found["rec_scores"] == scores
        self.largest = max([self.largest, *(abs(a - b) for a, b in zip(scores, found["rec_scores"]))])

    @property
    def different(self):
        """The number of images with different inputs of the network."""
        return self._spread.different

    @property
    def spread(self):
        """The largest difference of a number between the embeddings of different images; None for fewer than two."""
        return self._spread.largest

    share = spread  # an embedding's length is 1

    @property
    def agrees(self):
        """Whether the client's answers pass: some images, all identical, and not the same embedding of all."""
        same = not self.topk_mismatches and self.largest <= self.limit if self.limit else self.images == self.identical
        return self.images > 0 and same and not is_constant(self.share)

    @staticmethod
    def entry(result):
        """The entry of a result in a file of full precision; the second entry of a name is `name (2)`, and so on."""
        names, scores = (result["rec_docs"], result["rec_scores"]) if _has_form(result) else ([], [])
        numbered = [f"{name} ({names[: at + 1].count(name)})" for at, name in enumerate(names)]
        rows = [[name.removesuffix(" (1)"), *numbers(score)] for name, score in zip(numbered, scores)]
        return {"kind": "classes", "rows": rows}

    def as_dict(self):
        return {**asdict(self), "different": self.different, "spread": self.spread, "agrees": self.agrees}

    def __str__(self):
        return (
            f"{self.client}: largest difference {self.largest:.3g} ({allowed(self.limit)}), "
            f"{self.identical} of {self.images} images identical, "
            f"{self.images - self.topk_mismatches} of {self.images} with the same names: "
            f"{verdict(self, 'embeddings')}"
        )


def _has_form(found):
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in ("rec_docs", "rec_scores")):
        return False
    same = len(found["rec_docs"]) == len(found["rec_scores"])
    return same and all(map(_is_number, found["rec_scores"]))
