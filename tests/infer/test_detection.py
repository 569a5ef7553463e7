"""CenterNet exported and deployed: engines, scripts, drawings."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
import yaml

from ppcls_lite.infer.compare import detections
from ppcls_lite.infer.compare.detections import DetectionAgreement, compare_detectors
from ppcls_lite.infer.drawing import draw_boxes, drawing_paths, write_image
from ppcls_lite.infer.model.boxes import DetectionBoxes, format_det_line
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.schema import DEPLOY
from tests.helpers.configs import save_arrays
from tests.helpers.detection import detector_weights
from tests.helpers.scripts import ROOT, assert_one_line, run_process

INFERENCE = ROOT / "deploy/configs/inference_det.yaml"


@pytest.fixture
def exported(exported_detector):
    return exported_detector


# ---- export and both engines


def agreements(exported, batch_size=2):
    path, model = exported
    config = load_config(path)
    paddle.base.core.set_num_threads(1)
    images, _ = task_of(config).labelled_images(config, None)
    return list(compare_detectors(config, model, load_config(INFERENCE, schema=DEPLOY), images, batch_size))


def test_exported_maps_and_boxes_are_the_trained_ones_bit_by_bit(exported):
    strict, usual = agreements(exported)
    assert strict.agrees, strict
    assert (strict.bitwise_mismatches, strict.largest, strict.images) == (0, 0, 5)
    assert usual.agrees, usual
    assert usual.boxes > 20


def change_plain_engine(monkeypatch, change):
    """Let the plain engine's outputs, and no other's, go through `change`."""
    run = detections.run_detector

    def wrong(engine, images):
        outputs = run(engine, images)
        if engine.name == "paddle":
            outputs = [array.copy() for array in outputs]
            change(outputs)
        return outputs

    monkeypatch.setattr(detections, "run_detector", wrong)


@pytest.mark.parametrize("output", [0, 2, 3, 4])
def test_one_other_bit_would_be_seen(exported, monkeypatch, output):
    def change(outputs):
        outputs[output].reshape(-1).view(np.uint32)[7] ^= 1

    change_plain_engine(monkeypatch, change)
    assert [agreement.agrees for agreement in agreements(exported)] == [False, True]


@pytest.mark.parametrize("column", range(6))
def test_another_box_would_be_seen(exported, monkeypatch, column):
    def change(outputs):
        outputs[0][0, 0, column] += 0.02 if column else 1

    change_plain_engine(monkeypatch, change)
    assert [agreement.agrees for agreement in agreements(exported)] == [False, False]


def test_a_lost_box_and_no_images_do_not_agree():
    rows = np.array([[[0, 0.9, 1, 1, 5, 5], [1, 0.6, 2, 2, 8, 8]]], np.float32)
    outputs = [rows, np.array([2], np.int32), *(np.zeros((1, 2, 2, 2), np.float32) for _ in range(3))]
    fewer = [rows.copy(), *outputs[1:]]
    fewer[0][0, 1, 1] = 0
    for first, second in ((outputs, fewer), (fewer, outputs)):
        agreement = DetectionAgreement("usual", 1e-4)
        agreement.add(first, second, [10])
        assert agreement.unmatched
        assert not agreement.agrees
        assert "DISAGREES" in str(agreement)
    assert not DetectionAgreement("usual", 1e-4).agrees
    agreement = DetectionAgreement("usual", 1e-4)
    agreement.add(outputs, [rows[:, :1], *outputs[1:]], [10])
    assert not agreement.agrees
    nothing = DetectionAgreement("usual", 1e-4)
    nothing.add(outputs, [np.full_like(rows, np.nan), *outputs[1:]], [10])
    assert not nothing.agrees


def test_agreement_about_nothing_is_not_an_agreement():
    rows = np.array([[[0, 0.01, 1, 1, 5, 5]]], np.float32)  # no box that counts
    outputs = [rows, np.array([1], np.int32), *(np.zeros((1, 2, 2, 2), np.float32) for _ in range(3))]
    unsure = DetectionAgreement("usual", 1e-4)
    unsure.add(outputs, outputs, [10])
    assert not unsure.agrees
    rows[0, 0, 1] = 0.9
    same, other_map, fewer = (DetectionAgreement("usual", 1e-4) for _ in range(3))
    same.add(outputs, outputs, [10])
    assert same.agrees
    other_map.add(outputs, [*outputs[:3], np.full((1, 2, 2, 2), 0.1, np.float32), outputs[4]], [10])
    assert not other_map.agrees
    fewer.add(outputs, outputs[:2], [10])
    assert not fewer.agrees


@pytest.mark.parametrize(("other_score", "is_tie"), [(0.50002, True), (0.502, False)])
@pytest.mark.parametrize("place", ["neighbours", "the K best"])
def test_boxes_of_nearly_the_same_score_may_change_their_places(place, other_score, is_tie):
    """Two cells score 0.5 and a little less; the other engine sees the second one as the larger."""
    cells = [(1, 1), (1, 2)] if place == "neighbours" else [(1, 1), (5, 5)]
    outputs = []
    for scores, kept in (((0.5, 0.49999), 0), ((0.5, other_score), 1)):
        heat = np.zeros((1, 1, 8, 8), np.float32)
        for (y, x), score in zip(cells, scores):
            heat[0, 0, y, x] = score
        y, x = cells[kept]
        rows = np.array([[[0, heat[0, 0, y, x], 4 * x, 4 * y, 4 * x + 9, 4 * y + 9]]], np.float32)
        outputs.append([rows, np.array([1], np.int32), heat, *(np.zeros((1, 2, 8, 8), np.float32) for _ in range(2))])
    agreement = DetectionAgreement("usual", 1e-4)
    agreement.add(*outputs, [32])
    assert agreement.agrees == is_tie
    assert (agreement.ties, agreement.unmatched) == ((2, 0) if is_tie else (0, 2))
    assert ("(2 more in ties of two scores)" in str(agreement)) == is_tie
    strict = DetectionAgreement("strict", 0.0)
    strict.add(*outputs, [32])
    assert (strict.ties, strict.unmatched, strict.agrees) == (0, 2, False)


def test_scripts_predict_the_same_and_draw(exported, det_set, tmp_path, run_here):
    path, model = exported
    trained = run_here("tools/infer.py", "-c", path, "-o", f"Infer.output_dir={tmp_path / 'a'}")
    assert trained.status == 0, trained.err
    records = [record for line in trained.out.splitlines() for record in yaml.safe_load(line)]
    options = [f"Global.inference_model_dir={model}", f"Global.infer_imgs={det_set / 'val'}"]
    options += [f"Global.output_dir={tmp_path / 'b'}", "Global.batch_size=2"]
    words = [word for option in options for word in ("-o", option)]
    deployed = run_here("deploy/python/predict_det.py", "-c", INFERENCE, *words)
    assert deployed.status == 0, deployed.err
    assert deployed.out.splitlines() == [format_det_line(record, record["file_name"]) for record in records]
    assert len(records) == 5
    assert sum(len(record["boxes"]) for record in records) > 5
    for record in records:
        height, width = cv2.imread(record["file_name"]).shape[:2]
        assert (np.array(record["boxes"]).reshape(-1, 4) <= [width, height, width, height]).all()
        name = Path(record["file_name"]).stem
        drawn = [cv2.imread(str(tmp_path / folder / f"{name}.jpg")) for folder in "ab"]
        assert drawn[0].shape == (height, width, 3)
        assert (drawn[0] == drawn[1]).all()


def test_drawings_do_not_replace_one_another_nor_an_image(tmp_path):
    (tmp_path / "a").mkdir()
    images = [str(tmp_path / name) for name in ("a/1.jpg", "b/1.jpg", "b/1.png", "2.bmp")]
    found = drawing_paths(images, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in found.values()] == [
        "a/1.jpg",
        "b/1.jpg",
        "b/1.png.jpg",
        "2.jpg",
    ]
    assert drawing_paths([images[0]] * 2, "out") == {images[0]: Path("out/1.jpg")}  # listed twice
    assert drawing_paths([], "out") == {}
    with pytest.raises(UserError, match=r"the drawing of .*a/1.jpg would replace an image; choose another output_dir"):
        drawing_paths(images, tmp_path)


def test_an_image_too_large_for_jpeg_is_one_line(tmp_path):
    with pytest.raises(UserError, match="an image of 70000x2 pixels cannot be a JPEG file"):
        write_image(np.zeros((2, 70000, 3), np.uint8), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_comparing_script_says_what_disagrees(exported, tmp_path, run_here):
    path, model = exported
    words = ["-c", path, "--inference_model_dir", model, "--inference_config", INFERENCE]
    passed = run_here("tools/compare_engines.py", *words, "--save", tmp_path / "agree.json")
    assert passed.status == 0, passed.err
    assert re.search(r"^strict: largest difference 0 .*: agrees$", passed.out, re.MULTILINE)
    assert [entry["agrees"] for entry in json.loads((tmp_path / "agree.json").read_text())] == [True, True]
    other = save_arrays(detector_weights(load_config(path), seed=4), tmp_path / "other.pdparams")
    failed = run_here("tools/compare_engines.py", *words, "-o", f"Global.pretrained_model={other}")
    assert failed.status == 1
    assert "its predictions are not those of the trained network" in failed.err


def test_exported_model_takes_image_and_scale(exported):
    from paddle import inference

    _, model = exported
    predictor = inference.create_predictor(
        inference.Config(str(model / "inference.pdmodel"), str(model / "inference.pdiparams"))
    )
    assert sorted(predictor.get_input_names()) == ["image", "scale_factor"]
    images, scales = np.zeros((2, 3, 64, 64), np.float32), np.array([[1, 1], [0.5, 0.25]], np.float32)
    images[1] = images[0]
    for name, array in (("image", images), ("scale_factor", scales)):
        predictor.get_input_handle(name).copy_from_cpu(array)
    predictor.run()
    outputs = [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
    assert [output.shape for output in outputs] == [(40, 6), (2,), (2, 3, 16, 16), (2, 2, 16, 16), (2, 2, 16, 16)]
    assert outputs[1].tolist() == [20, 20]
    first, second = outputs[0].reshape(2, 20, 6)
    np.testing.assert_allclose(second[:, 2:], first[:, 2:] * [4, 2, 4, 2], rtol=1e-5)


def test_a_sixth_backbone_is_trained_exported_and_compared_by_its_name_alone(det_config, tmp_path, write_config):
    det_config["Arch"]["Backbone"]["name"] = "PPHGNetV2_B0"
    det_config["Global"].update(epochs=2, save_inference_dir=str(tmp_path / "model"))
    path = write_config(det_config)
    weights = ["-o", f"Global.pretrained_model={tmp_path / 'out/latest'}"]
    compare = ["--inference_model_dir", tmp_path / "model", "--inference_config", INFERENCE]
    for script, words in (
        ("tools/train.py", []),
        ("tools/export_model.py", weights),
        ("tools/compare_engines.py", [*weights, *compare]),
    ):
        outcome = run_process(script, "-c", path, *words)
        assert outcome.status == 0, outcome.err
    assert re.search(r"^strict: largest difference 0 .*: agrees$", outcome.out, re.MULTILINE)


# ---- faults


def test_a_classifier_is_not_a_detector(exported, det_set, run_here, tmp_path):
    path, model = exported
    content = load_config(path)
    content["Infer"]["PostProcess"] = {"name": "Topk", "topk": 2}
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(content))
    for script in ("tools/infer.py", "tools/export_model.py"):
        outcome = run_here(script, "-c", wrong, "-o", f"Global.save_inference_dir={tmp_path / 'm'}")
        assert_one_line(outcome, "Infer.PostProcess.name: expected DetectionBoxes for CenterNet, found 'Topk'")
    words = ["-c", ROOT / "deploy/configs/inference_cls.yaml", "-o", f"Global.inference_model_dir={model}"]
    assert_one_line(run_here("deploy/python/predict_cls.py", *words), "predict_det.py for detectors")


def test_weights_of_another_backbone_are_refused(exported, run_here):
    path, _ = exported
    outcome = run_here("tools/infer.py", "-c", path, "-o", "Arch.Backbone.name=ShuffleNetV2_x0_25")
    assert_one_line(outcome, "does not fit the network")


def test_image_shape_must_be_what_the_transforms_make(exported, run_here, tmp_path):
    path, _ = exported
    words = ["-c", path, "-o", "Global.image_shape=[3,96,96]", "-o", f"Global.save_inference_dir={tmp_path / 'model'}"]
    outcome = run_here("tools/export_model.py", *words)
    assert_one_line(outcome, "Global.image_shape is [3, 96, 96], but Infer.transforms make images of [3, 64, 64]")


def test_a_file_that_is_not_an_image_is_reported_and_the_others_predicted(exported, det_set, tmp_path, run_here):
    path, _ = exported
    (tmp_path / "a.png").write_bytes(b"not an image")
    (tmp_path / "b.png").write_bytes((det_set / "val/0.png").read_bytes())
    outcome = run_here("tools/infer.py", "-c", path, "-o", f"Infer.infer_imgs={tmp_path}")
    assert_one_line(outcome, "a.png: not a decodable image")
    assert "b.png" in outcome.out


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"name": "DetectionBoxes", "treshold": 0.5},
            r"unknown key 'treshold' \(did you mean 'threshold'\?\); known: class_id_map_file, name, thresh",
        ),
        ({"name": "DetectionBoxes", "threshold": 2}, "PostProcess.threshold: expected a number from 0 to 1"),
        ({"name": "Boxes"}, "PostProcess.name: unknown post-processing 'Boxes'.*; known: DetectionBoxes, Embedding, M"),
    ],
)
def test_faults_of_the_post_processing_are_named(section, message):
    with pytest.raises(UserError, match=message):
        build_postprocess(section)


def test_boxes_are_cut_named_and_drawn():
    rows = np.array([[[1, 0.91234, -4.0, 2.5, 12.126, 30.0], [0, 0.2, 0, 0, 5, 5]]], np.float32)
    (result,) = DetectionBoxes(threshold=0.5)(rows, [(20, 25)])
    assert result == {"class_ids": [1], "scores": [0.91234], "boxes": [[0.0, 2.5, 12.13, 25.0]], "label_names": []}
    assert format_det_line(result, "x/a.jpg") == "a.jpg: 1 box(es): 1 0.91 [0.0, 2.5, 12.1, 25.0]"
    image = np.zeros((40, 60, 3), np.uint8)
    assert draw_boxes(image, result).any()
    assert not image.any()


def test_evaluating_script_prints_classes_and_figures(exported, run_here):
    path, _ = exported
    outcome = run_here("tools/eval.py", "-c", path)
    assert outcome.status == 0, outcome.err
    assert "[Eval][Avg] loss: " in outcome.out
    assert re.search(r"AP: [.\d]+, AP50: [.\d]+, AP75", outcome.out)
