"""A detector from training to Paddle Inference: figures, resuming, export, both engines, and what must be refused."""

import contextlib
import copy
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
import yaml
from conftest import ROOT, assert_one_line, random_weights, run_process, save_arrays
from detection import NAMES, detector_weights, make_config, write_set

from ppcls_lite.arch.centernet import decode
from ppcls_lite.arch.from_config import build_network
from ppcls_lite.data.loader import build_loader
from ppcls_lite.infer import compare_det
from ppcls_lite.infer.compare_det import DetectionAgreement, compare_detectors
from ppcls_lite.infer.detect import DetectionBoxes, draw_boxes, drawing_paths, format_det_line, write_picture
from ppcls_lite.infer.postprocess import build_postprocess
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.train import loop
from ppcls_lite.train.detection_metrics import COCOMetric
from ppcls_lite.train.evaluate import Evaluator
from ppcls_lite.train.losses import LOSSES
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from ppcls_lite.utils.schema import DEPLOY
from ppcls_lite.utils.train_log import read_train_log

FIGURES = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge")
INFERENCE = ROOT / "deploy/configs/inference_det.yaml"


@pytest.fixture(scope="session")
def det_set(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("det") / "set")


@pytest.fixture
def config(det_set, tmp_path):
    fresh = make_config(det_set)
    fresh["Global"]["output_dir"] = str(tmp_path / "out")
    return fresh


@pytest.fixture(scope="session")
def exported(det_set, tmp_path_factory):
    """(config path, folder of the exported model), made once by tools/export_model.py."""
    folder = tmp_path_factory.mktemp("exported_det")
    content = make_config(det_set)
    weights = save_arrays(detector_weights(content), folder / "weights.pdparams")
    content["Global"].update(pretrained_model=str(weights), save_inference_dir=str(folder / "model"))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    outcome = run_process("tools/export_model.py", "-c", path)
    assert outcome.status == 0, outcome.err
    return path, folder / "model"


# ---- training


def test_training_logs_its_parts_and_its_figures(config, capsys):
    loop.train(config)
    lines = capsys.readouterr().out.splitlines()
    trained = [line for line in lines if "[Train]" in line]
    number = r"\d+\.\d{5}"
    parts = ", ".join(f"{name}: {number}" for name in ("HeatmapFocalLoss", "SizeL1Loss", "OffsetL1Loss", "loss"))
    assert all(re.search(rf"\] lr: \d\.\d{{8}}, {parts}, avg_reader_cost: {number} sec, ", line) for line in trained)
    evaluated = [line for line in lines if "[Eval]" in line]
    assert len(evaluated) == 2
    figures = "".join(rf"{name}: -?{number}, " for name in ("loss", *FIGURES))
    assert all(re.search(rf"\[Eval\]\[Epoch [24]\] {figures}best: {number}$", line) for line in evaluated)
    log = read_train_log(f"{config['Global']['output_dir']}/log_train.txt")
    assert [set(point.figures) for point in log.evals] == [{"AP", "AP50"}] * 2


def test_a_detector_learns(config):
    """Shapes of one colour each: a short training finds them."""
    config["Global"].update(epochs=60, eval_interval=60, save_interval=100)
    config["Optimizer"]["lr"]["learning_rate"] = 0.01
    loop.train(config)
    log = read_train_log(f"{config['Global']['output_dir']}/log_train.txt")
    assert log.train[-1].loss < 0.25 * log.train[0].loss
    assert log.evals[-1].figures["AP50"] > 0.3


def test_a_resumed_training_ends_with_the_same_weights_bit_by_bit(config, tmp_path):
    loop.train(config)
    whole = load_arrays(tmp_path / "out/latest")
    halves = copy.deepcopy(config)
    halves["Global"].update(output_dir=str(tmp_path / "halves"))
    done = loop.Trainer.evaluate_and_save

    class Killed(Exception):
        pass

    def save_and_die(self, epoch, output_dir):
        done(self, epoch, output_dir)
        if epoch == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Trainer, "evaluate_and_save", save_and_die)
        with pytest.raises(Killed):
            loop.train(halves)
    halves["Global"]["checkpoints"] = str(tmp_path / "halves/latest")
    loop.train(halves)
    resumed = load_arrays(tmp_path / "halves/latest")
    assert list(resumed) == list(whole)
    assert all((resumed[name] == whole[name]).all() for name in whole)


