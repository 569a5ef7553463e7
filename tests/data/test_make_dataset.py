"""tools/data/make_dataset.py: from anybody's folder of images to lists, and every fault named with its file."""

import io
import os
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from ppcls_lite.data.image_lists import read_list
from tests.helpers.data_sets import contents, run_tool
from tests.helpers.scripts import assert_one_line
from tools.data.sources.image_check import Checked, check_files, seen_by_pillow
from tools.data.sources.own_set import Entry, sort_out, split_classes

RNG = np.random.default_rng(3)


def noise(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype)


def save(path, array=None, kind=None, **options):
    """An image of noise; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = noise(40, 50, 3) if array is None else array
    Image.fromarray(array).save(path, kind or {".jpg": "JPEG"}.get(path.suffix), **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """`tmp_path/images` with two classes of 12 images, one with a space in its name."""
    root = tmp_path / "images"
    for name in ("big dog", "猫"):
        for number in range(12):
            save(root / name / f"图 {number}.png")
    return root


@pytest.fixture
def make(run_here, tmp_path, folder):
    """`make(*options)` runs the command in this process, with one worker, into `tmp_path/set`."""

    def run(*options):
        places = ["--images", folder, "--output", tmp_path / "set", "--workers", 1]
        return run_here("tools/data/make_dataset.py", *places, *options)

    return run


def lists_of(target):
    """{split: [(path below the folder of images, label)]}"""
    rows = {split: read_list(target / f"{split}_list.txt") for split in ("train", "val")}
    for entry in (*rows["train"], *rows["val"]):
        assert entry.path.startswith("images/")
        assert (target / entry.path).is_file()
    return {split: [(entry.path[len("images/") :], entry.label) for entry in listed] for split, listed in rows.items()}


def problems_of(outcome):
    """{file: what is wrong} of what was printed."""
    lines = [line.split(": ", 2) for line in outcome.out.splitlines() if line.startswith("problem: ")]
    return {path: what for _, path, what in lines}


# ---------------------------------------------------------------- what is written


def test_lists_config_and_report(make, folder, tmp_path):
    before = contents(folder)
    outcome = make("--val", "0.25", "--size", "64")
    assert (outcome.status, outcome.err) == (0, "")
    target = tmp_path / "set"
    rows = lists_of(target)
    names = {path for listed in rows.values() for path, _ in listed}
    assert names == {f"{name}/图 {number}.png" for name in ("big dog", "猫") for number in range(12)}
    assert all(label == ("猫" in path) for listed in rows.values() for path, label in listed)
    assert all(0 < sum(label == one for _, label in rows["val"]) < 12 for one in (0, 1))
    assert (target / "label_list.txt").read_text(encoding="utf-8") == "0 big dog\n1 猫\n"
    assert (target / "report.txt").read_text(encoding="utf-8") in outcome.out
    assert f"total: 2 classes, {len(rows['train'])} training, {len(rows['val'])} validation images" in outcome.out
    config = yaml.safe_load((target / "config.yaml").read_text(encoding="utf-8"))
    assert config["Arch"]["class_num"] == 2
    assert config["Global"]["image_shape"] == [3, 64, 64]
    train, judged = (config["DataLoader"][part]["dataset"] for part in ("Train", "Eval"))
    assert train["image_root"] == judged["image_root"] == str(target)
    assert (target / "images").resolve() == folder.resolve()
    assert (train["cls_label_path"], judged["cls_label_path"]) == tuple(
        f"{target}/{split}_list.txt" for split in ("train", "val")
    )
    assert contents(folder) == before  # the user's images are only read


def test_a_copy_stands_alone(make, folder, tmp_path):
    (folder / "big dog" / "link.png").symlink_to(save(tmp_path / "elsewhere.png"))
    assert make("--copy").status == 0
    images = tmp_path / "set/images"
    assert not images.is_symlink()
    paths = [path for listed in lists_of(tmp_path / "set").values() for path, _ in listed]
    assert len(paths) == 25
    assert all((images / path).read_bytes() == (folder / path).read_bytes() for path in paths)
    assert not (images / "big dog/link.png").is_symlink()


def test_a_relative_folder_can_be_moved_with_the_lists(make, folder, tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    folder.rename(tmp_path / "one/images")
    monkeypatch.chdir(tmp_path / "one")
    assert make("--images", "images", "--output", "sets/mine").status == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").rename(tmp_path / "two")
    assert sum(map(len, lists_of(tmp_path / "two/sets/mine").values())) == 24


def test_it_can_be_made_again_and_the_users_config_stays(make, folder, tmp_path):
    assert make().status == 0
    config = tmp_path / "set/config.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    first = contents(tmp_path / "set")
    assert make().status == 0
    assert contents(tmp_path / "set") == first
    save(folder / "third" / "a.png")
    outcome = make()
    assert (
        "config.yaml: kept as it is: delete it for a new one; its Arch.class_num is 2, and there are 3" in outcome.out
    )
    assert config.read_text(encoding="utf-8").endswith("# mine\n")


def test_what_is_not_its_own_is_refused(make, folder, tmp_path):
    target = tmp_path / "set"
    target.mkdir()
    (target / "train_list.txt").write_text("years of work")
    assert_one_line(make(), "set: is there already, and this command has not made it")
    assert contents(target) == {"train_list.txt": b"years of work"}
    for output in (folder, folder / "lists", tmp_path):
        assert_one_line(make("--output", output), "expected a folder that neither holds")
    assert_one_line(make("--output", target / "train_list.txt"), "is there already")


@pytest.mark.parametrize(
    "option", [("--val", "0"), ("--val", "1"), ("--size", "0"), ("--workers", "0"), ("--seed", "-1")]
)
def test_wrong_options(make, tmp_path, option):
    outcome = make(*option)
    assert outcome.status == 2
    assert f"{option[0]}: expected " in outcome.err
    assert not (tmp_path / "set").exists()


def test_too_little_is_refused(run_here, tmp_path):
    def run():
        return run_here("tools/data/make_dataset.py", "--images", tmp_path / "x", "--output", tmp_path / "set")

    assert_one_line(run(), "x: no such folder")
    save(tmp_path / "x/a.png")
    assert_one_line(run(), "x: has no subfolder")
    save(tmp_path / "x/one/a.png")
    assert_one_line(run(), "images of two classes are needed, found 1 (one)")
    save(tmp_path / "x/two/a.png")
    assert_one_line(run(), "no image is left for val_list.txt")
    assert not (tmp_path / "set").exists()


# ---------------------------------------------------------------- the split


def entries(count, name="a"):
    return [Entry(f"{name}/{number}", name, None, f"{name}{number}") for number in range(count)]


def validated(found):
    return {entry.path for entry in found if entry.split == "val"}


def test_new_images_move_no_others():
    many = entries(1000)
    first, second = validated(split_classes(many[:500], 0.2, 0)), validated(split_classes(many, 0.2, 0))
    assert first == {path for path in second if int(path[2:]) < 500}
    assert 150 < len(second) < 250
    assert second != validated(split_classes(many, 0.2, 1))
    renamed = [entry._replace(path=f"b/{entry.path}") for entry in many]
    assert {path[2:] for path in validated(split_classes(renamed, 0.2, 0))} == second


@pytest.mark.parametrize(("count", "judged"), [(1, 0), (2, 1), (3, 1)])
@pytest.mark.parametrize("val", [0.001, 0.999])
def test_small_classes_have_an_image_on_either_side(count, judged, val):
    found = split_classes(entries(count), val, 0)
    assert len(found) == count
    assert len(validated(found)) == (judged if val < 0.5 else count - 1)


def test_folders_of_a_split_are_the_split(run_here, tmp_path):
    root = tmp_path / "images"
    for number in range(3):
        for place in ("Train/cat", "Train/dog", "valid/cat", "valid/dog", "test/cat"):
            save(root / place / f"{number}.png")
    again = save(root / "Train/dog/again.png", cv2.imread(str(root / "valid/dog/1.png")))
    again.write_bytes((root / "valid/dog/1.png").read_bytes())
    outcome = run_here("tools/data/make_dataset.py", "--images", root, "--output", tmp_path / "set", "--workers", 1)
    assert outcome.status == 0, outcome.err
    assert problems_of(outcome) == {
        "test": "neither for training nor for validation",
        "Train/dog/again.png": "the same image is in both splits, as valid/dog/1.png",
    }
    rows = lists_of(tmp_path / "set")
    assert rows["val"] == [
        (f"valid/{name}/{n}.png", label) for label, name in enumerate(("cat", "dog")) for n in range(3)
    ]
    assert {path.split("/")[0] for path, _ in rows["train"]} == {"Train"}
    assert len(rows["train"]) == 6


def test_classes_that_are_numbers_are_in_their_order(make, folder, tmp_path):
    for name in ("10", "9", "2"):
        for number in range(2):
            save(tmp_path / "numbers" / name / f"{number}.png")
    assert make("--images", tmp_path / "numbers").status == 0
    assert (tmp_path / "set/label_list.txt").read_text() == "0 2\n1 9\n2 10\n"


# ---------------------------------------------------------------- files of every kind


def test_the_same_image_counts_once_and_in_one_class():
    one, two, other = (Entry(path, path[0], None, "x") for path in ("a/1", "a/2", "b/1"))
    assert sort_out([two, one]) == ([one], [("a/2", "the same image is there twice, as a/1")])
    kept, problems = sort_out([one, other])
    assert kept == []
    assert problems == [
        ("a/1", "the same image is in two classes: b/1"),
        ("b/1", "the same image is in two classes: a/1"),
    ]


def damaged_animation():
    """A PNG of three frames with a second header for one of them, which OpenCV 4.11 does not survive."""
    stream, frames = io.BytesIO(), [Image.fromarray(noise(6, 8, 3)) for _ in range(3)]
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    data, chunks, at = stream.getvalue(), [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    first = next(number for number, (kind, _) in enumerate(chunks) if kind == b"fdAT")
    chunks.insert(first, chunks[first - 1])
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return data[:8] + b"".join(parts)


def test_files_that_no_training_can_use(make, folder, tmp_path):
    dog = folder / "big dog"
    whole = save(tmp_path / "whole.jpg", noise(200, 300, 3)).read_bytes()
    (dog / "cut.jpg").write_bytes(whole[:-2000])
    (dog / "text.jpg").write_text("hello")
    (dog / "zero.jpg").touch()
    (dog / "notes.txt").write_text("notes")
    (dog / "broken.jpg").symlink_to("gone.jpg")
    (dog / "loop").symlink_to(".")
    (dog / "new\nline.jpg").write_bytes(whole)
    os.mkfifo(dog / "pipe.jpg")
    save(dog / "animated.jpg", kind="GIF")
    save(folder / "stray.png")
    (folder / "empty").mkdir()
    (dog / "twice.png").write_bytes((dog / "图 0.png").read_bytes())
    (folder / "猫" / "other.png").write_bytes((dog / "图 1.png").read_bytes())
    with open(os.fsencode(dog) + b"/\xff.jpg", "wb") as stream:
        stream.write(whole)
    outcome = make()
    assert (outcome.status, outcome.err) == (0, "")
    found = problems_of(outcome)
    expected = {
        "big dog/text.jpg": "not a decodable image (5 bytes)",
        "big dog/zero.jpg": "an empty file",
        "big dog/notes.txt": "the ending is not an image's; known: .jpg",
        "big dog/broken.jpg": "a link to a file that is not there",
        "big dog/loop": "a link to a folder that is read already",
        "'big dog/new\\nline.jpg'": "a list cannot hold its name",
        "big dog/pipe.jpg": "not a file of data",
        "big dog/animated.jpg": "a GIF, which not every version of OpenCV decodes",
        "stray.png": "not in the folder of a class",
        "empty": "a class without an image that can be used",
        "big dog/图 0.png": "the same image is there twice, as big dog/twice.png",
        "big dog/图 1.png": "the same image is in two classes: 猫/other.png",
        "猫/other.png": "the same image is in two classes: big dog/图 1.png",
        "big dog/\\xff.jpg": "its name is not UTF-8",
    }
    assert re.match("damaged or cut off|not a decodable image", found.pop("big dog/cut.jpg"))
    assert {path: found.get(path, "")[: len(what)] for path, what in expected.items()} == expected
    assert found.keys() == expected.keys()
    listed = {path for rows in lists_of(tmp_path / "set").values() for path, _ in rows}
    assert len(listed) == 23
    assert_one_line(make("--strict"), f"{len(expected) + 1} problems, and --strict: nothing is written")


def test_a_cut_file_is_noticed_where_opencv_fills_it(folder):
    """OpenCV before 4.11 gives the part that is there, and grey below it."""
    data = save(folder / "big dog/whole.jpg", noise(200, 300, 3)).read_bytes()
    assert seen_by_pillow("a.jpg", data) == ("", ())
    fault, _ = seen_by_pillow("a.jpg", data[:-2000])
    assert fault.startswith("damaged or cut off (image file is truncated")


def test_what_is_unusual_is_counted_and_listed(make, folder, tmp_path):
    dog = folder / "big dog"
    Image.fromarray(noise(40, 50, 3)).convert("CMYK").save(dog / "cmyk.jpg")
    cv2.imwrite(str(dog / "deep.png"), noise(40, 50, dtype=np.uint16))
    save(dog / "grey.png", noise(40, 50))
    save(dog / "alpha.png", noise(40, 50, 4))
    save(dog / "tiny.png", noise(3, 50, 3))
    save(dog / "other.jpg", kind="PNG")
    frames = [Image.fromarray(noise(40, 50, 3)) for _ in range(2)]
    frames[0].save(dog / "animated.webp", save_all=True, append_images=frames[1:])
    for name in (".hidden.jpg", "Thumbs.db", "desktop.ini"):
        (dog / name).write_bytes(b"x")
    outcome = make()
    assert (outcome.status, problems_of(outcome)) == (0, {})
    for note in (
        "CMYK",
        "more than 8 bits per value",
        "grey",
        "alpha",
        "smaller than 32 pixels",
        "PNG under another ending",
    ):
        assert f"note: 1 image: {note}; the first is big dog/" in outcome.out
    assert "note: 1 image: several frames, of which the first counts" in outcome.out
    assert "note: passed over: 3 hidden or system files" in outcome.out
    assert sum(map(len, lists_of(tmp_path / "set").values())) == 24 + 7


def test_classes_that_differ_much_are_named(make, folder):
    save(folder / "one" / "a.png")
    outcome = make()
    assert "class 1 one: 1 training, 0 validation; none for validation" in outcome.out
    assert "note: imbalanced: 12 images of big dog, 1 of one" in outcome.out


# ---------------------------------------------------------------- a decoder that crashes


def end_on_crash(path):
    """As `check_file`, by a decoder that does not survive some files."""
    if "crash" in path:
        os.abort()
    return Checked(path, "", path)


def test_a_crash_names_its_file_and_spares_the_others():
    paths = [f"{'crash' if number in (0, 3) else 'file'} {number}" for number in range(20)]
    calls = []
    found = check_files(paths, 2, lambda: calls.append(1), end_on_crash)
    assert {path for path in paths if found[path].fault} == {"crash 0", "crash 3"}
    assert found["crash 3"].fault == "the decoder crashes on it"
    assert len(calls) == len(found) == 20


def test_a_real_file_that_may_crash_opencv(make, folder, tmp_path):
    (folder / "猫" / "bad.png").write_bytes(damaged_animation())
    outcome = run_tool("make_dataset", "--images", folder, "--output", tmp_path / "set", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    listed = {path for rows in lists_of(tmp_path / "set").values() for path, _ in rows}
    assert len(listed) - 24 == ("猫/bad.png: " not in outcome.stdout)  # another OpenCV may read it
