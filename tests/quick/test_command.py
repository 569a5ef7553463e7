"""The command `ppcls_lite` and the class `PaddleClas`: documented output, all kinds of images, and wrong input."""

import ast
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

import ppcls_lite
from ppcls_lite import PaddleClas
from ppcls_lite.quick import classifier, command
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT, ROOT, Outcome, assert_one_line, with_library

IMAGES = sorted(str(path) for path in (ROOT / "test_images").glob("*.jpg"))


@pytest.fixture(scope="module")
def clas(exported):
    return PaddleClas(inference_model_dir=exported.model)


def run(*words):
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ppcls_lite", *map(str, words)],
        cwd=ROOT,
        env=with_library(CUDA_VISIBLE_DEVICES=""),
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def flat(batches):
    return [result for batch in batches for result in batch]


# ---- the documented output


def test_command_prints_what_the_document_shows(exported, clas):
    outcome = run(f"--inference_model_dir={exported.model}", "--infer_imgs=test_images/coffee.jpg", "--topk=2")
    assert outcome.status == 0, outcome.err
    head, line, end = outcome.out.splitlines()
    assert (head, end) == (">>> result", "Predict complete!")
    (expected,) = flat(clas.predict(IMAGES[3]))
    found = ast.literal_eval("{'" + line.replace(": ", "': ").replace("], ", "], '").replace("e': t", "e': 't") + "'}")
    assert list(found) == ["class_ids", "scores", "label_names", "filename"]
    assert found["class_ids"] == expected["class_ids"][:2]
    assert found["scores"] == pytest.approx(expected["scores"][:2], abs=2e-5)
    assert found["label_names"] == expected["label_names"][:2]
    assert found["filename"] == "test_images/coffee.jpg"


def test_prediction_is_that_of_predict_cls(exported, clas, run_here, tmp_path):
    saved = tmp_path / "predictions.jsonl"
    options = {"inference_model_dir": exported.model, "infer_imgs": ROOT / "test_images", "save_file": saved}
    words = [word for key, value in options.items() for word in ("-o", f"Global.{key}={value}")]
    outcome = run_here("deploy/python/predict_cls.py", "-c", "deploy/configs/inference_cls.yaml", *words)
    assert outcome.status == 0, outcome.err
    expected = [ast.literal_eval(line) for line in saved.read_text().splitlines()]
    found = flat(clas.predict(ROOT / "test_images"))
    for result in expected:
        result["filename"] = result.pop("file_name")
    assert found == expected


def test_generator_yields_batches(exported, clas):
    alone = list(clas.predict(IMAGES))
    assert [len(batch) for batch in alone] == [1] * 5
    pairs = list(PaddleClas(inference_model_dir=exported.model, batch_size=2).predict(IMAGES))
    assert [len(batch) for batch in pairs] == [2, 2, 1]
    for one, two in zip(flat(alone), flat(pairs)):
        assert (one["class_ids"], one["filename"]) == (two["class_ids"], two["filename"])
        assert one["scores"] == pytest.approx(two["scores"], abs=2e-5)


def test_print_pred(clas, capsys):
    (result,) = flat(clas.predict(IMAGES[0], print_pred=True))
    line = f"class_ids: {result['class_ids']}, scores: {result['scores']}, label_names: {result['label_names']}, "
    assert capsys.readouterr().out == f"{line}filename: {IMAGES[0]}\n"


# ---- kinds of images


def test_array_is_predicted_as_its_file(exported, clas):
    array = cv2.imread(IMAGES[0])[:, :, ::-1]
    from_file, from_array, again = flat(clas.predict([IMAGES[0], array, [array]]))
    assert from_file.pop("filename") == IMAGES[0]
    assert from_array == again == from_file
    assert flat(PaddleClas(inference_model_dir=exported.model, infer_imgs=array).predict()) == [from_file]
    (reversed_channels,) = flat(clas.predict(array[:, :, ::-1]))
    assert reversed_channels["scores"] != from_file["scores"]


