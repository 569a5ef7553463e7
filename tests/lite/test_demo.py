"""The demo for devices: its settings, and all of it but Paddle Lite on an emulated ARM processor."""

import shutil
import subprocess

import numpy as np
import pytest

from tests.helpers.scripts import LIMIT, ROOT, assert_one_line

WRITE, CHECK = "deploy/lite/write_demo.py", "deploy/lite/check_demo.py"
SETTINGS = """clas_model_file net.nb
label_path label_list.txt
resize_short_size 36
crop_size 32
resize_size 0
visualize 0
num_threads 1
batch_size 1
precision FP32
runtime_device arm_cpu
enable_benchmark 0
tipc_benchmark 0
scale 0.003921569
mean 0.485,0.456,0.406
std 0.229,0.224,0.225
channel_order RGB
topk 5
"""


@pytest.fixture
def demo(run_here, exported, tmp_path):
    """(its folder, a file of made-up scores) for the small network and the images of test_images."""
    folder = tmp_path / "demo"
    words = ["--images", ROOT / "test_images", "--nb", "net.nb", "--output", folder]
    done = run_here(WRITE, exported.model, *words)
    assert done.status == 0, done.err
    scores = np.random.default_rng(5).random((5, 1, 3)).astype(np.float32)
    np.savez(tmp_path / "expected.npz", out=scores, **{"~out": scores})
    return folder, tmp_path / "expected.npz"


def change(folder, old, new, name="config.txt"):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_the_settings_are_those_of_the_model(demo):
    folder, _ = demo
    assert (folder / "config.txt").read_text() == SETTINGS
    assert (folder / "label_list.txt").read_text() == "0 red\n1 green\n2 blue\n"
    assert len((folder / "images.txt").read_text().splitlines()) == 5
    with np.load(folder / "inputs.npz") as content:
        assert content["image"].shape == (5, 3, 32, 32)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("resize_short: 36", "resize_short: 36\n      interpolation: bicubic", "backend cv2, bilinear, and no other"),
        ("resize_short: 36", "resize_short: 36\n      backend: pil", "backend cv2, bilinear, and no other"),
        ("to_rgb: true", "to_rgb: true\n      backend: pil", "DecodeImage: the demo has no channel_first and"),
        ("- CropImage:", "- CropImage:\n      size: 32\n  - CropImage:", "in this order, found"),
    ],
)
def test_a_transform_that_the_demo_has_not_is_named(run_here, exported, tmp_path, old, new, expected):
    model = tmp_path / "model"
    shutil.copytree(exported.model, model)
    text = (model / "inference.yml").read_text()
    assert old in text
    (model / "inference.yml").write_text(text.replace(old, new))
    done = run_here(WRITE, model, "--images", ROOT / "test_images", "--output", tmp_path / "demo")
    assert done.status == 77, done.err
    assert expected in done.out
    assert not (tmp_path / "demo/config.txt").exists()


def test_the_predictions_of_a_detector_are_not_the_demos(run_here, exported_detector, tmp_path):
    done = run_here(WRITE, exported_detector[1], "--images", ROOT / "test_images", "--output", tmp_path / "demo")
    assert done.status == 77
    assert done.out == "the demo classifies, and this model's predictions are DetectionBoxes\n"
    assert not (tmp_path / "demo").exists()


# ------------------------------------------------------------------------------------------------------- under qemu

needs_arm = pytest.mark.skipif(
    not all(map(shutil.which, ("aarch64-linux-gnu-g++", "qemu-aarch64", "make"))),
    reason="no compiler for ARM, or no emulator (Debian: make g++-aarch64-linux-gnu qemu-user)",
)


@pytest.fixture(scope="module")
def arm_program(tmp_path_factory):
    """The demo for ARM, built once; the tests below take it instead of building their own."""
    folder = tmp_path_factory.mktemp("build")
    words = ["make", "-s", "-C", str(ROOT / "deploy/lite"), "check", f"BUILD={folder}"]
    subprocess.run(words, check=True, timeout=LIMIT)
    return folder / "clas_check"


@pytest.fixture
def check(run_here, arm_program, demo, monkeypatch, tmp_path):
    """`check()` runs check_demo.py on the demo."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/make").write_text(f'#!/bin/sh\nfor word; do :; done\nexec cp {arm_program} "${{word#BUILD=}}/"\n')
    (tmp_path / "bin/make").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return lambda: run_here(CHECK, demo[0], "--expected", demo[1])


@needs_arm
def test_inputs_and_lines_are_those_of_predict_cls(check):
    done = check()
    assert done.status == 0, done.err
    assert "demo: the inputs of 5 images [3, 32, 32] are bit by bit those of predict_cls.py\n" in done.out
    assert "demo: its 5 lines are those of predict_cls.py\n" in done.out


@needs_arm
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("mean 0.485", "mean 0.4850001", "image 0 is prepared as"),
        ("channel_order RGB", "channel_order BGR", "image 0 is prepared as"),
        ("std 0.229", "std 0.225", "image 0 is prepared as"),
        ("resize_short_size 36", "resize_short_size 37", "image 0 is prepared as"),
        ("crop_size 32", "crop_size 30", "the demo prepares 13500 numbers, predict_cls.py 15360"),
    ],
)
def test_a_fault_in_the_settings_is_seen(check, demo, old, new, expected):
    change(demo[0], old, new)
    assert_one_line(check(), expected)


@needs_arm
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("crop_size 32\n", "", "the key crop_size is missing"),
        ("crop_size 32\n", "crop_size 32\ncrop_size 32\n", "config.txt:5: unknown key, or there twice: crop_size"),
        ("visualize 0", "visualise 0", "config.txt:6: unknown key, or there twice: visualise"),
        ("visualize 0", "visualize 1", "config.txt:6: visualize: expected 0: this demo does not draw, found 1"),
        ("num_threads 1", "num_threads two", "num_threads: expected a whole number of at least 1, found two"),
        ("std 0.229,", "std 0,", "std: expected three numbers other than 0"),
        ("crop_size 32", "crop_size 3200", "CropImage: the image is "),
    ],
)
def test_a_wrong_line_of_the_settings_is_named(check, demo, old, new, expected):
    change(demo[0], old, new)
    assert_one_line(check(), expected)


@needs_arm
def test_labels_of_other_classes_are_refused(check, demo):
    change(demo[0], "2 blue\n", "", "label_list.txt")
    assert_one_line(check(), "has 2 names, and the model has 3 classes")


def test_without_a_compiler_it_is_skipped(run_here, demo, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = run_here(CHECK, demo[0], "--expected", demo[1])
    assert done.status == 77
    assert done.out == (
        "no aarch64-linux-gnu-g++ and no qemu-aarch64 and no make (Debian: apt-get install make g++-aarch64-linux-gnu"
        " qemu-user)\n"
    )
