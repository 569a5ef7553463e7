"""Files of reprod_log: as its logger writes them, and as its helper reads them."""

import pickle

import numpy as np
import pytest

from diagnosis.reprod.arrays import compare_reprod, read_reprod, write_reprod
from script import UserError
from tests.diagnosis.test_checkpoint import hostile_pickles


def arrays():
    rng = np.random.default_rng(0)
    return {
        "out": rng.normal(size=(3, 1000)).astype("float32"),
        "loss": np.array(0.25),
        "ids": np.arange(6).reshape(2, 3),
        "fortran": np.asfortranarray(rng.normal(size=(4, 5))),
    }


def same(first, second):
    return list(first) == list(second) and all(
        a.dtype == b.dtype and a.shape == b.shape and (a == b).all() for a, b in zip(first.values(), second.values())
    )


@pytest.mark.parametrize("path", ["a", "a.npy"])
def test_what_reprod_logger_saves(tmp_path, path):
    """`ReprodLogger.save` is numpy.save of a dictionary."""
    np.save(tmp_path / "a.npy", arrays())
    assert same(read_reprod(tmp_path / path), arrays())


def test_dictionaries_within(tmp_path):
    np.save(tmp_path / "a.npy", {"grads": {"fc.weight": np.ones(3)}, "loss": np.ones(())})
    assert list(read_reprod(tmp_path / "a.npy")) == ["grads/fc.weight", "loss"]


def test_what_is_written_is_what_the_helper_loads(tmp_path):
    """`ReprodDiffHelper.load_info` is numpy.load(path, allow_pickle=True).tolist()."""
    path = tmp_path / "a.npy"
    write_reprod(path, arrays())
    assert same(np.load(path, allow_pickle=True).tolist(), arrays())
    assert same(read_reprod(path), arrays())


def test_a_file_is_whole_or_the_old_one(tmp_path):
    class Broken:
        def __array__(self, *_, **__):
            raise MemoryError

    path = tmp_path / "a.npy"
    write_reprod(path, arrays())
    with pytest.raises(MemoryError):
        write_reprod(path, {"a": Broken()})
    assert same(read_reprod(path), arrays())
    assert [one.name for one in tmp_path.iterdir()] == ["a.npy"]


def test_the_real_package(tmp_path):
    package = pytest.importorskip("reprod_log")
    logger = package.ReprodLogger()
    for name, array in arrays().items():
        logger.add(name, array)
    logger.save(str(tmp_path / "a.npy"))
    assert same(read_reprod(tmp_path / "a.npy"), arrays())
    write_reprod(tmp_path / "b.npy", arrays())
    helper = package.ReprodDiffHelper()
    helper.compare_info(*(helper.load_info(str(tmp_path / name)) for name in ("a.npy", "b.npy")))
    rows = compare_reprod(arrays(), arrays())
    assert {row.name: (row.mean, row.largest) for row in rows} == {
        name: (one["mean"], one["max"]) for name, one in helper.diff_dict.items()
    }


def head(array):
    """The beginning of a .npy, without what is in the array."""
    return b"\x93NUMPY\x01\x00" + (len(array) + 1).to_bytes(2, "little") + array + b"\n"


@pytest.mark.parametrize(("what", "content"), hostile_pickles())
def test_a_hostile_file_is_refused(tmp_path, monkeypatch, what, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npy"
    path.write_bytes(head(b"{'descr': '|O', 'fortran_order': False, 'shape': (), }") + content)
    with pytest.raises(UserError) as error:
        read_reprod(path)
    assert str(error.value).startswith(f"{path}: ")
    assert [one.name for one in tmp_path.iterdir()] == ["a.npy"]


def test_other_files_are_one_line(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, arrays())
    whole = path.read_bytes()
    others = [whole[:length] for length in range(0, len(whole), 301)]
    others += [b"text", head(b"__import__('os').system('touch hacked')"), head(b"{'descr': '|O', 'shape': ()}")]
    others += [whole[:128] + pickle.dumps(one) for one in ([1], {"a": "text"}, {"a": None}, 3)]
    for content in others:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.npy: "):
            read_reprod(path)
    np.save(path, np.ones((2, 3), "float32"))
    with pytest.raises(UserError, match=r"expected a file of reprod_log, found an array float32 \[2, 3\]"):
        read_reprod(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_reprod(tmp_path / "none")


def test_comparison():
    first = arrays()
    rows = compare_reprod(first, {**first, "out": first["out"] + np.float32(1e-3)})
    assert [(row.name, row.passed) for row in rows] == [
        ("out", False),
        ("loss", True),
        ("ids", True),
        ("fortran", True),
    ]
    assert rows[0].mean == pytest.approx(1e-3, rel=1e-3)
    assert rows[0].largest == pytest.approx(1e-3, rel=1e-3)
    assert rows[1] == ("loss", 0.0, 0.0, True, "")
    assert compare_reprod(first, {**first, "out": first["out"] + np.float32(1e-3)}, limit=0.01)[0].passed


def test_one_wrong_number_among_many_does_not_pass():
    """A mean hides it: 2e-7 here."""
    first = {"out": np.zeros(5_000, "float32")}
    second = first["out"].copy()
    second[7] = 1e-3
    (row,) = compare_reprod(first, {"out": second})
    assert row.mean < 1e-6
    assert (row.passed, row.largest) == (False, pytest.approx(1e-3))


def test_rounding_of_large_numbers_passes():
    first = {"out": np.linspace(-1000, 1000, 5000, dtype="float32")}
    second = first["out"].copy()
    second[:10] = np.nextafter(second[:10], np.float32(0))
    (row,) = compare_reprod(first, {"out": second})
    assert row.passed, row


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(value):
    bad = np.array([1.0, value], "float32")
    (row,) = compare_reprod({"out": np.ones(2, "float32")}, {"out": bad})
    assert (row.passed, row.mean, row.largest) == (False, np.inf, np.inf)
    (row,) = compare_reprod({"out": bad}, {"out": bad})
    assert (row.passed, row.mean, row.largest) == (True, 0.0, 0.0)


def test_names_and_shapes():
    first = {"a": np.ones((2, 3)), "b": np.ones(2), "c": np.ones((2, 3)), "empty": np.ones((0, 3))}
    second = {"new": np.ones(1), "c": np.ones((3, 2)), "a": np.ones(6), "empty": np.ones((0, 3))}
    assert compare_reprod(first, second) == [
        ("a", None, None, False, "expected [2, 3], found [6]"),
        ("b", None, None, False, "only the reference has it"),
        ("c", 0.0, 0.0, True, "its sides are in reverse order"),
        ("empty", 0.0, 0.0, True, ""),
        ("new", None, None, False, "only the other has it"),
    ]
