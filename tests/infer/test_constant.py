"""Answers that do not depend on the image: that two engines give the same ones proves nothing."""

import copy
import json

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.compare.detections import DetectionAgreement
from ppcls_lite.infer.engines.agreement import Agreement
from ppcls_lite.infer.engines.spread import Spread, key_of
from ppcls_lite.serving.compare import AnswerAgreement
from ppcls_lite.utils.config import load_config
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.detection import detector_weights
from tests.helpers.scripts import ROOT, assert_one_line, results_of, run_process

CONSTANT = "the answers do not depend on the image"
DET = ROOT / "deploy/configs/inference_det.yaml"
NOTE = "note: this is one image, which cannot show whether the answers depend on the image"


def compare(run_here, config, folder, *options):
    return run_here("tools/compare_engines.py", "-c", config, "--inference_model_dir", folder, *options)


@pytest.fixture
def constant(exported, tmp_path):
    """(config, exported model) of the tiny network with a last layer of zeros: every score is 1/3."""
    arrays = random_weights()
    for name in ("fc.weight", "fc.bias"):
        arrays[name] = np.zeros_like(arrays[name])
    content = yaml.safe_load(exported.config.read_text())
    content["Global"]["pretrained_model"] = str(save_arrays(arrays, tmp_path / "zeros.pdparams"))
    content["Global"]["save_inference_dir"] = str(tmp_path / "zeros")
    path = tmp_path / "zeros.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    made = run_process("tools/export_model.py", "-c", path)
    assert made.status == 0, made.err
    return path, tmp_path / "zeros"


def test_a_network_that_ignores_its_image_is_refused(constant, run_here, tmp_path):
    outcome = compare(run_here, *constant, "--save", tmp_path / "agree.json")
    assert_one_line(outcome, "its predictions are not those of the trained network")
    lines = results_of(outcome)[-2:]
    assert lines[0].startswith("strict: largest difference 0 (bitwise equality required), 7 of 7 images bitwise equal")
    for line in lines:
        assert f": DISAGREES: the scores of 7 different images differ by at most 0: {CONSTANT}" in line
    saved = json.loads((tmp_path / "agree.json").read_text())
    assert [(entry["agrees"], entry["different"], entry["spread"]) for entry in saved] == [(False, 7, 0.0)] * 2
    named = compare(run_here, *constant, "--engines", "onednn")
    assert all(CONSTANT in line and "accuracy" in line for line in results_of(named)[-2:])


def test_a_list_of_one_image_shows_nothing(exported, run_here, tiny_data, tmp_path):
    names = tmp_path / "one.txt"
    names.write_text("val_0.png 0\n" * 8)
    listed = ["-o", f"DataLoader.Eval.dataset.cls_label_path={names}"]
    outcome = compare(run_here, exported.config, exported.model, *listed)
    assert_one_line(outcome, f"{names}: expected two or more different images, found one in 8 line(s)")
    single = compare(run_here, exported.config, exported.model, "--images", tiny_data / "val_0.png")
    assert single.status == 0, single
    assert NOTE in single.out
    several = compare(run_here, exported.config, exported.model, "--images", ROOT / "test_images")
    assert several.status == 0, several
    assert NOTE not in several.out


def test_keys_of_images():
    image = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    other = image.copy()
    other[0, 0, 0] = np.nextafter(np.float32(0), np.float32(1))
    assert key_of(image) == key_of(image.copy())
    assert len({key_of(image), key_of(other), key_of(image.reshape(3, 1, 4)), key_of(image.astype(np.float64))}) == 4


def test_spread():
    spread = Spread()
    assert (spread.different, spread.largest) == (0, None)
    spread.add("a", np.array([0.5, 0.5]))
    spread.add("a", np.array([0.5, 0.5]))
    assert (spread.different, spread.largest) == (1, None)
    spread.add("b", np.array([0.75, 0.25]))
    assert (spread.different, spread.largest) == (2, 0.25)
    spread.add("c", np.array([[3.0]]))  # of another shape, and alone
    assert (spread.different, spread.largest, spread.share) == (3, 0.25, 0.5)


def test_a_difference_as_large_as_that_of_two_images_is_none_that_is_allowed():
    """Of a thousand classes after a short training, all scores are about 0.001, far below the usual tolerance."""
    scores = np.array([[0.00100, 0.00101], [0.00102, 0.00101]], np.float32)
    for error, agrees in ((5e-6, True), (5e-5, False)):
        agreement = Agreement("usual", 1e-4)
        agreement.add(scores, scores + np.float32(error), keys=["a", "b"])
        assert agreement.agrees is agrees
    assert "largest difference 5e-05 (at most 1e-05 allowed)" in str(agreement)


