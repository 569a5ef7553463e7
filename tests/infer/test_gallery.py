"""A gallery's search: equal to a comparison with every vector, bit by bit; and what is added and removed."""

import sys

import numpy as np
import pytest

from ppcls_lite.infer.gallery import Gallery, approximate, exact
from ppcls_lite.infer.gallery.approximate import METHODS
from ppcls_lite.infer.gallery.exact import IP, L2, ExactSearch
from ppcls_lite.infer.gallery.fingerprint import Fingerprint
from ppcls_lite.infer.model.embedding import Embedding, format_rec_line, shortest
from ppcls_lite.utils.errors import UserError

MODEL = Fingerprint("RecModel", "weights", "processing")


def embeddings(count, size, seed=0, scale=1.0):
    rows = np.random.default_rng(seed).standard_normal((count, size), dtype=np.float32)
    return scale * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def build(vectors, method="Flat", dist_type=IP):
    names = [f"name {number // 3}" for number in range(len(vectors))]
    return Gallery.build(vectors, names, [f"{number}.png" for number in range(len(vectors))], MODEL, method, dist_type)


def brute_force(vectors, queries, k, dist_type):
    """(scores, numbers) of all pairs, in float64, sorted; equal ones by the lower number."""
    wide = vectors.astype(np.float64)
    scores = np.empty((len(queries), len(vectors)), np.float32)
    for row, query in zip(scores, queries.astype(np.float64)):
        row[:] = (wide * query).sum(axis=1) if dist_type == IP else ((wide - query) ** 2).sum(axis=1)
    order = np.argsort(-scores if dist_type == IP else scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def assert_same(found, expected):
    for one, other in zip(found, expected):
        assert np.array_equal(one, other)
        assert one.shape == other.shape


# ---- the exact search


@pytest.mark.parametrize("dist_type", [IP, L2])
@pytest.mark.parametrize(("count", "size", "k"), [(1, 1, 1), (5, 3, 5), (63, 8, 7), (1000, 16, 1), (3000, 128, 10)])
def test_the_search_is_that_of_all_pairs_bit_by_bit(dist_type, count, size, k):
    vectors, queries = embeddings(count, size), embeddings(9, size, seed=1)
    assert_same(build(vectors, dist_type=dist_type).search(queries, k), brute_force(vectors, queries, k, dist_type))


@pytest.mark.parametrize("dist_type", [IP, L2])
def test_ties_keep_the_order_of_the_gallery(dist_type):
    vectors = np.repeat(embeddings(40, 8), 50, axis=0)[np.random.default_rng(2).permutation(2000)]
    found = build(vectors, dist_type=dist_type).search(vectors[:30], 60)
    assert_same(found, brute_force(vectors, vectors[:30], 60, dist_type))
    assert (np.diff(found[1][0][:50]) > 0).all()


@pytest.mark.parametrize("dist_type", [IP, L2])
def test_neighbours_that_float32_products_cannot_tell_apart(dist_type):
    """Vectors that differ in their last bits, of large and of small numbers, in the order that float64 gives."""
    rng = np.random.default_rng(3)
    base = embeddings(1, 64)[0]
    close = (base + rng.standard_normal((4000, 64)) * 2e-8).astype(np.float32)
    for scale in (1e-3, 1, 1e4):
        vectors = (close * scale).astype(np.float32)
        queries = embeddings(3, 64, seed=4, scale=np.float32(scale))
        assert_same(
            build(vectors, dist_type=dist_type).search(queries, 20), brute_force(vectors, queries, 20, dist_type)
        )


def test_a_search_that_trusts_float32_products_would_be_seen(monkeypatch):
    """Without the allowance for rounding, the neighbours of the test above are not the true ones."""
    base = embeddings(1, 64)[0]
    close = (base + np.random.default_rng(3).standard_normal((4000, 64)) * 2e-8).astype(np.float32)
    expected = brute_force(close, embeddings(3, 64, seed=4), 20, IP)
    monkeypatch.setattr(exact, "_UNIT", 0.0)
    found = ExactSearch(close, IP).search(embeddings(3, 64, seed=4), 20)
    assert not np.array_equal(found[1], expected[1])


@pytest.mark.parametrize("dist_type", [IP, L2])
def test_the_size_of_the_parts_does_not_matter(monkeypatch, dist_type):
    vectors, queries = embeddings(500, 16), embeddings(20, 16, seed=1)
    expected = build(vectors, dist_type=dist_type).search(queries, 6)
    monkeypatch.setattr(exact, "_SCORES", 700)
    assert_same(build(vectors, dist_type=dist_type).search(queries, 6), expected)
    assert_same(build(vectors, dist_type=dist_type).search(queries[3:4], 6), [part[3:4] for part in expected])


def test_a_gallery_of_fewer_images_than_wanted():
    scores, numbers = build(embeddings(3, 4)).search(embeddings(2, 4, seed=1), 10)
    assert scores.shape == numbers.shape == (2, 3)


# ---- faiss's approximate indexes


@pytest.mark.parametrize("dist_type", [IP, L2])
@pytest.mark.parametrize("method", METHODS[1:])
def test_approximate_indexes_find_nearly_all_with_exact_scores(method, dist_type):
    vectors = embeddings(2000, 16)
    scores, numbers = build(vectors, method, dist_type).search(vectors[:200], 5)
    expected = brute_force(vectors, vectors[:200], 5, dist_type)
    assert (numbers[:, 0] == np.arange(200)).mean() > 0.95
    same = numbers[:, 0] == expected[1][:, 0]
    assert np.array_equal(scores[same, 0], expected[0][same, 0])
    ordered = np.diff(scores, axis=1) <= 0 if dist_type == IP else np.diff(scores, axis=1) >= 0
    assert ordered.all()


@pytest.mark.parametrize("method", METHODS[1:])
def test_the_same_images_make_the_same_index(method):
    first, second = (build(embeddings(600, 8), method)._index for _ in range(2))
    assert approximate.to_bytes(first) == approximate.to_bytes(second)


def test_a_search_that_finds_fewer_says_so():
    gallery = build(embeddings(400, 8), "IVF")  # of 50 lists, a search reads 16
    _, numbers = gallery.search(embeddings(2, 8, seed=1), 400)
    missing = numbers == -1
    assert missing.any()
    assert len(gallery.matches(embeddings(2, 8, seed=1), 400)[0]) == (~missing[0]).sum()


# ---- adding and removing


@pytest.mark.parametrize("method", METHODS)
def test_what_is_added_is_found(method):
    vectors = embeddings(300, 8)
    gallery = build(vectors[:290], method)
    gallery.add(vectors[290:], ["late"] * 10, [f"late/{number}" for number in range(10)])
    assert len(gallery) == 300
    assert gallery.matches(vectors[295:296], 1)[0][0] == {"rec_docs": "late", "rec_scores": pytest.approx(1, abs=1e-6)}


@pytest.mark.parametrize("method", ["Flat", "IVF"])
def test_what_is_removed_is_not_found_and_the_rest_is(method):
    vectors = embeddings(300, 8)
    gallery = build(vectors, method)
    gallery.remove(["7.png", "100.png"])
    kept = [number for number in range(300) if number not in (7, 100)]
    assert gallery.paths == [f"{number}.png" for number in kept]
    assert gallery.docs[98] == "name 33"  # of image 99
    _, numbers = gallery.search(vectors[kept], 1)
    assert (numbers[:, 0] == np.arange(298)).mean() > 0.95
    gallery.add(vectors[7:8], ["back"], ["7.png"])
    assert gallery.matches(vectors[7:8], 1)[0][0]["rec_docs"] == "back"


def test_removals_that_cannot_be_leave_the_gallery_as_it_was():
    gallery = build(embeddings(3, 4))
    for paths, message in (
        (["0.png", "no.png"], "no.png: not in the gallery"),
        (gallery.paths, "nothing would be left"),
    ):
        with pytest.raises(UserError, match=message):
            gallery.remove(paths)
    with pytest.raises(UserError, match="HNSW32 cannot remove"):
        build(embeddings(3, 4), "HNSW32").remove(["0.png"])
    assert len(gallery) == 3


@pytest.mark.parametrize("dist_type", [IP, L2])
def test_scores_below_the_threshold_are_no_matches(dist_type):
    vectors = embeddings(50, 8)
    gallery = build(vectors, dist_type=dist_type)
    scores = gallery.search(vectors[:1], 50)[0][0]
    found = gallery.matches(vectors[:1], 50, float(scores[3]))
    assert [match["rec_scores"] for match in found[0]] == shortest(scores[:4])
    assert gallery.matches(vectors[:1], 5, 2.0 if dist_type == IP else -1.0) == [[]]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((2, 5), np.float32), "expected embeddings of 4 numbers, the gallery's, found 5"),
        (np.zeros((2, 4)), r"expected embeddings \[N, D\] float32, found \[2, 4\] float64"),
        (np.zeros(4, np.float32), r"found \[4\] float32"),
        (np.full((1, 4), np.nan, np.float32), "nan, infinite or above"),
        (np.full((1, 4), 1e20, np.float32), "nan, infinite or above"),
    ],
)
def test_other_embeddings_are_refused(features, message):
    with pytest.raises(UserError, match=message):
        build(embeddings(3, 4)).search(features, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"docs": ["a", "b"]}, "expected 3 names and paths, found 2 and 3"),
        ({"paths": ["a", "b", "a"]}, "a: is in the gallery twice"),
        ({"docs": ["a", "b", 3]}, "expected names and paths to be texts"),
        ({"method": "Flatt"}, "index_method: expected one of Flat, HNSW32, IVF, found 'Flatt'"),
        ({"dist_type": "cosine"}, "dist_type: expected one of IP, L2"),
    ],
)
def test_what_is_no_gallery_is_refused(change, message):
    parts = {"features": embeddings(3, 4), "docs": ["a", "b", "c"], "paths": ["a", "b", "c"], "model": MODEL, **change}
    with pytest.raises(UserError, match=message):
        Gallery.build(**parts)


