"""The program under sanitizers: what it prints and saves, images and models that cannot be used, options."""

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml

from tests.cpp.conftest import run_program
from tests.helpers.scripts import ROOT, assert_one_line, results_of, run_process
from tests.helpers.service import encoded, make_image
from tests.serving.test_attack import IMAGES, bomb

DECODED = [kind for kind in IMAGES if kind not in ("animated", "8000x6000")]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder with an image of every kind, one of them in a folder below, and other files."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "below").mkdir()
    for kind in DECODED:
        where = folder / "below" if kind == "EXIF" else folder
        (where / f"{kind}.jpg").write_bytes(IMAGES[kind]())
    (folder / "notes.md").write_text("no image")
    return folder


@pytest.fixture
def model(exported, tmp_path):
    """A copy of the exported classifier, to be damaged."""
    return shutil.copytree(exported.model, tmp_path / "model")


def change(model, **sections):
    """Merge mappings into the sections of the model's inference.yml."""
    path = model / "inference.yml"
    content = yaml.safe_load(path.read_text())
    for section, values in sections.items():
        content[section] = {**(content.get(section) or {}), **values}
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def python_lines(script, model, source, *options):
    words = [
        f"Global.inference_model_dir={model}",
        f"Global.infer_imgs={source}",
        "Global.enable_mkldnn=False",
        *options,
    ]
    name = "inference_det" if script == "det" else "inference_cls"
    options = [part for word in words for part in ("-o", word)]
    return run_process(f"deploy/python/predict_{script}.py", "-c", ROOT / f"deploy/configs/{name}.yaml", *options)


# --------------------------------------------------------------------------------------------------- what it does


def test_images_of_every_kind_as_in_python(predict, exported, images, tmp_path):
    expected = python_lines("cls", exported.model, images)
    found = predict(exported.model, images, f"save_file={tmp_path}/all.jsonl", f"save_inputs={tmp_path}/in.npy")
    assert (found.status, expected.status) == (0, 0), found.err
    assert found.out.splitlines() == results_of(expected)
    assert "skipped files that are not images: 1" in found.err
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == len(DECODED)
    assert np.load(tmp_path / "in.npy").shape == (len(DECODED), 3, 32, 32)


def test_saved_predictions_are_pythons(predict, exported, tiny_data, tmp_path):
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    assert predict(exported.model, tiny_data, f"save_file={ours}").status == 0
    assert python_lines("cls", exported.model, tiny_data, f"Global.save_file={theirs}").status == 0
    pairs = [[json.loads(line) for line in path.read_text().splitlines()] for path in (ours, theirs)]
    for found, expected in zip(*pairs):
        assert list(found) == list(expected)
        assert found["file_name"] == expected["file_name"]
        assert found["scores"] == pytest.approx(expected["scores"], abs=2e-5)


@pytest.mark.parametrize("options", [["batch_size=3"], ["num_workers=0"], ["batch_size=4", "cpu_num_threads=1"]])
def test_batches_and_threads_change_nothing(predict, exported, tiny_data, options):
    assert predict(exported.model, tiny_data, *options).out == predict(exported.model, tiny_data).out


def test_a_list_keeps_its_order(predict, exported, tiny_data):
    found = predict(exported.model, tiny_data / "val_list.txt")
    names = [line.partition(":")[0] for line in found.out.splitlines()]
    assert names == [line.split()[0] for line in (tiny_data / "val_list.txt").read_text().splitlines()]


def test_one_image(predict, exported, tiny_data):
    assert predict(exported.model, tiny_data / "val_0.png").out.startswith("val_0.png: class id(s): [")


def test_a_detector(predict, exported_detector, det_set, tmp_path):
    model = exported_detector[1]
    folder = next(path for path in sorted(det_set.rglob("*")) if path.is_dir() and any(path.glob("*.[jp][pn]g")))
    expected = python_lines("det", model, folder)
    found = predict(model, folder, f"save_outputs={tmp_path}", config="inference_det")
    assert (found.status, expected.status) == (0, 0), found.err
    # its random weights make ties of all scores, in any order: test_compare_cpp.py has the numbers
    pairs = zip(found.out.splitlines(), results_of(expected))
    assert all(ours.partition(": square")[0] == theirs.partition(": square")[0] for ours, theirs in pairs)
    assert np.load(tmp_path / "output_0.npy").shape[-1] == 6


def test_topk_of_the_command_line(predict, exported, tiny_data):
    assert "class id(s): [" in predict(exported.model, tiny_data, "PostProcess.topk=1").out
    for line in predict(exported.model, tiny_data, "PostProcess.topk=1").out.splitlines():
        assert line.count(",") == 2


