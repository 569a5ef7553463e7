"""Which calls keep their arrays."""

import random
import sys

import pytest

from tests.observe.conftest import OBSERVER

sys.path.insert(0, str(OBSERVER / "tipc_observe"))
from sample import Sample

sys.path.pop(0)


def kept_of(calls, images, size):
    """Labels of the calls that are kept in the end; the limits hold after each of them."""
    sample, kept = Sample(images, size), {}
    for key, rows, weight in calls:
        keep, dropped = sample.offer(key, rows, weight, key)
        for label in dropped:
            del kept[label]
        if keep:
            kept[key] = rows, weight
        assert len(kept) <= 1 or len({row for rows, _ in kept.values() for row in rows}) <= images
        assert sum(weight for _, weight in kept.values()) <= size
    return list(kept)


def make_calls(count, batch=1, weight=10, seed=0):
    rng = random.Random(seed)
    return [
        (f"{rng.getrandbits(128):032x}", [f"{number}.{place}" for place in range(batch)], weight)
        for number in range(count)
    ]


def test_all_are_kept_while_there_is_room():
    assert len(kept_of(make_calls(8), 8, 1000)) == 8


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_quarter_first_and_then_the_lowest(batch):
    calls = make_calls(200, batch)
    kept = kept_of(calls, 32, 10**6)
    first = -(-8 // batch)  # calls that hold a quarter of the images
    room = (32 - first * batch) // batch
    assert kept[:first] == [key for key, _, _ in calls[:first]]
    assert sorted(kept[first:]) == sorted(key for key, _, _ in calls[first:])[:room]


def test_the_sample_does_not_depend_on_the_order():
    """Batches of all sizes: a small one does not slip in behind a large one that had to go."""
    rng = random.Random(5)
    first = [("f" * 32, list("abcdefgh"), 10)]  # a quarter of the images
    later = [(key, [f"{key}{place}" for place in range(rng.randint(1, 9))], 10) for key, _, _ in make_calls(100)]
    found = set()
    for seed in range(20):
        random.Random(seed).shuffle(later)
        found.add(frozenset(kept_of(first + later, 32, 10**6)))
    assert len(found) == 1
    assert len(found.pop()) > 3


def test_bytes_count_too():
    kept = kept_of(make_calls(100, weight=30), 1000, 100)
    assert len(kept) == 3


def test_a_call_that_is_too_large_alone_is_not_kept_and_a_batch_beyond_the_images_is():
    assert kept_of([("a", ["1"], 101), ("b", [*map(str, range(64))], 90)], 32, 100) == ["b"]


def test_the_same_call_again_and_a_repeated_image_take_no_room():
    calls = [("a", ["1"], 1), ("a", ["1"], 1), *((f"b{number}", ["1"], 1) for number in range(5))]
    assert len(kept_of(calls, 1, 100)) == 6