def test_backbone_begins_with_a_classifiers_weights(config, tmp_path):
    arrays = random_weights(config["Arch"]["Backbone"]["name"], class_num=7)
    config["Arch"]["Backbone"]["pretrained"] = str(save_arrays(arrays, tmp_path / "classifier.pdparams"))
    state = build_network(config).state_dict()
    found = [name for name in state if name.startswith("backbone.")]
    assert len(found) > 50
    assert all((state[name].numpy() == arrays[name.replace("backbone.", "", 1)]).all() for name in found)


@pytest.mark.parametrize(
    ("section", "entry", "message"),
    [
        ("Metric.Eval", {"COCMetric": {}}, r"Metric.Eval\[0\]: expected .* COCOMetric, TopkAcc"),
        ("Metric.Eval", {"TopkAcc": {"topk": 1}}, "TopkAcc: needs images with a class, found a COCODataSet"),
        ("Loss.Train", {"CELoss": {"weight": 1.0}}, "CELoss: the network gives several maps"),
    ],
)
def test_what_is_for_classifiers_cannot_train_a_detector(config, section, entry, message):
    part, key = section.split(".")
    config[part][key] = [entry]
    with pytest.raises(UserError, match=message):
        loop.train(config)
    assert not list(Path(config["Global"]["output_dir"]).glob("*.pdparams"))


@pytest.mark.parametrize("name", ["HeatmapFocalLoss", "SizeL1Loss"])
def test_losses_of_detectors_cannot_train_a_classifier(name):
    logits, labels = paddle.zeros([2, 3]), paddle.to_tensor([0, 1])
    with pytest.raises(UserError, match=f"{name}: needs the maps of a detector"):
        LOSSES.build(name, {}, "Loss.Train[0]")(logits, labels)


@pytest.mark.parametrize("size", [0, -3, "x", True])
def test_a_number_of_boxes_is_one(config, size):
    config["Arch"]["max_boxes"] = size
    with pytest.raises(UserError, match=r"Arch.max_boxes: expected a whole number from 1 up"):
        build_network(config)


@pytest.mark.parametrize(
    ("where", "ops", "message"),
    [
        ("Train", {"DetScaleCrop": {"size": 72}}, "the image is 72x72, and no multiple of 32 pixels"),
        ("Eval", {"DetResize": {"size": 100}}, "the image is 100x100, and no multiple of 32 pixels"),
    ],
)
def test_a_size_that_the_network_cannot_take_is_one_line(config, where, ops, message):
    listed = config["DataLoader"][where]["dataset"]["transform_ops"]
    place = next(index for index, op in enumerate(listed) if next(iter(op)) == next(iter(ops)))
    listed[place] = ops
    with pytest.raises(UserError, match=message):
        loop.train(config)


# ---- evaluation


def perfect(loader, classes):
    """A model that gives each picture of the loader, in order, its own targets as maps."""

    class Perfect(paddle.nn.Layer):
        batches = None

        def forward(self, images):
            self.batches = self.batches or iter(list(loader))
            _, heat, cells, sizes, offsets, valid, *_ = next(self.batches)
            count, _, height, width = heat.shape
            maps = np.zeros((2, count, 2, height * width), np.float32)
            for picture in range(count):
                for place in np.flatnonzero(valid.numpy()[picture]):
                    cell = int(cells[picture, place])
                    maps[0, picture, :, cell] = sizes.numpy()[picture, place]
                    maps[1, picture, :, cell] = offsets.numpy()[picture, place]
            shape = [count, 2, height, width]
            logits = paddle.log(heat + 1e-9) - paddle.log(1 - heat + 1e-9)
            return logits, *(paddle.to_tensor(array).reshape(shape) for array in maps)

    return Perfect()


