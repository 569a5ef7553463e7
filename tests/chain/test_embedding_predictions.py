"""Embeddings that programs print, read from their logs and compared."""

import json
import math

import numpy as np
import pytest

from embedding import angle, is_unit, nearest, other_neighbours, unit
from predictions import Prediction, difference, read_log, read_reference, write_reference
from tests.helpers.scripts import assert_one_line

ROW = [round(math.sin(n + 1), 6) for n in range(12)]
LINE = f"folder/a.jpg:\t{ROW}"


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        f"a.jpg\t{json.dumps([ROW])}",  # as insightface's program prints it
        f"[{{'features': {ROW}, 'file_name': 'folder/a.jpg'}}]",
    ],
)
def test_every_form_is_read(line):
    found = read_log(["loading", line, "time 0.1 ms"])
    assert found == {"a.jpg": Prediction("embedding", ROW)}


@pytest.mark.parametrize(
    "line",
    [
        f"a.jpg:\t{ROW[:7]}",  # too few numbers
        f"a.jpg:\t{[*ROW[:-1], 3]}",  # a whole number is no such number
        "a.jpg\t[[[1.0, 2.0], [3.0, 4.0]]]",  # corners of a text
        'a.jpg\t["words", 0.98]',
        "a.jpg:\t[{'rec_docs': 'ash', 'rec_scores': 0.9}]",
        f"a.jpg:\t{str(ROW)[:-1]}",
        f"a.jpg:\t{[*ROW, 'nan']}",
        "[{'features': [__import__('os').getcwd()], 'file_name': 'a.jpg'}]",
    ],
)
def test_other_lines_are_no_embeddings(line):
    assert all(one.kind != "embedding" for one in read_log([line]).values())


def test_images_of_the_same_name_are_kept_apart():
    """Each identity may have its own folder; a line that is printed twice is one image."""
    other = [-number for number in ROW]
    found = read_log([LINE, LINE, f"a.jpg:\t{other}", LINE, f"a.jpg:\t{ROW[::-1]}"])
    assert list(found) == ["a.jpg", "a.jpg (2)", "a.jpg (3)"]
    assert found["a.jpg (2)"].rows == other


def test_a_reference_file_keeps_embeddings(tmp_path):
    path = tmp_path / "reference.txt"
    with path.open("w") as stream:
        write_reference(stream, read_log([LINE]))
    assert read_reference(path) == {"a.jpg": Prediction("embedding", ROW)}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (ROW, ""),
        ([number + 5e-5 for number in ROW], ""),
        ([number + 2e-4 for number in ROW], "found 0.841671, expected 0.841471"),
        (ROW[:-1], "found 11 values, expected 12"),
        ([number * 2 for number in ROW], "found"),
        ([math.nan, *ROW[1:]], "found nan"),
    ],
)
def test_embeddings_are_compared_by_their_numbers(found, words):
    fault = difference(Prediction("embedding", ROW), Prediction("embedding", found), 1e-4, 0.0)
    assert fault.startswith(words) if words else fault == ""


def test_embeddings_are_compared_by_their_direction():
    """Each number is within what is allowed; a small embedding is turned by it all the same."""
    small = [number * 1e-2 for number in ROW]
    turned = [number + (9e-5 if at % 2 else -9e-5) for at, number in enumerate(small)]
    fault = difference(Prediction("embedding", small), Prediction("embedding", turned), 1e-4, 0.0)
    assert fault.startswith("found an embedding with 1 - cosine ")
    assert difference(Prediction("embedding", ROW), Prediction("numbers", ROW), 1e-4, 0.0).startswith("found numbers")


def test_two_inferences_print_the_same(run_here, tmp_path):
    paths = [tmp_path / name for name in ("paddle.log", "onnx.log")]
    paths[0].write_text(f"{LINE}\nb.jpg:\t{ROW[::-1]}\n")
    paths[1].write_text(f"{LINE}\nb.jpg:\t{[number + 1e-5 for number in ROW[::-1]]}\n")
    outcome = run_here("test_tipc/lib/agree_printed.py", *paths)
    assert (outcome.status, outcome.out) == (0, "printed: the same predictions of 2 images: agrees\n")
    paths[1].write_text(f"{LINE}\nb.jpg:\t{ROW}\n")
    assert_one_line(run_here("test_tipc/lib/agree_printed.py", *paths), "b.jpg: found")


# ---- the arithmetic, against NumPy


def test_cosines_and_neighbours_are_those_of_numpy():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(15, 9))
    rows = vectors.tolist()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose([unit(row) for row in rows], units)
    assert angle(rows[0], rows[1]) == pytest.approx(1 - float(units[0] @ units[1]))
    cosines = units @ units.T
    np.fill_diagonal(cosines, -2)
    for own, found in zip(cosines, nearest(rows, 4)):
        assert [index for _, index in found] == np.argsort(-own)[:4].tolist()
    assert other_neighbours(rows, rows, 0.0) == []
    assert other_neighbours(rows, rows[::-1], 1e-4) != []
    assert math.isnan(angle([0.0] * 9, rows[0]))


def test_only_rows_of_length_one_are_embeddings_without_a_word():
    assert is_unit(unit(ROW))
    assert is_unit([abs(number) for number in unit(ROW)])
    assert not is_unit(ROW)
    assert not is_unit([1.0] + [0.0] * 9)
    assert not is_unit([0.1] * 10)