@pytest.mark.parametrize(
    "post",
    [
        {"name": "ThreshOutput", "threshold": 0.4, "default_label_index": 2},
        {"name": "MultiLabelThreshOutput", "threshold": 0.3},
        {"name": "Topk", "topk": 2, "class_id_map_file": None, "label_list": ["a", "b", "it's"]},
    ],
)
def test_every_postprocessing(predict, model, tiny_data, post):
    change(model, PostProcess=post)
    if "topk" not in post:
        content = yaml.safe_load((model / "inference.yml").read_text())
        del content["PostProcess"]["topk"]
        (model / "inference.yml").write_text(yaml.safe_dump(content))
    found = predict(model, tiny_data)
    assert found.out.splitlines() == results_of(python_lines("cls", model, tiny_data))


def test_pillows_resize(predict, model, tiny_data, tmp_path):
    content = yaml.safe_load((model / "inference.yml").read_text())
    content["PreProcess"]["transform_ops"][1] = {"ResizeImage": {"resize_short": 36, "backend": "pil"}}
    (model / "inference.yml").write_text(yaml.safe_dump(content))
    assert predict(model, tiny_data).out.splitlines() == results_of(python_lines("cls", model, tiny_data))


def test_the_summary_has_the_times(predict, exported, tiny_data, tmp_path):
    found = predict(exported.model, tiny_data, "benchmark=True", f"save_log_path={tmp_path}/log.txt")
    assert "preprocess_time(ms): " in found.out
    assert "images/s, reading threads: " in found.out
    assert "batch_size: 1" in (tmp_path / "log.txt").read_text()


# --------------------------------------------------------------------------------------------------- images


