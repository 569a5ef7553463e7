"""Predictions that would look well and mean nothing: nan in the weights, names of other classes."""

import re
import shutil

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.model.boxes import DetectionBoxes
from ppcls_lite.infer.model.postprocess import Topk
from ppcls_lite.infer.model.storage import variables
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.tensor_files import read_tensors, write_tensor
from tests.helpers.scripts import ROOT, assert_one_line

CLASSIFY = ["-c", ROOT / "deploy/configs/inference_cls.yaml", "-o", f"Global.infer_imgs={ROOT / 'test_images'}"]
DETECT = ["-c", ROOT / "deploy/configs/inference_det.yaml", "-o", f"Global.infer_imgs={ROOT / 'test_images'}"]


def spoil(model, folder, value, chosen, count=None):
    """A copy in `folder` of the exported `model` with `value` in the first `count` numbers (None: all) of each
    variable whose name matches the pattern `chosen`."""
    folder = shutil.copytree(model, folder)
    path = folder / "inference.pdiparams"
    arrays = [array.copy() for _, _, array in read_tensors(path)]
    with path.open("wb") as stream:
        for name, array in zip(variables(folder / "inference.pdmodel"), arrays):
            if re.fullmatch(chosen, name):
                array.flat[:count] = value
            write_tensor(stream, array)
    return folder


@pytest.fixture
def few_names(tmp_path):
    (tmp_path / "few.txt").write_text("0 red\n1 green\n")
    return tmp_path / "few.txt"


# ---- scores that are no numbers


@pytest.mark.parametrize("engine", ["paddle", "onednn", "training_export"])
def test_an_exported_model_with_nan_in_its_weights(exported, run_here, tmp_path, engine):
    folder = spoil(exported.model, tmp_path / "model", np.nan, r"linear_\d+\.w_0", 1)
    options = ["-o", f"Global.inference_model_dir={folder}", "-o", f"Global.engine={engine}"]
    outcome = run_here("deploy/python/predict_cls.py", *CLASSIFY, *options)
    assert_one_line(outcome, "inference.pdiparams: variable 'linear_", "holds numbers that are nan or infinite (1 of ")
    assert "class id" not in outcome.out


@pytest.mark.parametrize("engine", ["paddle", "onednn"])
def test_an_exported_classifier_whose_scores_overflow(exported, run_here, tmp_path, engine):
    folder = spoil(exported.model, tmp_path / "model", 3e38, r"linear_\d+\.w_0")
    options = ["-o", f"Global.inference_model_dir={folder}", "-o", f"Global.engine={engine}"]
    outcome = run_here("deploy/python/predict_cls.py", *CLASSIFY, *options)
    assert_one_line(outcome, "the model's scores are nan or infinite for ")
    assert "class id" not in outcome.out


def test_an_exported_detector_whose_boxes_overflow(exported_detector, run_here, tmp_path):
    folder = spoil(exported_detector[1], tmp_path / "model", 3e38, r"conv2d_\d+\.b_0")
    outcome = run_here("deploy/python/predict_det.py", *DETECT, "-o", f"Global.inference_model_dir={folder}")
    assert_one_line(outcome, "the model's boxes are nan or infinite for ")
    assert "box(es)" not in outcome.out


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_row_of_no_numbers(value):
    scores = np.full((3, 4), 0.25, np.float32)
    scores[1, 2] = value
    with pytest.raises(UserError, match="scores are nan or infinite for 1 of 3 images"):
        Topk(1)(scores)
    boxes = np.zeros((2, 5, 6), np.float32)
    boxes[0, 4, 1] = value
    with pytest.raises(UserError, match="boxes are nan or infinite for 1 of 2 images"):
        DetectionBoxes()(boxes, [(9, 9)] * 2)


