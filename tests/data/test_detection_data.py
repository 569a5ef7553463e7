"""Detection data: COCO files and their faults, transforms that move boxes with the image, batches."""

import copy
import json

import cv2
import numpy as np
import pytest

from ppcls_lite.data.batch import DetectionTarget
from ppcls_lite.data.detection import build_det_transforms, new_sample
from ppcls_lite.data.detection.coco_file import read_coco
from ppcls_lite.data.detection.dataset import COCODataSet
from ppcls_lite.data.loader import build_loader
from ppcls_lite.utils.errors import UserError
from tests.helpers.detection import MOVING, STILL, make_config, write_set

TARGET = {"Gt2CenterNetTarget": {"max_objs": 4}}


@pytest.fixture
def folder(tmp_path):
    """A fresh tiny set that a test may damage."""
    return write_set(tmp_path / "set")


def change(folder, edit):
    """Apply `edit` to the content of the training annotations; returns their path."""
    path = folder / "annotations/train.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def dataset(folder, **options):
    ops = [*STILL, TARGET]
    return COCODataSet(str(folder), "train", "annotations/train.json", transform_ops=ops, **options)


# ---- annotation files


def test_a_good_file_is_read_whole(folder):
    found = read_coco(folder / "annotations/train.json")
    assert (len(found.images), found.names, found.category_ids) == (12, ["square", "disc", "bar"], [3, 5, 9])
    content = json.loads((folder / "annotations/train.json").read_text())
    assert sum(len(image.boxes) for image in found.images) == len(content["annotations"])
    first = content["annotations"][0]
    (image,) = [image for image in found.images if image.image_id == first["image_id"]]
    x, y, w, h = first["bbox"]
    assert image.boxes[0].tolist() == [x, y, x + w, y + h]
    assert found.category_ids[image.labels[0]] == first["category_id"]


def set_box(*box):
    return lambda content: content["annotations"][1].update(bbox=list(box))


FAULTS = {
    "outside": (set_box(50, 2, 30, 10), r"annotations\[1\] \(image \d+.png\): the box .* beyond the image of \d+x"),
    "negative": (set_box(-5, 2, 30, 10), "beyond the image"),
    "flat": (set_box(5, 2, 0, 10), r"the box \[5, 2, 0, 10\] has no area"),
    "backwards": (set_box(5, 2, 4, -1), "has no area"),
    "three numbers": (set_box(5, 2, 4), r"expected bbox \[x, y, width, height\]"),
    "text": (set_box("5", 2, 4, 4), r"expected bbox \[x, y, width, height\]"),
    "huge": (set_box(1, 2, 10**400, 4), r"expected bbox \[x, y, width, height\]"),
    "list as category": (lambda c: c["annotations"][1].update(category_id=[3]), r"unknown category \[3\]"),
    "truth as category": (lambda c: c["annotations"][1].update(category_id=True), "unknown category True"),
    "mapping as image": (lambda c: c["annotations"][1].update(image_id={}), "there is no image with id {}"),
    "list as id": (lambda c: c["images"][1].update(id=[1]), r"images\[1\]: expected a whole number as id, found \[1\]"),
    "text as id": (lambda c: c["images"][1].update(id="a"), "expected a whole number as id, found 'a'"),
    "huge size": (lambda c: c["images"][1].update(width=10**400), r"images\[1\]: expected a file_name, width and"),
    "infinite": (set_box(1, 2, float("inf"), 4), r"expected bbox \[x, y, width, height\]"),
    "category": (lambda c: c["annotations"][1].update(category_id=4), "unknown category 4; the file has 3, 5, 9"),
    "image": (lambda c: c["annotations"][1].update(image_id=1), "there is no image with id 1"),
    "no box": (lambda c: c["annotations"][1].pop("bbox"), r"annotations\[1\]: 'bbox' is missing"),
    "twice": (lambda c: c["images"][1].update(id=10), r"images\[1\]: there is another image with id 10"),
    "no size": (lambda c: c["images"][1].update(width=0), r"images\[1\]: expected a file_name, width and height"),
    "category twice": (lambda c: c["categories"][1].update(id=3), r"categories\[1\]: expected a name and an id of its"),
    "section": (lambda c: c.pop("categories"), "expected lists images, annotations, categories; no 'categories'"),
    "nothing": (lambda c: c.update(images=[], annotations=[]), "at least one image"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_file_is_one_line(folder, fault):
    edit, message = FAULTS[fault]
    path = change(folder, edit)
    with pytest.raises(UserError, match=message) as caught:
        read_coco(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not a JSON file"), ("[1]", "not in COCO's format"), (None, "no such annotation file")]
)
def test_a_file_of_another_format_is_one_line(tmp_path, text, message):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=f"{path}: {message}"):
        read_coco(path)


def test_bad_boxes_can_be_left_out_and_are_counted(folder, caplog):
    change(folder, set_box(5, 2, 0, 10))
    whole = sum(len(entry.boxes) for entry in read_coco(folder / "annotations/train.json", "skip").images)
    content = json.loads((folder / "annotations/train.json").read_text())
    assert whole == len(content["annotations"]) - 1
    with caplog.at_level("WARNING", logger="ppcls_lite"):
        import logging

        logging.getLogger("ppcls_lite").propagate = True
        dataset(folder, bad_boxes="skip", allow_empty=True)
    assert "1 boxes left out, the first is" in caplog.text
    with pytest.raises(UserError, match="bad_boxes: expected one of 'error', 'skip', found 'skipp'"):
        dataset(folder, bad_boxes="skipp")


def test_crowds_are_left_out_and_a_pixel_beyond_the_border_is_cut(folder):
    def edit(content):
        content["annotations"][0]["iscrowd"] = 1
        image = content["images"][3]
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != image["id"]]
        box = [-0.5, 2, 10, image["height"] - 1.5]
        content["annotations"].append({"id": 99, "image_id": image["id"], "category_id": 5, "bbox": box, "area": 1})

    before = sum(len(entry.boxes) for entry in read_coco(folder / "annotations/train.json").images)
    found = read_coco(change(folder, edit)).images
    assert sum(len(image.boxes) for image in found) <= before
    assert found[3].boxes.tolist() == [[0, 2, 9.5, found[3].height]]


