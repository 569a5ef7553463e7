"""Compare the answers of a recogniser's service with the predictions of Paddle Inference."""

import math

import numpy as np

from ppcls_lite.infer.compare.embeddings import EmbeddingAgreement
from ppcls_lite.infer.compare.exact import embedding_row, numbers
from ppcls_lite.infer.engines.spread import Spread
from ppcls_lite.serving.compare import RankedAnswers


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
    def entry(result, expected):
        """The entry of a result in a file of full precision."""
        return embedding_row(_row(result)[0])


def _row(result):
    """[1, D] float32 of an answered embedding; [1, 0] of anything else."""
    features = result.get("features") if isinstance(result, dict) else None
    is_embedding = isinstance(features, list) and all(map(_is_number, features))
    return np.array([features if is_embedding else []], np.float32)


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value)  # JSON may have NaN


class GalleryAnswers(RankedAnswers):
    """Whether the names and scores that one client was answered are those of `predict_rec.py`, over all its images."""

    ranked = "names"
    answered = "embeddings"

    def __init__(self, client, limit=0.0):
        super().__init__(client, limit)
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

    @staticmethod
    def entry(result, expected):
        """The entry of a result in a file of full precision; the second entry of a name is `name (2)`, and so on."""
        names, scores = (result["rec_docs"], result["rec_scores"]) if _has_form(result) else ([], [])
        numbered = [f"{name} ({names[: at + 1].count(name)})" for at, name in enumerate(names)]
        rows = [[name.removesuffix(" (1)"), *numbers(score)] for name, score in zip(numbered, scores)]
        return {"kind": "classes", "rows": rows}


def _has_form(found):
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in ("rec_docs", "rec_scores")):
        return False
    same = len(found["rec_docs"]) == len(found["rec_scores"])
    return same and all(map(_is_number, found["rec_scores"]))
