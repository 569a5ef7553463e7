"""The page of a recogniser: the nearest images by every engine, and Recall@1."""

import json

import cv2
import numpy as np
import pytest

from embedding import unit
from page.answers import read_answers
from page.neighbours import NEIGHBOURS
from page.overview import accuracy
from page.report import write_report
from page.source import read_source
from tests.page.bundles import step

NAMES = [f"{folder}/{at}.png" for folder in ("ash", "birch") for at in range(4)]


def rows(seed=1):
    rng = np.random.default_rng(seed)
    return {name: [round(number, 6) for number in unit(rng.normal(size=16).tolist())] for name in NAMES}


def entry(name, engine, exact=True):
    where = {"step": "agree", "tag": "", "against": None, "limit": None}
    return {"file": name, "engine": engine, "kind": "embedding", "exact": exact, "images": len(NAMES), **where}


@pytest.fixture
def recogniser(bundle, change):
    """`recogniser(second)`: a bundle with the embeddings of two engines, of a part of the images, and of a log."""

    def make(second=None, names=NAMES):
        files = {"first.json": rows(), "second.json": second or rows(), "part.json": dict(list(rows().items())[:3])}
        for file, found in files.items():
            images = {name: {"kind": "embedding", "rows": row} for name, row in found.items() if name in names}
            (bundle / file).write_text(json.dumps({"images": images}))
        engines = ("training engine", "usual onednn", "rows alone")
        change(predictions=[entry(file, engine) for file, engine in zip(files, engines)])
        return bundle

    return make


def neighbours_of(bundle):
    return {one.engine: one.images for one in read_answers(read_source(bundle))[0]}


def test_embeddings_become_the_nearest_images(recogniser):
    found = neighbours_of(recogniser())
    assert list(found) == ["training engine", "usual onednn"]  # among three images, others are the nearest
    one = found["training engine"]["ash/0.png"]
    vectors = {name: np.array(row) for name, row in rows().items()}
    own = vectors.pop("ash/0.png")
    expected = sorted(vectors, key=lambda name: -float(own @ vectors[name]))[:5]
    assert (one.kind, [row[0] for row in one.rows]) == (NEIGHBOURS, expected)
    assert found["training engine"] == found["usual onednn"]


def test_names_without_folders_where_they_are_enough(recogniser):
    assert list(neighbours_of(recogniser(names=NAMES[:4]))["training engine"]) == ["0.png", "1.png", "2.png", "3.png"]


def test_images_of_a_log_are_named_as_their_embeddings(recogniser, change):
    """A log has the names alone, and each folder has an image `0.png`."""
    folder = recogniser()
    lines = [f"{name.rpartition('/')[2]}:\t{row}" for name, row in rows().items()]
    (folder / "infer.log").write_text("\n".join(lines) + "\n")
    listed = json.loads((folder / "bundle.json").read_text())["predictions"]
    change(predictions=[*listed[::-1], entry("infer.log", "infer", exact=False)])
    found = neighbours_of(folder)
    assert found["infer"].keys() == found["training engine"].keys() == set(NAMES)
    other = [f"{name.rpartition('/')[2]}:\t{row}" for name, row in rows(9).items()]
    (folder / "infer.log").write_text("\n".join(other) + "\n")
    assert "3.png (2)" in neighbours_of(folder)["infer"]


def test_the_page_shows_them(recogniser, tmp_path):
    folder = recogniser()
    for at, name in enumerate(NAMES):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / name), np.full((8, 8, 3), 20 * at, np.uint8))
    write_report(folder, tmp_path)
    page, markdown = ((folder / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert "The 5 nearest to ash/0.png" in page
    assert "The same 5 nearest images in all 2; the cosines are the same." in page
    assert "Of embeddings, the nearest of the other images and their cosines are shown." in page
    assert page.count('alt="Nearest image 1, ') == 6
    assert "best 5 of" not in page
    assert "The same 5 nearest images in all 2" in markdown


def test_other_neighbours_are_marked(recogniser, tmp_path):
    folder = recogniser(rows(9))
    write_report(folder, tmp_path)
    assert "Not the same 5 nearest images in all 2." in (folder / "report.html").read_text()


@pytest.mark.parametrize("damaged", [[1.0, "a"], [], "words", [[0.1] * 16]])
def test_damaged_rows_are_left_out(recogniser, damaged, tmp_path):
    folder = recogniser()
    content = json.loads((folder / "first.json").read_text())
    content["images"]["ash/0.png"]["rows"] = damaged
    (folder / "first.json").write_text(json.dumps(content))
    write_report(folder, tmp_path)
    assert "ash/0.png" not in neighbours_of(folder).get("training engine", {})


def test_recall_is_the_accuracy(change):
    folder = change(steps=[step("evaluate", "evaluate.log", figure="recall1: 0.91667")], figures={})
    assert accuracy(read_source(folder)) == "recall1 0.91667"
    folder = change(figures={"evaluate": {"recall1": 0.875, "mAP": 0.5}})
    assert accuracy(read_source(folder)) == "recall1 0.875"
