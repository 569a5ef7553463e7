"""Exact rows of numbers in JSON: float32 goes there and back bit by bit, and large outputs as a hash and a sample."""

import hashlib
import io
import json

import numpy as np
import pytest

from bundle_rows import BUDGET, MOST_IMAGES, Rows, exact, key_of_arrays, write
from tests.helpers.scripts import ROOT


def read_back(content):
    stream = io.StringIO()
    write(content, stream)
    return json.loads(stream.getvalue())


def test_float32_comes_back_bit_by_bit():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 5000, dtype=np.uint32).view(np.float32)
    numbers = np.concatenate([bits[np.isfinite(bits)], np.float32([0, -0.0, 1e-45, 3.4028235e38, 0.1])])
    back = np.float32(json.loads(json.dumps(exact(numbers))))
    assert np.array_equal(back.view(np.uint32), numbers.view(np.uint32))
    assert exact(np.float32([0.1])) == [0.1]  # the shortest, not 0.10000000149011612
    assert exact(np.int64([3, -1])) == [3, -1]
    assert exact(np.float32([np.nan, np.inf, 1])) == [None, None, 1.0]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_come_back_too(dtype):
    numbers = np.random.default_rng(1).normal(size=100).astype(dtype)
    assert np.array_equal(np.array(exact(numbers), dtype=dtype), numbers)


def test_a_large_output_is_a_hash_and_a_sample():
    rows = Rows(["map", "scores"])
    large, small = np.arange(4000, dtype=np.float32).reshape(40, 100), np.float32([0.5, 0.25])
    rows.add("a", [large, small])
    found = read_back(rows.content())
    assert (found["output"], found["rows"], found["count"], found["left_out"]) == ("scores", {"a": [0.5, 0.25]}, 1, 0)
    (other,) = found["others"]
    assert other["sha256"] == {"a": hashlib.sha256(large.tobytes()).hexdigest()}
    assert other["sample"]["a"] == large.reshape(-1)[:: other["every"]].tolist()
    assert (other["shape"], len(other["sample"]["a"])) == ([40, 100], 100)


def test_images_above_the_limit_are_counted():
    rows = Rows(["out"])
    for number in range(MOST_IMAGES + 5):
        rows.add(str(number % (MOST_IMAGES + 3)), [np.float32([number])])
    assert (rows.content()["count"], rows.content()["left_out"]) == (MOST_IMAGES, 3)
    rows = Rows(["out"])
    for number in range(30):
        rows.add(str(number), [np.zeros(1000, np.float32)])
    assert rows.content()["count"] == BUDGET // 1000


def test_an_output_that_cannot_be_cut_is_left_out():
    rows = Rows(["boxes", "count"])
    rows.add("a", [None, np.int32([3])])
    found = rows.content()
    assert (found["output"], found["rows"]) == ("count", {"a": [3]})
    assert "rows" not in found["others"][0]


def test_the_hash_of_an_input_is_the_observers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "test_tipc/lib/observe/tipc_observe"))
    from arrays import hash_of

    image = np.random.default_rng(2).normal(size=(3, 4, 4)).astype(np.float32)
    assert key_of_arrays([image]) == hash_of(np.ascontiguousarray(image))
    assert key_of_arrays([image, image]) != key_of_arrays([image])
