"""What the auditor computes again of a recogniser: differences, neighbours, and Recall@1."""

import random

import pytest

from audit.answers import _is_printed_of
from audit.pairing import Pair
from audit.predicted import applied, is_embedding
from audit.retrieval import numbers_of_queries, random_share, right_queries
from embedding import unit
from predictions import Prediction

random.seed(5)
ROWS = {f"{at}.jpg": unit([random.gauss(0, 1) for _ in range(16)]) for at in range(12)}


def predicted(rows, kind="embedding"):
    return {name: Prediction(kind, list(row)) for name, row in rows.items()}


def faults_of(found, expected=None, behind="", exact=True, limit=1e-4):
    pair = object.__new__(Pair)
    pair.behind, pair.exact, pair.limit, pair.sides = behind, exact, limit, {}
    pair.is_sample, pair.expected, pair.found = False, predicted(expected or ROWS), predicted(found)
    if behind:
        pair.expected = predicted(expected, "numbers")
    pair.common = list(pair.found)
    return pair.faults(), pair


def changed(change):
    return {name: change(row) for name, row in ROWS.items()}


@pytest.mark.parametrize("exact", [True, False])
def test_rounding_agrees(exact):
    faults, pair = faults_of(changed(lambda row: [number + 3e-6 for number in row]), exact=exact)
    assert faults == []
    assert pair.tops == 12


def test_equality_bit_by_bit_is_counted():
    faults, pair = faults_of(ROWS, limit=0.0)
    assert (faults, pair.equal, pair.largest) == ([], 12, 0.0)