def test_the_run_goes_on_past_bad_images(predict, exported, tmp_path):
    good = encoded(make_image(), ".png")
    files = {
        "a good.png": good,
        "b empty.jpg": b"",
        "c text.jpg": b"this is no image\n" * 20,
        "d cut.png": good[:60],
        "e cut.jpg": encoded(make_image())[:400],
        "f bomb.png": bomb(60000, 60000),
        "g good.png": good,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "h folder.png").mkdir()
    found = predict(exported.model, tmp_path, f"save_file={tmp_path}/all.jsonl")
    assert found.status == 1
    assert [line.partition(":")[0] for line in found.out.splitlines()] == ["a good.png", "g good.png"]
    errors = [line for line in found.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 5
    for name, line in zip("bcdef", errors):
        assert f"/{name} " in line
        assert "not a decodable image" in line
    saved = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert ["error" in record for record in saved] == [False, True, True, True, True, True, False]


def test_an_image_that_is_smaller_than_the_crop(predict, model, tmp_path):
    content = yaml.safe_load((model / "inference.yml").read_text())
    content["PreProcess"]["transform_ops"][1] = {"ResizeImage": {"size": 20}}
    (model / "inference.yml").write_text(yaml.safe_dump(content))
    cv2.imwrite(str(tmp_path / "x.png"), make_image())
    found = predict(model, tmp_path / "x.png")
    assert_one_line(found, "x.png: CropImage: the image is 20x20, smaller than the crop 32x32")


SOURCES = {
    "nothing": (lambda folder: folder / "none.jpg", "no such image, folder or list file"),
    "a folder without images": (lambda folder: folder, "no image among 1 files"),
    "a list without lines": (lambda folder: write(folder / "list.txt", b"\n\n"), "the list file is empty"),
    "a list of files that are not there": (
        lambda folder: write(folder / "list.txt", b"a.jpg 3\n"),
        "list.txt:1: no such",
    ),
    "a file of zeros": (lambda folder: write(folder / "zeros", b"\0" * 100), "expected an image, a folder or a list"),
}


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", SOURCES)
def test_sources_that_are_none(predict, exported, tmp_path, kind):
    source, expected = SOURCES[kind]
    (tmp_path / "notes.md").write_text("x")
    assert_one_line(predict(exported.model, source(tmp_path)), expected)


# --------------------------------------------------------------------------------------------------- models


def cut(name):
    def damage(model):
        content = (model / name).read_bytes()
        (model / name).write_bytes(content[: len(content) // 2])

    return damage


def cut_unnoticed(name):
    """Cut, and no size is recorded: the engine itself has to notice it, or its numbers show it."""

    def damage(model):
        cut(name)(model)
        change(model, Global={"bytes": None})

    return damage


MODELS = {
    "cut structure": (cut("inference.pdmodel"), "inference.pdmodel: has "),
    "cut weights": (cut("inference.pdiparams"), "inference.pdiparams: has "),
    "cut structure, no size recorded": (cut_unnoticed("inference.pdmodel"), "OpenVINO cannot "),
    "cut weights, no size recorded": (cut_unnoticed("inference.pdiparams"), "OpenVINO cannot "),
    "no weights": (lambda model: (model / "inference.pdiparams").unlink(), "expected inference.pdmodel or"),
    "no inference.yml": (lambda model: (model / "inference.yml").unlink(), "inference.yml: missing; it says how"),
    "damaged inference.yml": (lambda model: write(model / "inference.yml", b"a: [1"), "not valid YAML"),
    "empty inference.yml": (lambda model: write(model / "inference.yml", b""), "expected sections such as Global"),
    "a key twice": (lambda model: write(model / "inference.yml", b"a: 1\na: 2\n"), "key 'a' occurs twice"),
    "other classes": (lambda model: write(model / "label_list.txt", b"0 a\n1 b\n"), "names of the network's 3"),
    "a name twice": (lambda model: write(model / "label_list.txt", b"0 a\n0 b\n"), "class 0 has a name already"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_damaged_models(predict, model, tiny_data, kind):
    damage, expected = MODELS[kind]
    damage(model)
    assert_one_line(predict(model, tiny_data / "val_0.png"), expected)


def test_a_file_in_the_models_place(predict, tiny_data):
    assert_one_line(
        predict(tiny_data / "val_0.png", tiny_data), "expected a folder with an exported model, found a file"
    )


def test_the_format_json_is_skipped(predict, exported_json, tiny_data):
    assert_one_line(predict(exported_json, tiny_data), "OpenVINO does not read Paddle 3's format", status=77)


OPS = {
    "an unknown transform": ({"RandFlipImage": {"flip_code": 1}}, "RandFlipImage: this program does not have"),
    "an unknown option": ({"CropImage": {"siez": 3}}, "unknown option 'siez' (did you mean 'size'?)"),
    "another interpolation": ({"ResizeImage": {"size": 9, "interpolation": "lanczos"}}, "bilinear, area or nearest"),
    "a bad size": ({"CropImage": {"size": 0}}, "CropImage.size: expected a whole number of at least 1"),
    "a detector's": ({"DetResize": {"size": 64}}, "DetResize: this program does not have"),
}


@pytest.mark.parametrize("kind", OPS)
def test_transforms_that_cannot_be_done_as_python_does_them(predict, model, tiny_data, kind):
    op, expected = OPS[kind]
    content = yaml.safe_load((model / "inference.yml").read_text())
    content["PreProcess"]["transform_ops"][1] = op
    (model / "inference.yml").write_text(yaml.safe_dump(content))
    assert_one_line(predict(model, tiny_data), "PreProcess.transform_ops[1]", expected)


def test_a_config_for_the_other_task(predict, exported, tiny_data):
    found = predict(exported.model, tiny_data, config="inference_det")
    assert_one_line(found, "its predictions need Topk, but the prediction config has DetectionBoxes")


# --------------------------------------------------------------------------------------------------- options

OPTIONS = {
    "batch_siez=2": "unknown key 'batch_siez' (did you mean 'batch_size'?)",
    "batch_size=0": "Global.batch_size: expected a whole number of at least 1, found '0'",
    "benchmark=Fasle": "Global.benchmark: expected True or False, found 'Fasle'",
    "precision=fp8": "Global.precision: expected fp32, fp16 or int8, found 'fp8'",
    "Glbal.x=1": "unknown section 'Glbal' (did you mean 'Global'?)",
}
NOT_IN_EFFECT = ["use_gpu=True", "use_tensorrt=True", "enable_mkldnn=True", "precision=fp16", "engine=paddle"]


@pytest.mark.parametrize("option", OPTIONS)
def test_options_that_are_none(predict, exported, tiny_data, option):
    assert_one_line(predict(exported.model, tiny_data, option), OPTIONS[option])


@pytest.mark.parametrize("option", NOT_IN_EFFECT)
def test_what_would_not_be_in_effect(predict, exported, tiny_data, option):
    assert_one_line(predict(exported.model, tiny_data, option), f"Global.{option}", "built with", status=77)


def test_words(program, tmp_path):
    assert run_program(program, "--help").status == 0
    assert run_program(program, "--engines").out == "openvino\n"
    assert_one_line(run_program(program), "expected -c CONFIG")
    assert_one_line(run_program(program, "-x"), "'-x': expected -c CONFIG or -o KEY=VALUE")
    assert_one_line(run_program(program, "-c", tmp_path / "none.yaml"), "none.yaml: no such config file")
    assert_one_line(run_program(program, "-c", tmp_path), "expected a YAML file, found a folder")


def test_a_file_that_cannot_be_written(predict, exported, tiny_data, tmp_path):
    (tmp_path / "file").write_text("")
    found = predict(exported.model, tiny_data, f"save_file={tmp_path}/file/all.jsonl")
    assert_one_line(found, "all.jsonl: cannot be written")