def test_without_faiss_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"a gallery needs faiss \(.*\): pip install faiss-cpu"):
        build(embeddings(3, 4), "HNSW32")


# ---- the post-processing of embeddings


def test_rows_of_length_1_keep_their_bits_and_others_are_scaled():
    rows = embeddings(4, 32)
    rows[2] *= 3
    found = Embedding().normalized(rows)
    assert np.array_equal(found[[0, 1, 3]].view(np.uint32), rows[[0, 1, 3]].view(np.uint32))
    assert np.linalg.norm(found[2]) == pytest.approx(1, abs=1e-6)
    assert Embedding(feature_normalize=False).normalized(rows) is rows


def test_printed_numbers_give_the_same_float32_again():
    row = np.random.default_rng(0).standard_normal(4096).astype(np.float32) * np.float32(1e-3)
    row[:3] = -0.0, 0.1, 1e-30
    printed = shortest(row)
    assert np.array_equal(np.array(printed, np.float32).view(np.uint32), row.view(np.uint32))
    assert str(printed[1]) == "0.1"
    assert format_rec_line({"features": printed[:2]}, "folder/a.jpg") == "a.jpg:\t[-0.0, 0.1]"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 4), np.float32), "all zero for 2 of 2 images"),
        (np.full((1, 4), np.inf, np.float32), "nan or infinite for 1 of 1 images"),
        (
            np.zeros((2, 4, 1, 1), np.float32),
            r"not a recogniser: expected features \[N, D\] float32, found \[2, 4, 1, 1\]",
        ),
    ],
)
def test_features_without_a_direction_are_refused(rows, message):
    with pytest.raises(UserError, match=message):
        Embedding()(rows)