# ---- names of other classes


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0 a\n1 b\n", "expected names of the network's 3 classes, 0 to 2, found 2 names, none of class 2"),
        ("1 a\n2 b\n3 c\n", "found 3 names, none of class 0"),
        ("0 a\n1 b\n2 c\n3 d\n", "found 4 names, one of class 3"),
        ("0 a\n1 b\n5 c\n", "found 3 names, none of class 2"),
    ],
)
@pytest.mark.parametrize("script", ["infer", "export_model", "compare_engines"])
def test_names_that_are_not_those_of_the_classes(exported, run_here, tmp_path, script, lines, message):
    (tmp_path / "names.txt").write_text(lines)
    options = ["-o", f"Infer.PostProcess.class_id_map_file={tmp_path / 'names.txt'}"]
    options += ["--inference_model_dir", str(exported.model)] if script == "compare_engines" else []
    outcome = run_here(f"tools/{script}.py", "-c", exported.config, *options)
    assert_one_line(outcome, f"{tmp_path / 'names.txt'}: class_id_map_file: expected names", message)


def test_names_of_a_detector(det_config, write_config, run_here, few_names):
    options = ["-o", f"Infer.PostProcess.class_id_map_file={few_names}"]
    outcome = run_here("tools/infer.py", "-c", write_config(det_config), *options)
    assert_one_line(outcome, "few.txt: class_id_map_file: expected names of the network's 3 classes")


def test_names_of_another_model_beside_an_exported_one(exported, run_here, tmp_path, few_names):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    shutil.copyfile(few_names, folder / "label_list.txt")
    outcome = run_here("deploy/python/predict_cls.py", *CLASSIFY, "-o", f"Global.inference_model_dir={folder}")
    assert_one_line(outcome, "label_list.txt: class_id_map_file: expected names of the network's 3 classes, 0 to 2")


def test_a_box_of_a_class_without_a_name(few_names):
    boxes = np.array([[[2, 0.9, 0, 0, 5, 5], [0, 0.9, 0, 0, 5, 5]]], np.float32)
    with pytest.raises(UserError, match=r"few\.txt: class_id_map_file: no name of class 2, which the model predicts"):
        DetectionBoxes(0.5, few_names)(boxes, [(9, 9)])
    (found,) = DetectionBoxes(0.5, few_names)(boxes[:, 1:], [(9, 9)])
    assert found["label_names"] == ["red"]


# ---- inference.yml of a wrong form


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Global": [1, 2]}, "inference.yml: Global: expected a mapping, found [1, 2]"),
        ({"PreProcess": "x"}, "inference.yml: PreProcess: expected a mapping, found 'x'"),
        ({"PostProcess": 3}, "inference.yml: PostProcess: expected a mapping, found 3"),
        ({"Global": {"bytes": [1]}}, "inference.yml: Global.bytes: expected a mapping, found [1]"),
        (
            {"Global": {"bytes": {"inference.pdmodel": "many"}}},
            "Global.bytes.inference.pdmodel: expected a whole number",
        ),
        ({"Global": {"image_shape": 3}}, "inference.yml: Global.image_shape: expected a list, found 3"),
        ({"Global": {"image_shape": [3, 0, 0]}}, "Global.image_shape: expected [3, height, width], found [3, 0, 0]"),
        ({"PreProcess": {"transform_ops": {}}}, "PreProcess.transform_ops: expected a list, found {}"),
        ({"PostProcess": {"class_id_map_file": [1]}}, "PostProcess.class_id_map_file: expected a text, found [1]"),
    ],
)
def test_the_model_config_is_of_another_form(exported, run_here, tmp_path, change, message):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    content = {**yaml.safe_load((folder / "inference.yml").read_text()), **change}
    (folder / "inference.yml").write_text(yaml.safe_dump(content))
    options = ["-o", f"Global.inference_model_dir={folder}", "-o", "Global.engine=auto"]
    assert_one_line(run_here("deploy/python/predict_cls.py", *CLASSIFY, *options), message)
