"""The small data sets: what is in the repository is whole, its sources are named, and it can be made again."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcls_lite.utils.errors import UserError
from tests.helpers.data_sets import contents, layout_problems, read_list, run_tool, table_rows
from tests.helpers.scripts import ROOT
from tools.data import collect_det_materials as materials
from tools.data import make_documented_images as documented
from tools.data import make_lite_data as lite
from tools.data.sources.image_folder import replace_folder

LITE = ROOT / "lite_data"
LABELS = ROOT / "ppcls_lite/utils/imagenet1k_label_list.txt"


def source_problems(folder):
    """Images without a source, and stamps or background images that are in both splits."""
    rows = table_rows(folder / "SOURCES.md")
    listed = {path for split in ("train", "val") for path, _ in read_list(folder, split)}
    problems = [f"{path}: not in SOURCES.md" for path in sorted(listed - {row[0] for row in rows})]
    problems += [f"{row[0]}: a cell is empty" for row in rows if len(row) != 5 or not all(row)]
    for column in (1, 3):
        used = {s: {r[column] for r in rows if r[0].startswith(f"{s}/")} for s in ("train", "val")}
        shared = used["train"] & used["val"] - {"plain"}
        problems += [f"{name}: in both splits" for name in sorted(shared)]
    return problems


@pytest.fixture
def lite_copy(tmp_path):
    return Path(shutil.copytree(LITE, tmp_path / "lite_data"))


def test_lite_data_is_whole():
    assert layout_problems(LITE, lite.PER_CLASS) == []
    assert source_problems(LITE) == []
    assert len((LITE / "label_list.txt").read_text(encoding="utf-8").splitlines()) >= 5
    images = list(LITE.rglob("*.jpg"))
    assert sum(path.stat().st_size for path in images) < 10e6
    assert min(min(cv2.imread(str(path)).shape[:2]) for path in images) >= 250


def test_lite_data_is_what_the_script_says():
    rows = {row[0]: row[1] for row in table_rows(LITE / "SOURCES.md")}
    for name, splits in lite.CLASSES.items():
        for split, text in splits.items():
            stamps = {f"{stamp}.png" for stamp in lite.parse_stamps(text)}
            assert {s for path, s in rows.items() if path.startswith(f"{split}/{name}/")} == stamps


def test_texts_of_the_sources_are_those_of_the_scripts():
    for path, text in (
        (LITE / "SOURCES.md", lite.lite_sources([], 2022)),
        (ROOT / "tools/data/materials/SOURCES.md", materials.sources([])),
    ):
        assert path.read_text(encoding="utf-8").startswith(text)


def test_every_stated_licence_is_of_a_stamp_in_use():
    used = {s for c in lite.CLASSES.values() for text in c.values() for s in lite.parse_stamps(text)}
    assert set(lite.STATED_LICENCES) <= used
    text = (LITE / "SOURCES.md").read_text(encoding="utf-8")
    assert all(f"| {stamp}.png | {licence} |" in text for stamp, licence in lite.STATED_LICENCES.items())


def test_an_image_that_is_missing_is_seen(lite_copy):
    (lite_copy / read_list(lite_copy, "val")[0][0]).unlink()
    assert any("differ" in line for line in layout_problems(lite_copy))


def test_an_image_that_is_not_listed_is_seen(lite_copy):
    shutil.copy(lite_copy / "val/bird/owl_0.jpg", lite_copy / "val/bird/second.jpg")
    assert layout_problems(lite_copy) == ["val/bird/second.jpg: listed and files differ"]


def test_a_wrong_class_and_a_wrong_count_are_seen(lite_copy):
    path = lite_copy / "val_list.txt"
    path.write_text(path.read_text().replace("val/bird/owl_0.jpg 0", "val/bird/owl_0.jpg 1"))
    found = layout_problems(lite_copy, lite.PER_CLASS)
    assert "val/bird/owl_0.jpg: wrong class" in found
    assert "val/bird: 7 images" in found


def test_a_broken_image_is_seen(lite_copy):
    (lite_copy / "val/bird/owl_0.jpg").write_bytes(b"not an image")
    assert layout_problems(lite_copy) == ["val/bird/owl_0.jpg: does not decode or has the wrong size"]


def test_a_missing_source_and_a_shared_stamp_are_seen(lite_copy):
    path = lite_copy / "SOURCES.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("| val/bird/owl_0.jpg |", "| val/bird/other.jpg |"), encoding="utf-8")
    assert source_problems(lite_copy) == ["val/bird/owl_0.jpg: not in SOURCES.md"]
    path.write_text(text.replace("birds/owl.png", "birds/crow.png"), encoding="utf-8")
    assert source_problems(lite_copy) == ["animals/birds/crow.png: in both splits"]
    path.write_text(text.replace("brick (brick.png)", "grass (grass.png)"), encoding="utf-8")
    assert source_problems(lite_copy) == ["grass (grass.png): in both splits"]


# ---- making lite_data, from small images made here

TINY = {
    "disc": {"train": "a: red green", "val": "a: blue"},
    "bar": {"train": "b: red", "val": "b: green"},
}


@pytest.fixture
def inputs(tmp_path):
    """(stamps, skimage): discs and bars with alpha, and noise under the names of the real backgrounds."""
    stamps, skimage = tmp_path / "stamps", tmp_path / "skimage"
    skimage.mkdir()
    for folder in "ab":
        (stamps / folder).mkdir(parents=True)
        for i, colour in enumerate(("blue", "green", "red")):
            stamp = np.zeros((60, 80, 4), np.uint8)
            stamp[..., i] = 255
            mask = np.zeros((60, 80), np.uint8)
            if folder == "a":
                cv2.circle(mask, (40, 30), 20, 255, -1)
            else:
                mask[25:35, 5:75] = 255
            stamp[..., 3] = mask
            cv2.imwrite(str(stamps / folder / f"{colour}.png"), stamp)
    noise = np.random.RandomState(0).randint(0, 256, (120, 160, 3)).astype(np.uint8)
    for file in lite.SKIMAGE:
        cv2.imwrite(str(skimage / file), noise)
    return stamps, skimage


def make_tiny(inputs, output, seed=1):
    return lite.make_lite_data(*inputs, output, seed, classes=TINY, per_class={"train": 3, "val": 2})


def test_lite_data_is_deterministic(inputs, tmp_path):
    assert make_tiny(inputs, tmp_path / "one") == {"train": 6, "val": 4}
    make_tiny(inputs, tmp_path / "two")
    make_tiny(inputs, tmp_path / "other", seed=2)
    assert layout_problems(tmp_path / "one", {"train": 3, "val": 2}) == []
    assert source_problems(tmp_path / "one") == []
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    first, other = contents(tmp_path / "one"), contents(tmp_path / "other")
    assert all(first[path] != other[path] for path in first if path.endswith(".jpg"))


def test_the_stamp_is_in_the_image_and_whole(inputs):
    stamp = lite.read_stamp(inputs[0], "a/red")
    assert stamp.shape == (41, 41, 4)  # cropped to the disc
    for seed in range(5):
        canvas = np.full((256, 320, 3), 255, np.float32)
        image = lite.place_stamp(np.random.RandomState(seed), stamp, canvas)
        red = (image[..., 1] < 50) & (image[..., 2] > 200)
        side = np.flatnonzero(red.any(axis=0))
        assert red.sum() == pytest.approx(np.pi / 4 * (side[-1] - side[0] + 1) ** 2, rel=0.1)
        assert side[-1] - side[0] + 1 <= 41 * lite.MAX_ENLARGEMENT


def test_a_new_set_replaces_an_old_one_and_leaves_nothing_beside_it(inputs, tmp_path):
    make_tiny(inputs, tmp_path / "set", seed=2)
    make_tiny(inputs, tmp_path / "set")
    make_tiny(inputs, tmp_path / "fresh")
    assert contents(tmp_path / "set") == contents(tmp_path / "fresh")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fresh", "set", "skimage", "stamps"]


def test_a_failure_leaves_the_old_set(inputs, tmp_path):
    make_tiny(inputs, tmp_path / "set")
    before = contents(tmp_path / "set")
    (inputs[0] / "b/green.png").unlink()
    with pytest.raises(UserError, match=r"b/green\.png: not found; .*apt-get download"):
        make_tiny(inputs, tmp_path / "set")
    assert contents(tmp_path / "set") == before
    assert not list(tmp_path.glob(".*"))


def test_a_folder_with_other_files_is_refused(inputs, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds 'thesis\.tex'"):
        make_tiny(inputs, tmp_path / "mine")
    assert (tmp_path / "mine/thesis.tex").read_text() == "years of work"
    with pytest.raises(UserError, match="is a file"), replace_folder(tmp_path / "mine/thesis.tex"):
        pass


def test_bad_inputs_are_named(inputs, tmp_path):
    stamps, skimage = inputs
    with pytest.raises(UserError, match=r"no such folder; .*apt-get download tuxpaint-stamps-default && dpkg -x"):
        make_tiny((tmp_path / "none", skimage), tmp_path / "set")
    cv2.imwrite(str(stamps / "a/red.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(UserError, match=r"red\.png: uint8 \(9, 9, 3\), expected 8-bit colour with alpha"):
        make_tiny(inputs, tmp_path / "set")
    cv2.imwrite(str(stamps / "a/red.png"), np.zeros((9, 9, 4), np.uint8))
    with pytest.raises(UserError, match="fully transparent"):
        make_tiny(inputs, tmp_path / "set")
    (skimage / "grass.png").write_text("no image")
    with pytest.raises(UserError, match=r"grass\.png: not an image.*scikit-image"):
        make_tiny(inputs, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_script_says_in_one_line_where_stamps_come_from(tmp_path):
    done = run_tool("make_lite_data", "--stamps", "x", "--skimage", "y", "--output", "z", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: x: no such folder")
    assert done.stderr.count("\n") == 1


# ---- test_images


def image_folder_problems(folder):
    named = {row[0] for row in table_rows(folder / "SOURCES.md") if len(row) == 4 and all(row)}
    found = {path.name for path in folder.iterdir()} - {"SOURCES.md"}
    problems = [f"{name}: image and source differ" for name in sorted(named ^ found)]
    for name in sorted(found):
        image = cv2.imread(str(folder / name))
        if image is None or max(image.shape[:2]) > 512:
            problems.append(f"{name}: does not decode or is large")
    return problems


def test_test_images_have_sources(tmp_path):
    folder = ROOT / "test_images"
    assert image_folder_problems(folder) == []
    assert 4 <= len(list(folder.glob("*.jpg"))) <= 9
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "unknown.jpg").write_bytes(b"?")
    assert len(image_folder_problems(copy)) == 2


def test_test_images_can_be_made(inputs, tmp_path):
    lite.make_test_images(inputs[1], tmp_path / "out")
    assert image_folder_problems(tmp_path / "out") == []
    assert contents(tmp_path / "out")["SOURCES.md"] == (ROOT / "test_images/SOURCES.md").read_bytes()


# ---- the images that PaddleClas's documents name


def documented_image_problems(root):
    """Everything that is wrong with the images and their sources below `root`, as a list of lines."""
    problems = []
    for folder, images in documented.FOLDERS.items():
        rows = {row[0]: row for row in table_rows(root / folder / "SOURCES.md")}
        found = {path.name for path in (root / folder).iterdir()} - {"SOURCES.md"}
        problems += [f"{name}: image and source differ" for name in sorted(found ^ rows.keys())]
        problems += [f"{name}: as no document names it" for name in sorted(found ^ images.keys())]
        for name in sorted(found):
            content = (root / folder / name).read_bytes()
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if not content.startswith(b"\xff\xd8") or image is None or len(content) > 60_000:
                problems.append(f"{name}: no small JPEG")
            if len(rows.get(name, ())) != 6 or not all(rows[name]):
                problems.append(f"{name}: no source or licence")
        if "**Substitutes.**" not in (root / folder / "SOURCES.md").read_text():
            problems.append(f"{folder}: it is not said that they are substitutes")
    return problems


def test_documented_images_are_there_with_their_sources(tmp_path):
    assert documented_image_problems(ROOT) == []
    for folder in documented.FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    first, *_ = sorted((tmp_path / "deploy/images/ImageNet").glob("*.jpeg"))
    first.write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())
    (tmp_path / "docs/images/inference_deployment/whl_demo.jpg").rename(first.parent / "ILSVRC2012_val_1.jpeg")
    assert len(documented_image_problems(tmp_path)) == 6


def test_documented_images_can_be_made(inputs, tmp_path):
    stamps, skimage = inputs
    for images in documented.FOLDERS.values():
        for image in images.values():
            target = stamps / f"{image.stamp}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stamps / "a/red.png", target)
    assert documented.make_images(stamps, skimage, tmp_path / "out") == 5
    assert documented_image_problems(tmp_path / "out") == []
    for folder in documented.FOLDERS:
        made = contents(tmp_path / "out" / folder)
        assert made["SOURCES.md"] == (ROOT / folder / "SOURCES.md").read_bytes()
    with pytest.raises(UserError, match="no such folder; expected the stamps folder"):
        documented.make_images(tmp_path / "none", skimage, tmp_path / "out")


# ---- ImageNet-1k names


def label_problems(text):
    lines = [line.split(" ", 1) for line in text.splitlines()]
    known = """0 tench, Tinca tinca|7 cock|8 hen|82 ruffed grouse, partridge, Bonasa umbellus|
        83 prairie chicken, prairie grouse, prairie fowl|86 partridge|134 crane|332 Angora, Angora rabbit|
        517 crane|999 toilet tissue, toilet paper, bathroom tissue"""
    problems = [] if [line[0] for line in lines] == [str(i) for i in range(1000)] else ["ids are not 0 to 999"]
    problems += [f"line without a name: {line}" for line in lines if len(line) != 2 or not line[1].strip()]
    present = set(text.splitlines())
    return problems + [f"missing: {line.strip()}" for line in known.split("|") if line.strip() not in present]


def test_imagenet_label_list():
    text = LABELS.read_text(encoding="utf-8")
    assert label_problems(text) == []
    lines = text.splitlines()
    lines[7], lines[8] = "7 hen", "8 cock"
    assert label_problems("\n".join(lines)) == ["missing: 7 cock", "missing: 8 hen"]
    assert "ids are not 0 to 999" in label_problems("\n".join(text.splitlines()[:-1]))
