"""The pictures of tools/draw_neighbours.py: which neighbours are drawn, and in which frame."""

import cv2
import numpy as np
import pytest

from ppcls_lite.infer import neighbour_drawing as drawing
from ppcls_lite.infer import neighbours
from ppcls_lite.utils.errors import UserError
from tests.helpers.recognition import make_rec_config, write_rec_set


class Colours:
    """A predictor whose features are the mean colour of an image."""

    def predict_all(self, paths):
        for path in paths:
            image = cv2.imread(str(path)).reshape(-1, 3).astype(np.float32)
            yield [(path, {"features": (image.mean(axis=0) - 128).tolist()})]


@pytest.fixture
def config(tmp_path):
    """Two identities of plain colours, a query of each; of three other images in the gallery, one is mislabelled."""
    colours = {"q0": (250, 40, 40), "q1": (40, 250, 30), "a": (240, 50, 40), "b": (40, 240, 40), "c": (200, 60, 50)}
    for name, colour in colours.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((20, 30, 3), colour, np.uint8))
    (tmp_path / "query_list.txt").write_text("q0.png 7\nq1.png 9\n")
    (tmp_path / "gallery_list.txt").write_text("a.png 7\nb.png 7\nc.png 7\nq0.png 7\nq1.png 9\n")
    (tmp_path / "train_list.txt").write_text("a.png 0\n")
    return make_rec_config(tmp_path)


def frame_of(picture, row, column):
    """The colour of a frame, taken from the left of a cell."""
    side = drawing.SIDE + 2 * drawing.FRAME
    height = side + 2 * drawing.LINE + 3 + drawing.GAP
    shift = 0 if column == 0 else side + 3 * drawing.GAP + (column - 1) * (side + drawing.GAP)
    return tuple(picture[row * height + drawing.GAP + side // 2, drawing.GAP + shift + 1].tolist())


def test_right_neighbours_are_green_and_wrong_ones_red(config):
    picture = neighbours.neighbours_picture(config, Colours(), count=2, neighbours=3)
    assert [frame_of(picture, 0, column) for column in range(3)] == [drawing.GREY, drawing.GREEN, drawing.GREEN]
    assert frame_of(picture, 0, 3) == drawing.RED  # q1, of the other identity
    assert frame_of(picture, 1, 1) == drawing.RED  # b looks like q1, whose own file does not count


def test_an_image_is_not_its_own_neighbour():
    rows = np.eye(3, dtype=np.float32)
    numbers, cosines = neighbours.nearest(rows[:1], rows, 3, [(0, 0)])
    assert 0 not in numbers[0, :2]
    assert cosines[0, 2] == -np.inf


def test_rows_are_of_as_many_identities():
    labels = [4, 4, 1, 1, 2, 2, 9]
    assert neighbours.spread(labels, 2) == [0, 6]
    assert neighbours.spread(labels, 9) == [0, 2, 4, 6]


def test_names_are_those_of_the_list_beside_the_images(config, monkeypatch, tmp_path):
    captions = []
    monkeypatch.setattr(drawing, "_write", lambda image, text, place, colour: captions.append(text))
    (tmp_path / "label_list.txt").write_text("7 red deer\n9 a name that is far too long for the width of a cell\n")
    neighbours.neighbours_picture(config, Colours(), count=2, neighbours=1)
    assert captions[0] == "red deer"
    assert captions[4].startswith("a name that")
    assert captions[4].endswith("..")
    assert captions[-1] == "1 of 2 queries have a right first neighbour (0.5000); gallery: 5 images of 2 identities"
    (tmp_path / "label_list.txt").write_text("red deer\n")
    with pytest.raises(UserError, match=r"label_list\.txt:1: expected '<id> <name>'"):
        neighbours.neighbours_picture(config, Colours())


def test_a_file_that_is_no_image_is_one_line(config, tmp_path):
    (tmp_path / "a.png").write_text("nothing")

    class Broken:
        def predict_all(self, paths):
            yield [(path, UserError(f"{path}: no image")) for path in paths]

    with pytest.raises(UserError, match=r"\.png: no image"):
        neighbours.neighbours_picture(config, Broken())


def test_the_set_of_the_helpers_can_be_drawn(tmp_path):
    picture = neighbours.neighbours_picture(make_rec_config(write_rec_set(tmp_path / "set")), Colours())
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