@pytest.mark.parametrize(("spread", "agrees"), [(1e-6, False), (3e-5, True)])
def test_scores_must_differ_by_more_than_rounding(spread, agrees):
    rows = np.array([[0.5, 0.3, 0.2], [0.5 + spread, 0.3, 0.2]], np.float32)
    agreement = Agreement("strict", 0.0)
    agreement.add(rows, rows, keys=["a", "b"])
    assert agreement.agrees is agrees
    assert (CONSTANT in str(agreement)) is not agrees
    assert (CONSTANT in agreement.details) is not agrees
    maps = np.zeros((2, 2, 4, 4), np.float32)
    maps[:, 0, 1, 1] = rows[:, 0]
    boxes = np.array([[[0, 0.5, 1, 1, 5, 5]]] * 2, np.float32)
    outputs = [boxes, np.array([1, 1], np.int32), maps, maps, maps]
    for tolerance in (0.0, 1e-4):
        detected = DetectionAgreement("strict", tolerance)
        detected.add(outputs, outputs, [16, 16], ["a", "b"])
        assert detected.agrees is agrees
        assert (CONSTANT in str(detected)) is not agrees


def test_a_detector_that_ignores_its_image_is_refused(exported_detector, run_here, tmp_path):
    path, _ = exported_detector
    arrays = detector_weights(load_config(path))
    for name in arrays:
        if name.startswith("heat.") and arrays[name].ndim == 4:
            arrays[name] = np.zeros_like(arrays[name])
    changes = {
        "pretrained_model": save_arrays(arrays, tmp_path / "zeros.pdparams"),
        "save_inference_dir": tmp_path / "zeros",
    }
    words = [word for key, value in changes.items() for word in ("-o", f"Global.{key}={value}")]
    made = run_process("tools/export_model.py", "-c", path, *words)
    assert made.status == 0, made.err
    outcome = compare(run_here, path, tmp_path / "zeros", *words, "--inference_config", DET)
    assert outcome.status == 1
    assert outcome.out.count(f": DISAGREES: the scores of 5 different images differ by at most 0: {CONSTANT}") == 2


# ---- the service


def answer(*pairs):
    ids, scores = zip(*pairs)
    return {"class_ids": list(ids), "scores": list(scores), "label_names": []}


@pytest.mark.parametrize(
    ("answers", "agrees"),
    [
        ([answer((0, 0.16667), (1, 0.16667))] * 2, False),
        ([answer((0, 0.16667), (1, 0.16667)), answer((1, 0.16668), (2, 0.16667))], False),  # a tie of all classes
        ([answer((0, 0.5), (1, 0.3)), answer((0, 0.50001), (1, 0.3))], False),
        ([answer((0, 0.5), (1, 0.3)), answer((0, 0.5003), (1, 0.3))], True),
        ([answer((0, 0.95)), answer((1, 0.95))], True),  # what is left for class 0 is 0.05
        ([answer((0, 0.4)), answer((1, 0.4))], False),  # class 0 may have 0.4 twice
    ],
)
def test_answers_of_a_service_must_differ(answers, agrees):
    agreement = AnswerAgreement("http")
    for key, found in zip("ab", answers):
        agreement.add(copy.deepcopy(found), found, key)
    assert agreement.agrees is agrees
    assert (CONSTANT in str(agreement)) is not agrees
    assert agreement.as_dict()["different"] == 2
    one = AnswerAgreement("http")
    one.add(answers[0], answers[0], "a")
    one.add(answers[0], answers[0], "a")
    assert one.agrees
    assert (one.different, one.spread) == (1, None)


@pytest.mark.parametrize(
    "change",
    [
        {"scores": [float("nan"), 0.3]},
        {"scores": [True, 0.3]},
        {"class_ids": [0, 0]},
        {"class_ids": [[0], 1]},
        {"label_names": None},
    ],
    ids=str,
)
def test_answers_that_are_not_predictions_disagree(change):
    good = answer((0, 0.5), (1, 0.3))
    agreement = AnswerAgreement("http")
    agreement.add(good, {**good, **change}, "a")
    assert not agreement.agrees
    assert agreement.topk_mismatches == 1