# ---- the data set


def test_images_without_boxes_are_named_unless_allowed(folder):
    change(folder, lambda c: c.update(annotations=[a for a in c["annotations"] if a["image_id"] not in (12, 14)]))
    with pytest.raises(UserError, match=r"2 of 12 images have no box, the first is 2.png; allow_empty: True"):
        dataset(folder)
    found = dataset(folder, allow_empty=True)
    assert len(found) == 12
    assert not found[2][1].valid.any()  # no valid object


def test_missing_files_are_counted_and_the_first_is_named(folder):
    for name in ("4.png", "7.png"):
        (folder / "train" / name).unlink()
    with pytest.raises(UserError, match=r"train.json: 2 of 12 images are missing, the first is .*train/4.png"):
        dataset(folder)
    with pytest.raises(UserError, match=r"trein: no such folder \(image_dir of .*train.json\)"):
        COCODataSet(str(folder), "trein", "annotations/train.json", transform_ops=[*STILL, TARGET])


def test_an_image_of_another_size_and_one_that_cannot_be_decoded_are_named(folder):
    found = dataset(folder)
    cv2.imwrite(str(folder / "train/1.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(UserError, match=r"1.png: the image is 30x20, and .*train.json says 48x60"):
        found[1]
    (folder / "train/1.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1.png: not a decodable image"):
        found[1]


def test_number_of_classes_and_targets_are_checked(folder):
    with pytest.raises(UserError, match=r"3 categories, but Arch.class_num is 4"):
        dataset(folder, class_num=4)
    with pytest.raises(UserError, match="Gt2CenterNetTarget is missing"):
        COCODataSet(str(folder), "train", "annotations/train.json", transform_ops=STILL)


def test_a_sample_depends_on_seed_epoch_and_index_only(folder):
    first, second = (
        COCODataSet(str(folder), "train", "annotations/train.json", transform_ops=[*MOVING, TARGET], seed=seed)
        for seed in (1, 1)
    )
    second[3, 2]  # another sample before
    (image, target), (other_image, other_target) = first[2, 5], second[2, 5]
    assert (image == other_image).all()
    for one, other in zip(target, other_target):
        assert (one == other).all()
    assert (first[2, 5][0] != first[3, 5][0]).any()
    assert (first.images[5].boxes == second.images[5].boxes).all()  # the file's own boxes are not moved


# ---- transforms


def painted(width=60, height=40, box=(10, 5, 30, 25)):
    """A sample with a white rectangle where its box is."""
    image = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = 255
    return new_sample(image, np.array([box]), np.array([1]), 2)


def white_box(image):
    """(x1, y1, x2, y2) of the bright pixels of an HWC image."""
    bright = (image > 170).all(axis=2)  # brighter than the fill
    columns, rows = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "op",
    [
        {"DetFlip": {"prob": 1}},
        {"DetResize": {"size": [96, 96]}},
        {"DetResize": {"size": [64, 96], "keep_ratio": False}},
        {"DetScaleCrop": {"size": 64, "scale": [0.7, 1.6], "ratio": [0.8, 1.25]}},
    ],
)
def test_boxes_move_with_their_image(op, seed):
    sample = build_det_transforms([op])(painted(), np.random.default_rng(seed))
    if len(sample["boxes"]):
        np.testing.assert_allclose(sample["boxes"][0], white_box(sample["image"]), atol=1.6)


def test_a_transform_that_forgets_the_boxes_would_be_seen(monkeypatch):
    monkeypatch.setattr("ppcls_lite.data.detection.transforms._move", lambda boxes, *_: boxes)
    sample = build_det_transforms([{"DetResize": {"size": 96}}])(painted())
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(sample["boxes"][0], white_box(sample["image"]), atol=1.6)


def test_scale_leads_back_to_the_image_file():
    sample = build_det_transforms([{"DetResize": {"size": [80, 30]}}])(painted())
    scale_y, scale_x = sample["scale_factor"]
    np.testing.assert_allclose(sample["boxes"][0] / [scale_x, scale_y, scale_x, scale_y], [10, 5, 30, 25], rtol=1e-5)
    assert sample["image"].shape == (30, 80, 3)


def test_a_crop_drops_what_is_hardly_visible():
    crop = build_det_transforms([{"DetScaleCrop": {"size": 32, "scale": [4, 4], "min_visible": 0.9}}])
    counts = {len(crop(painted(), np.random.default_rng(seed))["boxes"]) for seed in range(20)}
    assert counts == {0}  # at four times the size, the object is larger than the image
    for seed in range(20):
        sample = build_det_transforms([{"DetScaleCrop": {"size": 64}}])(painted(), np.random.default_rng(seed))
        assert (sample["boxes"] >= 0).all()
        assert (sample["boxes"] <= 64).all()
        assert len(sample["labels"]) == len(sample["boxes"])


def test_colours_change_and_boxes_do_not():
    image = np.random.default_rng(1).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    colourful = new_sample(image, np.array([[1, 2, 3, 4]]))
    op = build_det_transforms([{"DetColor": {"brightness": 0.4, "hue": 30}}])
    sample = op(copy.deepcopy(colourful), np.random.default_rng(1))
    assert sample["boxes"].tolist() == [[1, 2, 3, 4]]
    assert sample["image"].dtype == np.uint8
    assert (sample["image"] != colourful["image"]).any()
    still = build_det_transforms([{"DetColor": {"brightness": 0, "contrast": 0, "saturation": 0}}])
    assert (still(copy.deepcopy(colourful), np.random.default_rng(1))["image"] == colourful["image"]).all()


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([{"RandCropImage": {"size": 64}}], r"\[0\] RandCropImage: it would move the image away from its boxes"),
        ([{"DetFlp": {}}], "did you mean 'DetFlip'"),
        ([{"DetFlip": {"prob": 2}}], r"DetFlip.prob: expected a number from 0 to 1"),
        ([{"DetResize": {}}], "DetResize.size: this option is required"),
        ([{"DecodeImage": {"to_rgb": False}}], "take RGB with the channels last"),
        ("DetFlip", "expected a list of transforms"),
        (["ToCHWImage", "DetFlip"], r"\[1\] DetFlip: expected before ToCHWImage"),
        ([*STILL, "DetColor"], r"DetColor: expected before NormalizeImage"),
        (["Gt2CenterNetTarget", {"Gt2CenterNetTarget": {"down_ratio": 8}}], "down_ratio: expected 4, the stride"),
    ],
)
def test_faults_of_a_transform_list_are_named(ops, message):
    with pytest.raises(UserError, match=message):
        build_det_transforms(ops, "transform_ops")


