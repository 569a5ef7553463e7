"""Real images as inputs of models of other projects, where nothing says how they are prepared."""

import numpy as np
import pytest

from agreement.exported import Feed
from lite.samples import MOST, find_images, make_inputs, read_arrays
from script import UserError
from tests.helpers.scripts import ROOT

IMAGE = Feed("image", "float32", (-1, 3, 64, 48))


def test_images_are_taken_at_equal_distances_from_all():
    found = find_images([ROOT / "lite_data/val"])
    everything = sorted((ROOT / "lite_data/val").rglob("*.jpg"))
    assert len(found) == MOST < len(everything)
    assert found[0] == everything[0]
    assert len(set(found)) == MOST
    assert {path.parent.name for path in found} == {path.parent.name for path in everything}


def test_a_place_without_images_is_an_error(tmp_path):
    (tmp_path / "x.txt").touch()
    with pytest.raises(UserError, match="no images there"):
        find_images([tmp_path, tmp_path / "missing"])


def test_inputs_have_the_size_that_the_model_fixes():
    paths = find_images([ROOT / "test_images"])
    arrays = make_inputs(paths, [IMAGE])
    assert arrays["image"].shape == (5, 3, 64, 48)
    assert arrays["image"].dtype == np.float32
    assert 0.5 < arrays["image"].std() < 2
    free = make_inputs(paths[:1], [Feed("x", "float32", (-1, 3, -1, -1))])
    assert free["x"].shape == (1, 3, 224, 224)


def test_the_sizes_that_a_detector_takes_are_made():
    feeds = [Feed("im_shape", "float32", (-1, 2)), IMAGE, Feed("scale_factor", "float32", (-1, 2))]
    arrays = make_inputs(find_images([ROOT / "test_images"])[:2], feeds)
    assert arrays["im_shape"].tolist() == [[64, 48], [64, 48]]
    assert arrays["scale_factor"].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("feeds", "expected"),
    [
        ([Feed("ids", "int64", (-1, 128))], "expected one input of images"),
        ([IMAGE, Feed("image2", "float32", (-1, 3, 8, 8))], "expected one input of images"),
        ([Feed("image", "uint8", (-1, 3, 8, 8))], "expected one input of images"),
        ([IMAGE, Feed("length", "float32", (-1, 1))], "the model's input length float32 .* is not known"),
    ],
)
def test_other_inputs_are_named(feeds, expected):
    with pytest.raises(UserError, match=expected):
        make_inputs(find_images([ROOT / "test_images"])[:1], feeds)


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.jpg: not an image"):
        make_inputs([tmp_path / "broken.jpg"], [IMAGE])


def test_a_file_of_arrays_is_never_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{"a": 1}], object))
    with pytest.raises(UserError, match=r"x\.npz: not a file of arrays"):
        read_arrays(tmp_path / "x.npz")