def evaluate_perfect(config):
    loader = build_loader(config["DataLoader"]["Eval"], "Eval", 0, class_num=len(NAMES))
    evaluator = Evaluator(config, loader)
    return evaluator.run(perfect(loader, len(NAMES))), evaluator


def test_perfect_maps_have_an_ap_of_one(config):
    results, evaluator = evaluate_perfect(config)
    assert results["AP50"] == pytest.approx(1, abs=0.02)
    assert results["AP"] > 0.9
    (note,) = evaluator.notes()
    assert all(name in note for name in set(re.findall(r"(\w+) [.\d]+ /", note)))


def test_swapped_classes_have_no_ap(config, monkeypatch):
    found = COCOMetric._results

    def swapped(self):
        rows = found(self)
        rows[:, 6] = np.where(rows[:, 6] == 0, 1, 0)
        return rows

    monkeypatch.setattr(COCOMetric, "_results", swapped)
    results, _ = evaluate_perfect(config)
    assert results["AP50"] < 0.5


def test_boxes_in_the_networks_pixels_would_be_seen(config, monkeypatch):
    """The scale back to the picture is part of what AP judges."""
    config["DataLoader"]["Eval"]["dataset"]["transform_ops"][1] = {"DetResize": {"size": 96}}
    whole, _ = evaluate_perfect(config)
    monkeypatch.setattr(
        "ppcls_lite.train.detection_metrics.decode",
        lambda heat, size, offset, scales, most: decode(heat, size, offset, paddle.ones_like(scales), most),
    )
    unscaled, _ = evaluate_perfect(config)
    assert unscaled["AP"] < whole["AP"] - 0.3


def edit_truth(config, folder, edit):
    """Make the config evaluate a copy of its set in `folder` whose annotation file `edit` has changed."""
    dataset = config["DataLoader"]["Eval"]["dataset"]
    shutil.copytree(dataset["dataset_dir"], folder)
    path = folder / dataset["anno_path"]
    content = json.loads(path.read_text())
    edit(content["annotations"])
    path.write_text(json.dumps(content))
    dataset["dataset_dir"] = str(folder)


def number_from_zero(annotations):
    for number, entry in enumerate(annotations):
        entry["id"] = number


def give_all_the_same_number(annotations):
    for entry in annotations:
        entry["id"] = 7


def leave_out_what_may_be(annotations):
    for entry in annotations:
        for key in ("id", "area", "iscrowd"):
            entry.pop(key)


@pytest.mark.parametrize("edit", [number_from_zero, give_all_the_same_number, leave_out_what_may_be])
def test_figures_do_not_depend_on_numbers_of_annotations(config, tmp_path, edit):
    expected, _ = evaluate_perfect(config)
    edit_truth(config, tmp_path / "set", edit)
    assert evaluate_perfect(config)[0] == expected


def test_a_box_that_is_left_out_is_not_missed(config, tmp_path):
    expected, _ = evaluate_perfect(config)
    flat = {"id": 99, "image_id": 10, "category_id": 3, "bbox": [1, 1, 0, 9], "area": 0, "iscrowd": 0}
    edit_truth(config, tmp_path / "set", lambda annotations: annotations.append(flat))
    config["DataLoader"]["Eval"]["dataset"]["bad_boxes"] = "skip"
    assert evaluate_perfect(config)[0] == expected


def test_figures_are_those_of_pycocotools_alone(config, det_set, tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    _, evaluator = evaluate_perfect(config)
    metric = evaluator.metric
    rng = np.random.default_rng(4)
    metric.rows[:, 3:] += rng.normal(size=(len(metric.rows), 4)) * 2
    metric.rows[:, 2] = rng.uniform(0.1, 1, len(metric.rows))
    found = [
        {
            "image_id": metric.dataset.pictures[int(number)].image_id,
            "category_id": (3, 5, 9)[int(label)],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for number, label, score, x1, y1, x2, y2 in metric.rows.tolist()
    ]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(found))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(det_set / "annotations/val.json"))
        truth.dataset.setdefault("info", {})
        evaluation = COCOeval(truth, truth.loadRes(str(path)), "bbox")
        for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
            step()
    assert list(metric.values().values()) == pytest.approx(evaluation.stats[:6].tolist())