@pytest.mark.parametrize(
    "array", [np.zeros([8, 8], np.uint8), np.zeros([8, 8, 4], np.uint8), np.zeros([8, 8, 3]), np.zeros([1, 8, 8, 3])]
)
def test_wrong_array_is_reported_and_the_rest_goes_on(exported, array, capsys):
    clas = PaddleClas(inference_model_dir=exported.model, batch_size=4)
    found = flat(clas.predict([IMAGES[0], array, IMAGES[1]]))
    assert [result["filename"] for result in found] == IMAGES[:2]
    assert len(clas.failed) == 1
    assert f"expected an image [H, W, 3] of uint8 (RGB), found {list(array.shape)}" in capsys.readouterr().err


def test_broken_image_fails_the_command_and_the_rest_goes_on(exported, tmp_path):
    shutil.copy(IMAGES[0], tmp_path / "b.jpg")
    (tmp_path / "a.jpg").write_bytes(b"no image")
    outcome = run(f"--inference_model_dir={exported.model}", f"--infer_imgs={tmp_path}")
    assert outcome.status == 1
    lines = outcome.out.splitlines()
    assert [line.rpartition("/")[2] for line in lines] == [">>> result", "b.jpg"]
    assert "a.jpg: " in outcome.err
    assert outcome.err.splitlines()[-1] == "error: 1 of the images could not be predicted"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such.jpg", "no_such.jpg: no such image, folder or list file"),
        ([], "infer_imgs: expected images, found an empty list"),
        (7, "infer_imgs: expected the path or the address of an image, .* found 7"),
        (None, "found None"),
    ],
)
def test_no_images(clas, source, message):
    with pytest.raises(UserError, match=message):
        clas.predict(source)


# ---- options


def test_wrong_option_is_one_line_with_the_nearest():
    assert_one_line(run("--modelname=ResNet50"), "--modelname: no such option (did you mean 'model_name'?)")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--infer_imgs: missing"),
        (["--infer_imgs=x", "--model_name=ResNet51"], "no official model of 'ResNet51' .*did you mean 'ResNet50'"),
        (["--infer_imgs=x"], "model_name: missing: expected the name of a network, or inference_model_dir"),
        (["--infer_imgs=x", "--topk=0"], "--topk: expected a whole number of at least 1, found '0'"),
        (["--infer_imgs=x", "--top=1"], r"--top: no such option \(did you mean 'topk'"),
        (["--infer_imgs=x", "--use_gpu=Fasle"], r"use_gpu: expected True or False, found 'Fasle' \(did you mean 'Fal"),
        (["--infer_imgs=x", "--index_dir=y"], "--index_dir: not here: it belongs to image retrieval"),
        (["--infer_imgs=x", "-o", "Global.x=1"], "--override: not here: deploy/python/predict_cls.py takes -o"),
        (["--infer_imgs=x", "--predict_type=shitu"], "--predict_type: invalid choice: 'shitu'"),
        (["a.jpg"], "'a.jpg': expected options such as --infer_imgs=a.jpg"),
        (["--infer_imgs=x", "--inference_model_dir=none"], "none: expected a folder with an exported model"),
    ],
)
def test_wrong_command_line(words, message):
    with pytest.raises(UserError, match=message):
        command.main(words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topk": "5"}, "topk: expected a whole number of at least 1, found '5'"),
        ({"batchsize": 2}, r"batchsize: no such option \(did you mean 'batch_size'\?\)"),
        ({"threshold": 0.5}, "threshold: not here: it belongs to the models of PULC"),
        ({"save_dir": "a", "pre_label_out_dir": "b"}, "save_dir and pre_label_out_dir: they mean the same"),
        ({"class_id_map_file": "none.txt"}, "none.txt: class_id_map_file cannot be read"),
        ({"use_tensorrt": True, "use_gpu": False}, "TensorRT needs Global.use_gpu=True"),
    ],
)
def test_wrong_options_of_the_class(exported, options, message):
    with pytest.raises(UserError, match=message):
        PaddleClas(inference_model_dir=exported.model, **options)


