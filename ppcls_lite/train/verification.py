"""Verification of pairs of images: ten-fold accuracy, and the true accept rate at chosen false accept rates.

A pair is accepted, "the same identity", when the squared distance of its two L2-normalised embeddings is below a
threshold; with the cosine c the distance is 2 - 2 c. The protocol is that of LFW (Huang et al., 2007, section 4, "image
restricted") in InsightFace's convention: thresholds 0, 0.01, … 3.99; ten folds of consecutive pairs; the threshold of
the best accuracy on nine folds, the lowest of several, is applied to the tenth.
"""

from typing import NamedTuple

import numpy as np

from ppcls_lite.utils.errors import UserError

FOLDS = 10
THRESHOLDS = np.arange(0, 4, 0.01)
RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class TrueAccepts(NamedTuple):
    """How many pairs of one identity are accepted when at most the share `far` of the others is.

    `tar` (and the largest `threshold` of that kind, and the `measured` share of the others) are None where `far` is
    below one of the negative pairs at hand: that cannot be measured.
    """

    far: float
    tar: float
    threshold: float
    measured: float


class Verification(NamedTuple):
    """The figures of a set of pairs."""

    accuracy: float  # mean over the folds
    std: float  # over the folds (of the population)
    folds: list  # accuracy of each
    threshold: float  # the squared distance with the best accuracy over all pairs
    true_accepts: list  # of TrueAccepts, one for each of the rates
    far: np.ndarray  # the ROC's points, rising, from (0, TAR without a false accept) to (1, 1)
    tar: np.ndarray
    positives: int  # pairs of one identity
    negatives: int


def verify(embeddings, first, second, same, rates=RATES):
    """The `Verification` of N pairs.

    Args:
        embeddings: [M, D], of any length; zero is an error.
        first, second: [N] whole numbers, the rows of each pair's images.
        same: [N] booleans, true for pairs of one identity.
        rates: the false accept rates to find the true accept rates at.
    Raises UserError for fewer than ten pairs, for pairs of one kind only, and for embeddings that are not finite.
    """
    same = np.asarray(same, bool)
    positives, negatives = check_pairs(same)
    distances = pair_distances(embeddings, first, second)
    folds = fold_accuracies(distances, same)
    best = int(np.argmax(_correct(distances, same)))
    far, tar = roc_points(distances, same)
    return Verification(
        float(np.mean(folds)),
        float(np.std(folds)),
        folds,
        float(THRESHOLDS[best]),
        [true_accepts(distances, same, rate) for rate in rates],
        far,
        tar,
        positives,
        negatives,
    )


def check_pairs(same):
    """(positive, negative) pairs among the booleans `same`; UserError unless they can be verified: before the work."""
    same = np.asarray(same, bool)
    positives, negatives = int(same.sum()), int((~same).sum())
    if len(same) < FOLDS:
        raise UserError(f"verification: expected at least {FOLDS} pairs, one for each fold, found {len(same)}")
    if not positives or not negatives:
        kind = "one identity" if positives else "two identities"
        raise UserError(f"verification: expected pairs of both kinds, found {len(same)} pairs of {kind} only")
    return positives, negatives


def pair_distances(embeddings, first, second):
    """[N] squared distances, float64, of the L2-normalised rows `first` and `second` of `embeddings` [M, D]."""
    embeddings = np.asarray(embeddings, np.float64)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        wrong = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
        raise UserError(
            f"verification: embedding {wrong[0]} is zero or not finite ({len(wrong)} of {len(lengths)} are)"
        )
    embeddings = embeddings / lengths
    return np.square(embeddings[np.asarray(first)] - embeddings[np.asarray(second)]).sum(axis=1)


def fold_accuracies(distances, same, folds=FOLDS):
    """The accuracy on each of `folds` runs of consecutive pairs, at the threshold that is best on the others."""
    parts = np.array_split(np.arange(len(same)), folds)  # the first ones have one more, where it does not divide
    counts = np.array([_correct(distances[part], same[part]) for part in parts])  # [folds, thresholds]
    best = np.argmax(counts.sum(axis=0) - counts, axis=1)
    return [float(counts[fold, best[fold]] / len(part)) for fold, part in enumerate(parts)]


def _correct(distances, same):
    """For each of THRESHOLDS: the pairs that are judged right."""
    accepted, rejected = np.sort(distances[same]), np.sort(distances[~same])
    return np.searchsorted(accepted, THRESHOLDS) + len(rejected) - np.searchsorted(rejected, THRESHOLDS)


def true_accepts(distances, same, far):
    """The `TrueAccepts` at the false accept rate `far`."""
    positive, negative = np.sort(distances[same]), np.sort(distances[~same])
    allowed = int(far * len(negative) + 1e-9)  # 0.001 of 3,000 is 3, whatever the floats say
    if allowed < 1:
        return TrueAccepts(far, None, None, None)
    # below the first distance that would be one false accept too many
    threshold = float(negative[allowed]) if allowed < len(negative) else float("inf")
    accepted, false = np.searchsorted(positive, threshold), np.searchsorted(negative, threshold)
    return TrueAccepts(far, float(accepted / len(positive)), threshold, float(false / len(negative)))


def roc_points(distances, same):
    """(FAR, TAR), both rising: for each number of false accepts the most true accepts that come with it."""
    positive, negative = np.sort(distances[same]), np.sort(distances[~same])
    thresholds = np.append(np.unique(negative), np.inf)
    return np.searchsorted(negative, thresholds) / len(negative), np.searchsorted(positive, thresholds) / len(positive)


def describe(result, images):
    """Lines for a person: the counts, the accuracy, and the true accept rates of a `Verification` of `images`."""
    cosine = 1 - result.threshold / 2
    lines = [
        f"pairs: {result.positives} of one identity, {result.negatives} of two; images: {images}",
        f"accuracy: {result.accuracy:.5f} +- {result.std:.5f} (ten folds); best threshold over all pairs: "
        f"squared distance {result.threshold:.2f} (cosine {cosine:.3f})",
    ]
    for point in result.true_accepts:
        if point.tar is None:
            lines.append(f"TAR@FAR={point.far:g}: not measured, {result.negatives} negative pairs are too few")
        else:
            lines.append(f"TAR@FAR={point.far:g}: {point.tar:.5f} (squared distance below {point.threshold:.4f})")
    return lines


def as_record(result):
    """A `Verification` for JSON, without the points of its curve."""
    return {
        "accuracy": result.accuracy,
        "std": result.std,
        "folds": result.folds,
        "threshold": result.threshold,
        "positives": result.positives,
        "negatives": result.negatives,
        "true_accepts": [point._asdict() for point in result.true_accepts],
    }
