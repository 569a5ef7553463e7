"""Verification of pairs against loops over single pairs, planted faults, and its picture."""

import io
import json

import cv2
import numpy as np
import pytest

from ppcls_lite.train.verification import THRESHOLDS, as_record, describe, pair_distances, verify
from ppcls_lite.train.verification_plot import draw_true_accepts
from ppcls_lite.utils.errors import UserError


def made(seed, count, noise=0.8, size=16):
    """(embeddings, first, second, same): pairs of one identity are near to each other."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(count, size))
    same = rng.random(count) < 0.5
    other = np.where(same[:, None], base, rng.normal(size=base.shape)) + noise * rng.normal(size=base.shape)
    return (
        np.concatenate([base, other]) * rng.uniform(0.1, 9, (2 * count, 1)),
        np.arange(count),
        np.arange(count) + count,
        same,
    )


# ------------------------------------------------------------------------------------------------- the plain reference


def distance_of(one, other):
    one, other = one / np.sqrt((one * one).sum()), other / np.sqrt((other * other).sum())
    total = 0.0
    for a, b in zip(one, other):
        total += (a - b) ** 2
    return total


def accuracy_of(distances, same, threshold):
    right = 0
    for distance, is_same in zip(distances, same):
        right += (distance < threshold) == is_same
    return right / len(same)


def folds_of(count):
    """Consecutive parts, of which the first ones have one more where ten does not divide."""
    parts, start = [], 0
    for fold in range(10):
        size = count // 10 + (fold < count % 10)
        parts.append(list(range(start, start + size)))
        start += size
    return parts


def reference(distances, same):
    """Accuracy of each fold, and the threshold with the best accuracy over all."""
    folds = []
    thresholds = [number * 0.01 for number in range(400)]
    for part in folds_of(len(same)):
        rest = [number for number in range(len(same)) if number not in set(part)]
        best, best_accuracy = 0.0, -1.0
        for threshold in thresholds:
            accuracy = accuracy_of(distances[rest], same[rest], threshold)
            if accuracy > best_accuracy:
                best, best_accuracy = threshold, accuracy
        folds.append(accuracy_of(distances[part], same[part], best))
    return folds, max(thresholds, key=lambda threshold: (accuracy_of(distances, same, threshold), -threshold))


def true_accepts_of(distances, same, far):
    """The most true accepts of any threshold with at most the share `far` of false ones."""
    negatives = sum(not item for item in same)
    best = 0
    for threshold in [*sorted(set(distances)), float("inf")]:
        false = sum(d < threshold and not s for d, s in zip(distances, same))
        if false <= far * negatives + 1e-9:
            best = max(best, sum(d < threshold and s for d, s in zip(distances, same)))
    return best / (len(same) - negatives)


@pytest.mark.parametrize(("seed", "count"), [(0, 10), (1, 37), (2, 100), (3, 143)])
def test_figures_are_those_of_the_reference(seed, count):
    embeddings, first, second, same = made(seed, count)
    result = verify(embeddings, first, second, same, rates=(0.5, 0.1, 0.02))
    distances = np.array([distance_of(embeddings[a], embeddings[b]) for a, b in zip(first, second)])
    np.testing.assert_allclose(pair_distances(embeddings, first, second), distances, rtol=1e-12)
    folds, threshold = reference(distances, same)
    assert result.folds == pytest.approx(folds)
    assert result.threshold == pytest.approx(threshold)
    assert result.accuracy == pytest.approx(sum(folds) / 10)
    mean = sum(folds) / 10
    assert result.std == pytest.approx((sum((fold - mean) ** 2 for fold in folds) / 10) ** 0.5)
    negatives = int((~same).sum())
    for point in result.true_accepts:
        if point.far * negatives < 1:
            assert point.tar is point.threshold is point.measured is None
        else:
            assert point.tar == pytest.approx(true_accepts_of(distances, same, point.far))
            assert point.measured <= point.far + 1e-12
    for far, tar in zip(result.far, result.tar):
        assert tar == pytest.approx(true_accepts_of(distances, same, far))
    assert (np.diff(result.far) > 0).all()
    assert (np.diff(result.tar) >= 0).all()
    assert result.far[0] == 0
    assert result.far[-1] == result.tar[-1] == 1


def test_equal_distances_are_accepted_together():
    """No threshold lies between equal distances, so a rate that would need one is not reached."""
    angles = np.array([0.2] * 10 + [0.5] * 10 + [0.5] * 4 + [0.9] * 16)
    other = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    embeddings = np.concatenate([[[1.0, 0.0]], other])
    same = np.array([True] * 20 + [False] * 20)
    result = verify(embeddings, np.zeros(40, int), np.arange(1, 41), same, rates=(0.1, 0.2))
    assert [(point.tar, point.measured) for point in result.true_accepts] == [(0.5, 0.0), (1.0, 0.2)]


# ------------------------------------------------------------------------------------------------------ planted faults


def test_shuffled_labels_are_chance_and_inverted_ones_below():
    embeddings, first, second, same = made(4, 2000, noise=0.3)
    assert verify(embeddings, first, second, same).accuracy > 0.99
    shuffled = np.random.default_rng(0).permutation(same)
    assert abs(verify(embeddings, first, second, shuffled).accuracy - 0.5) < 0.05
    assert abs(verify(embeddings, first, np.roll(second, 7), same).accuracy - 0.5) < 0.05
    inverted = verify(embeddings, first, second, ~same)
    assert inverted.accuracy < 0.55
    assert inverted.true_accepts[0].tar < 0.05


def test_the_tenth_is_judged_by_the_threshold_of_the_others():
    """Pairs that are consistent but for one fold: a threshold of its own would be right, and is not used."""
    distances = np.where(np.arange(100) % 2 == 0, 0.5, 1.5)
    distances[90:] = np.where(np.arange(10) % 2 == 0, 2.0, 3.0)
    same = np.arange(100) % 2 == 0
    angles = np.arccos(1 - distances / 2)
    embeddings = np.concatenate([[[1.0, 0.0]], np.stack([np.cos(angles), np.sin(angles)], axis=1)])
    result = verify(embeddings, np.zeros(100, int), np.arange(1, 101), same)
    assert result.folds == [1.0] * 9 + [0.5]


def test_what_cannot_be_measured_is_an_error_or_said():
    embeddings, first, second, same = made(5, 30)
    with pytest.raises(UserError, match="at least 10 pairs, one for each fold, found 9"):
        verify(embeddings, first[:9], second[:9], same[:9])
    for kind, text in ((True, "one identity"), (False, "two identities")):
        with pytest.raises(UserError, match=f"both kinds, found 30 pairs of {text} only"):
            verify(embeddings, first, second, np.full(30, kind))
    for value in (0, np.nan, np.inf):
        wrong = embeddings.copy()
        wrong[7] = value
        with pytest.raises(UserError, match="embedding 7 is zero or not finite \\(1 of 60 are\\)"):
            verify(wrong, first, second, same)
    lines = describe(verify(embeddings, first, second, same), 60)
    assert any(line.startswith("TAR@FAR=1e-06: not measured") for line in lines)
    assert any(line.startswith("TAR@FAR=0.1: 0.") or line.startswith("TAR@FAR=0.1: 1.") for line in lines)


def test_the_record_is_json():
    record = json.loads(json.dumps(as_record(verify(*made(6, 60))), allow_nan=False))
    assert len(record["folds"]) == 10
    assert record["positives"] + record["negatives"] == 60
    assert record["true_accepts"][-1] == {"far": 1e-06, "tar": None, "threshold": None, "measured": None}


def test_thresholds_are_insightfaces():
    assert len(THRESHOLDS) == 400
    assert THRESHOLDS[0] == 0
    assert THRESHOLDS[-1] == pytest.approx(3.99)


# -------------------------------------------------------------------------------------------------------- the picture


def drawn(result):
    stream = io.BytesIO()
    draw_true_accepts(result, stream, "title")
    image = cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    assert len(stream.getvalue()) < 60_000
    return image.astype(int)


def test_the_picture_shows_the_curve():
    good, bad = (drawn(verify(*made(7, 6000, noise))) for noise in (0.1, 3.0))
    assert good.shape == bad.shape == (450, 700, 3)

    def mean_row(image):  # of the blue curve: a higher curve has a smaller one
        blue = (image[..., 0] > 150) & (image[..., 2] < 80)
        assert blue.sum() > 300
        return np.nonzero(blue)[0].mean()

    assert mean_row(good) < 70 < 150 < mean_row(bad)


def test_a_long_curve_is_thinned():
    result = verify(*made(8, 20_000, noise=0.9))
    assert len(result.far) > 5000
    drawn(result)