def test_other_predictions_are_refused(clas):
    with pytest.raises(UserError, match="predict_type: not here"):
        clas.predict(IMAGES[0], predict_type="shitu")


def test_detector_is_refused(exported_detector):
    with pytest.raises(UserError, match=r"predict_cls.py is for classifiers, predict_det.py for detectors"):
        PaddleClas(inference_model_dir=exported_detector[1])


def test_without_paddle(exported, monkeypatch):
    monkeypatch.setattr(classifier.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="PaddlePaddle is missing: pip install paddlepaddle, or paddlepaddle-gpu"):
        PaddleClas(inference_model_dir=exported.model)


def test_help_and_version(capsys):
    for words in (["--help"], ["--version"]):
        with pytest.raises(SystemExit) as ended:
            command.main(words, "9.8")
        assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "ppcls_lite 9.8" in text
    assert all(f"--{name}" in text for name in command.OPTIONS)
    assert "ResNet50  ResNet101" in text


def test_import_is_cheap():
    code = (
        "import sys, ppcls_lite; print(sorted({'numpy', 'cv2', 'paddle'} & set(sys.modules)), ppcls_lite.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"[] {ppcls_lite.__version__}\n"
    with pytest.raises(AttributeError, match="no attribute 'PaddleCls'"):
        ppcls_lite.PaddleCls  # noqa: B018


def test_names_and_sizes_can_be_given(exported, clas, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("0 one\n1 two\n2 three\n")
    options = {"class_id_map_file": str(names), "resize_short": 64, "crop_size": 48, "topk": 1}
    changed = PaddleClas(inference_model_dir=exported.model, **options)
    (result,), (usual,) = flat(changed.predict(IMAGES[2])), flat(clas.predict(IMAGES[2]))
    assert result["label_names"] == [["one", "two", "three"][result["class_ids"][0]]]
    assert result["scores"] != usual["scores"][:1]
    assert changed._predictor.read(IMAGES[2]).shape == (3, 48, 48)


def test_size_that_the_preprocessing_does_not_have(exported, tmp_path):
    model = shutil.copytree(exported.model, tmp_path / "model")
    settings = model / "inference.yml"
    settings.write_text(settings.read_text().replace("resize_short: 36", "size: 36"))
    with pytest.raises(UserError, match="resize_short: the model's preprocessing has no ResizeImage with resize_short"):
        PaddleClas(inference_model_dir=model, resize_short=64)


def test_names_of_imagenet_are_not_given_to_other_classes(exported, tmp_path, capsys):
    for name in ("inference.pdmodel", "inference.pdiparams"):
        shutil.copy(exported.model / name, tmp_path)
    (result,) = flat(PaddleClas(inference_model_dir=tmp_path).predict(IMAGES[0]))
    assert len(result["class_ids"]) == 3
    assert result["label_names"] == []


# ---- pre-labels


def test_pre_labels(exported, tmp_path):
    """Of two images of one name and class, each is kept, and once."""
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
    shutil.copy(IMAGES[0], first / "same.jpg")
    cv2.imwrite(str(second / "same.jpg"), cv2.imread(IMAGES[0]))
    out = tmp_path / "out"
    clas = PaddleClas(inference_model_dir=exported.model, pre_label_out_dir=str(out))
    for _ in range(2):
        results = flat(clas.predict([str(first), str(second)]))
    label, other = (result["class_ids"][0] for result in results)
    assert label == other
    kept = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.jpg")}
    pairs = (("same.jpg", first), ("same_2.jpg", second))
    assert kept == {f"{label}/{name}": (folder / "same.jpg").read_bytes() for name, folder in pairs}
    with pytest.raises(UserError, match="save_dir: expected images in files, found an array"):
        clas.predict(np.zeros([8, 8, 3], np.uint8))


def test_pre_labels_that_cannot_be_written(exported, tmp_path):
    (tmp_path / "file").write_text("")
    clas = PaddleClas(inference_model_dir=exported.model, save_dir=str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"save_dir=.*file: .* cannot be copied there \(Not a directory"):
        next(clas.predict(IMAGES[0]))