def test_no_box_at_all_is_an_ap_of_zero(config):
    loader = build_loader(config["DataLoader"]["Eval"], "Eval", 0, class_num=len(NAMES))
    metric = Evaluator(config, loader).metric
    assert set(metric.values().values()) == {0.0}
    assert metric.notes() == []


def test_two_processes_share_one_evaluation(exported, tmp_path):
    path, _ = exported
    alone = run_process("tools/eval.py", "-c", path)
    command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend", "gloo"]
    command += ["--log_dir", str(tmp_path / "log"), str(ROOT / "tools/eval.py"), "-c", str(path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)
    assert alone.status == done.returncode == 0, done.stderr
    wanted = re.search(r"AP: .*$", alone.out, re.MULTILINE)[0]
    assert wanted in (tmp_path / "log/workerlog.0").read_text()


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
    assert (strict.differing_bits, strict.largest, strict.images) == (0, 0, 5)
    assert usual.agrees, usual
    assert usual.boxes > 20


def change_plain_engine(monkeypatch, change):
    """Let the plain engine's outputs, and no other's, go through `change`."""
    run = compare_det.run_detector

    def wrong(engine, pictures):
        outputs = run(engine, pictures)
        if engine.name == "paddle":
            outputs = [array.copy() for array in outputs]
            change(outputs)
        return outputs

    monkeypatch.setattr(compare_det, "run_detector", wrong)


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


def test_agreement_about_nothing_is_none():
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
    assert drawing_paths([images[0]], "out") == {images[0]: Path("out/1.jpg")}
    assert drawing_paths([], "out") == {}
    with pytest.raises(UserError, match=r"the drawing of .*a/1.jpg would replace an image; choose another output_dir"):
        drawing_paths(images, tmp_path)


def test_a_picture_too_large_for_jpeg_is_one_line(tmp_path):
    with pytest.raises(UserError, match="a picture of 70000x2 pixels cannot be a JPEG file"):
        write_picture(np.zeros((2, 70000, 3), np.uint8), tmp_path / "a.jpg")
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


def test_a_sixth_backbone_is_trained_exported_and_compared_by_its_name_alone(config, tmp_path, write_config):
    config["Arch"]["Backbone"]["name"] = "PPHGNetV2_B0"
    config["Global"].update(epochs=2, save_inference_dir=str(tmp_path / "model"))
    path = write_config(config)
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


def test_a_classifier_is_no_detector(exported, det_set, run_here, tmp_path):
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


def test_a_file_that_is_no_picture_is_reported_and_the_others_predicted(exported, det_set, tmp_path, run_here):
    path, _ = exported
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "b.png").write_bytes((det_set / "val/0.png").read_bytes())
    outcome = run_here("tools/infer.py", "-c", path, "-o", f"Infer.infer_imgs={tmp_path}")
    assert_one_line(outcome, "a.png: not a decodable image")
    assert "b.png" in outcome.out


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "DetectionBoxes", "treshold": 0.5}, "unknown key 'treshold'; known: class_id_map_file, name, thresh"),
        ({"name": "DetectionBoxes", "threshold": 2}, "PostProcess.threshold: expected a number from 0 to 1"),
        ({"name": "Boxes"}, "expected Topk or DetectionBoxes, found 'Boxes'"),
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
    picture = np.zeros((40, 60, 3), np.uint8)
    assert draw_boxes(picture, result).any()
    assert not picture.any()


def test_evaluating_script_prints_classes_and_figures(exported, run_here):
    path, _ = exported
    outcome = run_here("tools/eval.py", "-c", path)
    assert outcome.status == 0, outcome.err
    assert "[Eval][Avg] loss: " in outcome.out
    assert re.search(r"AP: [.\d]+, AP50: [.\d]+, AP75", outcome.out)