def test_an_image_that_is_not_normalised_is_refused(folder):
    ops = [op for op in STILL if "NormalizeImage" not in op]
    images = COCODataSet(str(folder), "train", "annotations/train.json", transform_ops=[*ops, TARGET])
    with pytest.raises(UserError, match="the image is uint8: NormalizeImage is missing"):
        images[0]


@pytest.mark.parametrize("name", ["DetFlip", "DetColor"])
def test_hidden_randomness_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} draws random numbers"):
        build_det_transforms([name])(painted())


# ---- batches


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_holds_images_targets_numbers_and_scales(folder, workers, monkeypatch):
    monkeypatch.setattr("ppcls_lite.data.loader._ENOUGH_FOR_WORKERS", 0)
    section = make_config(folder)["DataLoader"]["Eval"]
    section["loader"]["num_workers"] = workers
    batches = list(build_loader(section, "Eval", 0, class_num=3))
    assert [len(batch.images) for batch in batches] == [2, 2, 1]
    images, target = batches[1]
    assert isinstance(target, DetectionTarget)
    assert images.shape == [2, 3, 64, 64]
    assert target.heat.shape == [2, 3, 16, 16]
    assert target.cells.shape == target.valid.shape == [2, 4]
    assert target.sizes.shape == target.offsets.shape == [2, 4, 2]
    assert target.number.tolist() == [2, 3]
    assert target.scale.shape == [2, 2]


def test_images_with_boxes_cannot_be_mixed(folder):
    section = make_config(folder)["DataLoader"]["Train"]
    section["dataset"]["batch_transform_ops"] = [{"MixupOperator": {"alpha": 0.2}}]
    with pytest.raises(UserError, match="batch_transform_ops: images with boxes cannot be mixed"):
        build_loader(section, "Train", 0, class_num=3)
