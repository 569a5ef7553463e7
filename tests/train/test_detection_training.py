"""CenterNet trained, and its average precision."""

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

import numpy as np
import paddle
import pytest

from ppcls_lite.arch.centernet import decode
from ppcls_lite.arch.from_config import build_network
from ppcls_lite.data.loader import build_loader
from ppcls_lite.train import loop
from ppcls_lite.train.detection_metrics import COCOMetric
from ppcls_lite.train.evaluate import Evaluator
from ppcls_lite.train.losses import LOSSES
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.detection import NAMES
from tests.helpers.scripts import LIMIT, ROOT, run_process
from train_log import read_train_log

FIGURES = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge")


@pytest.fixture
def config(det_config):
    return det_config


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

    def save_and_die(self, epoch, *places):
        done(self, epoch, *places)
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
        ("Metric.Eval", {"COCMetric": {}}, r"Metric.Eval\[0\]: expected .* COCOMetric, DistillationTopkAcc, TopkAcc"),
        ("Metric.Eval", {"TopkAcc": {"topk": 1}}, "TopkAcc: needs images with a class, found a COCODataSet"),
        ("Loss.Train", {"CELoss": {"weight": 1.0}}, "CELoss: the network gives several maps"),
    ],
)
def test_parts_for_classifiers_cannot_train_a_detector(config, section, entry, message):
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
    with pytest.raises(UserError, match=r"Arch.max_boxes: expected a whole number of at least 1"):
        build_network(config)


@pytest.mark.parametrize(
    ("where", "ops", "message"),
    [
        ("Train", {"DetScaleCrop": {"size": 72}}, "the image is 72x72, not a multiple of 32 pixels"),
        ("Eval", {"DetResize": {"size": 100}}, "the image is 100x100, not a multiple of 32 pixels"),
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
    """A model that gives each image of the loader, in order, its own targets as maps."""

    class Perfect(paddle.nn.Layer):
        batches = None

        def forward(self, images):
            self.batches = self.batches or iter(list(loader))
            target = next(self.batches).target
            count, _, height, width = target.heat.shape
            maps = np.zeros((2, count, 2, height * width), np.float32)
            for image in range(count):
                for place in np.flatnonzero(target.valid.numpy()[image]):
                    cell = int(target.cells[image, place])
                    maps[0, image, :, cell] = target.sizes.numpy()[image, place]
                    maps[1, image, :, cell] = target.offsets.numpy()[image, place]
            shape = [count, 2, height, width]
            logits = paddle.log(target.heat + 1e-9) - paddle.log(1 - target.heat + 1e-9)
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
    """The scale back to the image file is part of what AP judges."""
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


def leave_out_optional_keys(annotations):
    for entry in annotations:
        for key in ("id", "area", "iscrowd"):
            entry.pop(key)


@pytest.mark.parametrize("edit", [number_from_zero, give_all_the_same_number, leave_out_optional_keys])
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
            "image_id": metric.dataset.images[int(number)].image_id,
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


def test_two_processes_share_one_evaluation(exported_detector, tmp_path):
    path, _ = exported_detector
    alone = run_process("tools/eval.py", "-c", path)
    command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node=2", "--backend", "gloo"]
    command += ["--log_dir", str(tmp_path / "log"), str(ROOT / "tools/eval.py"), "-c", str(path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert alone.status == done.returncode == 0, done.stderr
    expected = re.search(r"AP: .*$", alone.out, re.MULTILINE)[0]
    assert expected in (tmp_path / "log/workerlog.0").read_text()