FAULTS = {
    "a number": (lambda row: [row[0] + 1e-3, *row[1:]], "0.001"),
    "not normalised": (lambda row: [2 * number for number in row], "largest difference"),
    "a number fewer": (lambda row: row[:-1], "15 numbers, not 16"),
    "nan": (lambda row: [float("nan"), *row[1:]], "nan"),
    "other numbers": (lambda row: row[::-1], "largest difference"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault):
    change, words = FAULTS[fault]
    faults, _ = faults_of(changed(change))
    assert faults
    assert words in faults[0]
    assert faults_of(changed(change), exact=False)[0]


def test_a_turn_of_a_short_embedding_is_seen():
    short = changed(lambda row: [number * 1e-2 for number in row])
    turned = {name: [number + 9e-5 * (-1) ** at for at, number in enumerate(row)] for name, row in short.items()}
    faults, _ = faults_of(turned, short)
    assert "1 - cosine" in faults[0]


def test_other_neighbours_are_seen_beside_numbers_within_the_limit():
    """Two numbers that move by 0.85 of the limit each move a cosine by 1.2 of it."""
    half, step = 0.5**0.5, 4.25e-5
    rows = {f"{at}.jpg": [float(at == number) for number in range(12)] for at in range(12)}
    rows.update({"1.jpg": [0, half, 0, half, *[0] * 8], "2.jpg": [0, 0, half, 0, half, *[0] * 7]})
    first, second = (
        {**rows, "0.jpg": [1.0, 3e-4 + by, 3e-4 - by, 3e-4 + by, 3e-4 - by, *[0.0] * 7]} for by in (step, -step)
    )
    faults, pair = faults_of(second, first)
    assert faults == ["0.jpg: other nearest neighbours"]
    assert pair.tops == 11
    assert faults_of(second, first, limit=2e-4)[0] == []


def test_a_length_behind_the_network():
    long = changed(lambda row: [5 * number for number in row])
    assert faults_of(ROWS, long, "normalize")[0] == []
    assert faults_of(ROWS, long, "softmax")[0] != []
    assert applied("normalize", Prediction("numbers", [3.0, 4.0])).rows == [0.6, 0.8]


def test_rows_of_the_observer_are_known_by_their_length():
    assert is_embedding(Prediction("numbers", ROWS["0.jpg"]))
    assert not is_embedding(Prediction("numbers", [number * 3 for number in ROWS["0.jpg"]]))
    assert not is_embedding(Prediction("numbers", [[0, 1]]))
    assert not is_embedding(Prediction("boxes", [["a", 0.5, 1.0, 1.0, 2.0, 2.0]]))


def test_what_was_printed_is_a_row():
    row = dict(enumerate(ROWS["3.jpg"]))
    printed = Prediction("embedding", [number + 1e-8 for number in ROWS["3.jpg"]])
    assert _is_printed_of(printed, row, 1.0)
    assert not _is_printed_of(Prediction("embedding", ROWS["4.jpg"]), row, 1.0)
    assert not _is_printed_of(Prediction("embedding", ROWS["3.jpg"][:-1]), row, 1.0)


# ---- Recall@1

QUERIES = ("lists/query_list.txt", {f"test/q{at}.jpg": at % 3 for at in range(6)})
GALLERY = ("lists/gallery_list.txt", {f"test/g{at}.jpg": at % 3 for at in range(6)})
OTHERS = ("lists/val_list.txt", {f"val/{at}.jpg": 0 for at in range(6)})
LISTS = [OTHERS, GALLERY, QUERIES]


def identities(wrong=0):
    """Embeddings by which each query finds its identity, but for the first `wrong`."""
    rows = {}
    for listed in (QUERIES, GALLERY):
        for at, (name, label) in enumerate(listed[1].items()):
            other = (label + 1) % 3 if listed is QUERIES and at < wrong else label
            rows[name.removeprefix("test/")] = [float(number == other) + 0.01 * at for number in range(3)]
    return predicted(rows)


@pytest.mark.parametrize("wrong", [0, 1, 6])
def test_recall_is_computed_again(wrong):
    assert right_queries(identities(wrong), LISTS, 6, 6) == (6 - wrong, 6 - wrong)


def test_a_tie_may_be_broken_either_way():
    rows = predicted({f"{kind}{at}.jpg": [1.0, 0.0, 0.0] for kind in "qg" for at in range(6)})
    assert right_queries(rows, LISTS, 6, 6) == (0, 6)


def test_recall_without_all_images_is_not_known():
    rows = identities()
    del rows["g3.jpg"]
    assert right_queries(rows, LISTS, 6, 6) is None
    assert right_queries(identities(), LISTS, 7, 6) is None
    assert right_queries(identities(), LISTS, None, None) is None


def test_chance_is_a_random_image_of_the_gallery():
    assert random_share(LISTS, 6, 6) == (6, pytest.approx(1 / 3), "a random image of lists/gallery_list.txt")
    images, share, _ = random_share([QUERIES], 6, 6)  # among the others: an image does not find itself
    assert (images, share) == (6, pytest.approx(1 / 5))
    assert random_share(LISTS, 9, 6) == (9, None, "")


def test_queries_without_a_match_do_not_count():
    """Those of identities 1 and 2 have none in the gallery."""
    gallery = (GALLERY[0], {name: label if label == 0 else 9 for name, label in GALLERY[1].items()})
    lists = [OTHERS, gallery, QUERIES]
    assert right_queries(identities(), lists, 6, 6) is None
    assert right_queries(identities(), lists, 6, 6, 3) is None
    assert right_queries(identities(), lists, 6, 6, 2) == (2, 2)
    assert right_queries(identities(1), lists, 6, 6, 2) == (1, 1)
    assert random_share(lists, 6, 6, 2)[:2] == (2, pytest.approx(1 / 3))


def test_numbers_of_queries_are_read_in_both_forms():
    line = "ppcls_lite INFO: [Eval][Avg] recall1: 1.00000, queries: {}, gallery: 9"
    warning = "ppcls_lite WARNING: [Eval] 69 of 72 queries have no image of their identity in the gallery"
    assert numbers_of_queries([line.format(415)]) == (415, None)
    assert numbers_of_queries([warning, line.format("3 of 72")]) == (72, 3)
    assert numbers_of_queries(["top1: 0.5, images: 3"]) == (None, None)
