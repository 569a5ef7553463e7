"""The detection sets that tools/data/make_det_data.py makes: lite_data_det, their images and boxes, their materials."""

import json

import cv2
import numpy as np
import pytest

from ppcls_lite.data.detection.coco_file import read_coco
from ppcls_lite.utils.errors import UserError
from tests.helpers.detection import LITE
from tools.data import make_det_data as det
from tools.data.sources import stamp_images


def test_lite_set_is_whole_and_small():
    total = sum(path.stat().st_size for path in LITE.rglob("*") if path.is_file())
    assert total < 6_000_000
    for split, count in (("train", 96), ("val", 32)):
        found = read_coco(LITE / f"annotations/instances_{split}.json")
        assert len(found.images) == count
        assert all(len(entry.boxes) for entry in found.images)
        assert {label for entry in found.images for label in entry.labels} == set(range(6))
    names = [line.split(" ", 1)[1] for line in (LITE / "label_list.txt").read_text().splitlines()]
    assert names == found.names


def test_training_and_validation_share_no_material():
    for kind in ("stamps", "backgrounds"):
        folders = [det.MATERIALS / split / kind for split in ("train", "val")]
        contents = [{path.read_bytes() for path in folder.rglob("*.*")} for folder in folders]
        assert all(contents)
        assert not contents[0] & contents[1]
    rows = [line.split(" | ") for line in (det.MATERIALS / "SOURCES.md").read_text().splitlines() if " | " in line]
    listed = {row[0].strip("| ") for row in rows[1:]}
    files = [path for path in det.MATERIALS.rglob("*.*") if path.name != "SOURCES.md"]
    assert listed == {path.relative_to(det.MATERIALS).as_posix() for path in files}
    sources = [{row[1] for row in rows if f"{split}/stamps" in row[0]} for split in ("train", "val")]
    assert not sources[0] & sources[1]


def test_images_of_the_lite_set_are_made_again_byte_for_byte():
    """Where this fails after a change of the code, raise VERSION in make_det_data.py and make the lite set again."""
    manifest = json.loads((LITE / "manifest.json").read_text())
    assert manifest["recipe"]["source"] == det.source_hash(det.MATERIALS)
    for split in ("train", "val"):
        stamps, backgrounds = det.read_materials(det.MATERIALS, split)
        content = json.loads((LITE / f"annotations/instances_{split}.json").read_text())
        for entry in content["images"][:3]:
            random = det.generator(det.SEED, f"{split}/{entry['file_name']}")
            image, objects = det.render(random, stamps, backgrounds, varied=split == "train")
            made = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, det.JPEG_QUALITY])[1].tobytes()
            assert made == (LITE / split / entry["file_name"]).read_bytes()
            boxes = [a["bbox"] for a in content["annotations"] if a["image_id"] == entry["id"]]
            assert [box for _, box, _ in objects] == boxes


@pytest.mark.parametrize("varied", [False, True])
def test_boxes_are_those_of_the_visible_alpha(monkeypatch, varied):
    """One white stamp on black: what is seen of it in the image is in its box."""
    for name, value in {"PLAIN_SHARE": 0, "TEXTURE_SHARE": 0, "OBJECTS": (1, 1)}.items():
        monkeypatch.setattr(stamp_images, name, value)
    stamp = np.zeros((40, 60, 4), np.uint8)
    stamp[5:35, 10:50] = 255
    for number in range(12):
        backgrounds = [np.zeros((40, 60, 3), np.uint8)]
        image, objects = det.render(np.random.RandomState(number), {"only": [stamp]}, backgrounds, varied)
        ((_, (x, y, w, h), area),) = objects
        shown = (image > 80).all(axis=2)
        columns, rows = np.flatnonzero(shown.any(axis=0)), np.flatnonzero(shown.any(axis=1))
        np.testing.assert_allclose([x, y, x + w, y + h], [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], atol=1)
        assert area == pytest.approx(shown.sum(), rel=0.1)


def test_what_is_hidden_is_not_in_a_box():
    low, high = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    low[4:14, 5:25] = high[4:20, 15:30] = True
    assert stamp_images.bounding_box(low & ~high) == [5, 4, 10, 10]
    assert stamp_images.shared([0, 0, 10, 10], [5, 0, 10, 5]) == 0.5
    assert not stamp_images.is_seen(low & ~high, low.sum() * 2)
    assert not stamp_images.is_seen(np.zeros((20, 30), bool), 0)  # wholly beyond the border


def test_a_complete_set_is_left_alone_and_a_damaged_one_is_made_again(tmp_path, capsys):
    target = tmp_path / "set"
    arguments = ["--output", str(target), "--train", "3", "--val", "2"]
    det.main(arguments)
    kept = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    stamp = (target / "train/00001.jpg").stat().st_mtime_ns
    det.main(arguments)
    assert "complete, left alone" in capsys.readouterr().out
    assert (target / "train/00001.jpg").stat().st_mtime_ns == stamp
    (target / "val/00001.jpg").unlink()
    det.main(arguments)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == kept
    det.main([*arguments[:-1], "1"])
    assert not (target / "val/00002.jpg").exists()


def test_faults_of_the_materials_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no folders of stamps; tools/data/collect_det_materials.py makes them"):
        det.main(["--output", str(tmp_path / "set"), "--materials", str(tmp_path / "nothing")])
    with pytest.raises(UserError, match="--train: expected a whole number of at least 1, found 0"):
        det.main(["--output", str(tmp_path / "set"), "--train", "0"])
    assert not (tmp_path / "set").exists()
