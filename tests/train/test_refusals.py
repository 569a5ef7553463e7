"""Trainings and evaluations that look well and mean nothing: each fault is planted, and has to be refused."""

import re

import cv2
import numpy as np
import paddle
import pytest

from ppcls_lite.train import loop
from ppcls_lite.train.changes import Changes
from ppcls_lite.train.evaluate import Evaluator
from ppcls_lite.train.losses import WeightedLosses
from ppcls_lite.train.metrics import build_metric
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from ppcls_lite.utils.tensor_files import write_tensor
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.scripts import assert_one_line


@pytest.fixture
def short(config):
    """A config of one epoch in two steps, without evaluation and warm-up."""
    config["Global"].update(epochs=1, eval_during_train=False)
    config["DataLoader"]["Train"]["sampler"]["batch_size"] = 7
    config["Optimizer"]["lr"]["warmup_epoch"] = 0
    return config


@pytest.fixture
def weights(config, tmp_path):
    config["Global"]["pretrained_model"] = str(save_arrays(random_weights(), tmp_path / "w.pdparams"))
    return config


# ---- a training that trains nothing


def test_weights_that_moved_are_counted(short, write_config, run_here):
    outcome = run_here("tools/train.py", "-c", write_config(short))
    assert outcome.status == 0, outcome.err
    changed, total = re.search(r"the training changed (\d+) of (\d+) trainable parameters", outcome.out).groups()
    assert changed == total


def test_a_learning_rate_of_0_is_no_training(short, write_config, run_here):
    short["Optimizer"]["lr"]["learning_rate"] = 0.0
    outcome = run_here("tools/train.py", "-c", write_config(short))
    assert_one_line(outcome, "changed none of its 144 trainable parameters; is Optimizer.lr.learning_rate 0")


def test_a_resumed_run_has_to_move_the_weights_too(short, write_config, run_here, tmp_path):
    path = write_config(short)
    assert run_here("tools/train.py", "-c", path).status == 0
    resume = ["-o", f"Global.checkpoints={tmp_path}/out/latest", "-o", "Global.epochs=2"]
    assert run_here("tools/train.py", "-c", path, *resume).status == 0
    resume = [*resume[:3], "Global.epochs=3", "-o", "Optimizer.lr.learning_rate=0"]
    assert_one_line(run_here("tools/train.py", "-c", path, *resume), "changed none of its 144 trainable parameters")


def test_a_frozen_backbone_is_left_out_and_running_statistics_do_not_count():
    model = paddle.nn.Sequential(paddle.nn.Linear(2, 2), paddle.nn.BatchNorm1D(2), paddle.nn.Linear(2, 1))
    for parameter in [*model[0].parameters(), *model[1].parameters()]:
        parameter.stop_gradient = True
    changes = Changes(model)
    model.train()
    model(paddle.rand([4, 2]))  # moves the statistics
    with pytest.raises(UserError, match="changed none of its 2 trainable parameters"):
        changes.check()
    model[2].bias.set_value(np.array([3.0], np.float32))
    changes.check()
    for parameter in model.parameters():
        parameter.stop_gradient = True
    with pytest.raises(UserError, match="no trainable parameter"):
        Changes(model)


def test_weights_that_are_no_numbers_are_not_saved(short, tmp_path):
    trainer = loop.Trainer(short, "cpu")
    trainer.model.parameters()[0].set_value(paddle.full_like(trainer.model.parameters()[0], np.inf))
    with pytest.raises(UserError, match="the weights after epoch 1, which are not saved: "):
        trainer.evaluate_and_save(1, tmp_path / "out", None)
    assert not list((tmp_path / "out").glob("*.pdparams"))


# ---- a loss or a metric that says nothing


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"CELoss": {"weight": 0}}], r"^Loss.Eval: expected a loss with a weight above 0"),
        ([{"CELoss": {"weight": 0}}, {"CELoss": {"weight": 0.0}}], "^Loss.Eval: expected a loss with a weight above 0"),
        ([{"CELoss": {"weight": -1}}], r"^Loss.Eval\[0\].CELoss.weight: expected a number of at least 0, found -1"),
        ([{"CELoss": {"weight": "nan"}}], r"^Loss.Eval\[0\].CELoss.weight: expected a number"),
    ],
)
def test_weights_of_losses(items, message):
    with pytest.raises(UserError, match=message):
        WeightedLosses(items, "Loss.Eval")


def test_one_of_several_losses_may_be_switched_off():
    assert len(WeightedLosses([{"CELoss": {"weight": 0}}, {"CELoss": None}], "Loss.Train").terms) == 2


@pytest.mark.parametrize("metric", ["Metric.Eval=[]", "Metric.Eval=null", "Metric={}", "Metric=null"])
def test_an_evaluation_needs_a_metric(weights, write_config, run_here, metric):
    outcome = run_here("tools/eval.py", "-c", write_config(weights), "-o", metric)
    assert_one_line(outcome, "Metric.Eval: expected a metric such as '- TopkAcc: {topk: [1, 5]}', found none")


def test_a_training_without_a_metric_says_so(short, write_config, run_here):
    short["Global"]["eval_during_train"] = True
    outcome = run_here("tools/train.py", "-c", write_config(short), "-o", "Metric.Eval=[]")
    assert outcome.status == 0
    assert "Metric.Eval names no metric: best_model will be the network with the lowest loss" in outcome.out


def test_a_second_metric_would_be_ignored():
    with pytest.raises(UserError, match=r"^Metric\.Eval: expected one metric, found 2"):
        build_metric([{"TopkAcc": {"topk": 1}}, {"TopkAcc": {"topk": 5}}], "Metric.Eval")


# ---- images that do not count


@pytest.mark.parametrize("shape", ["[3, 0, 0]", "[3, 32]", "[1, 32, 32]", "[3, 32, 32.5]", "[3, -1, 32]", "[]"])
@pytest.mark.parametrize("script", ["train", "eval", "export_model"])
def test_an_image_shape_that_no_image_has(weights, write_config, run_here, script, shape):
    outcome = run_here(f"tools/{script}.py", "-c", write_config(weights), "-o", f"Global.image_shape={shape}")
    assert_one_line(outcome, f"Global.image_shape: expected [3, height, width], found {shape}")


def test_an_evaluation_takes_the_images_of_the_last_batch_too(weights, write_config, run_here):
    path = write_config(weights)
    every = run_here("tools/eval.py", "-c", path).out.splitlines()[-1].partition("INFO: ")[2]
    outcome = run_here("tools/eval.py", "-c", path, "-o", "DataLoader.Eval.sampler.drop_last=True")
    assert outcome.out.splitlines()[-1].partition("INFO: ")[2] == every
    assert every.endswith("images: 7")
    assert "DataLoader.Eval.sampler.drop_last: True is not followed" in outcome.out


def test_an_evaluation_of_fewer_images_than_the_list_has(config):
    evaluator = Evaluator(config, loop.build_loader(config["DataLoader"]["Eval"], "Eval", 0))
    with pytest.raises(UserError, match=r"^DataLoader\.Eval: 6 images were evaluated, and its list has 7"):
        evaluator._over_processes(1.0, 6)


def test_an_image_that_cannot_be_read_ends_an_evaluation(weights, write_config, run_here, tmp_path, tiny_data):
    dataset = weights["DataLoader"]["Eval"]["dataset"]
    cv2.imwrite(str(tmp_path / "good.png"), np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "list.txt").write_text("good.png 0\nbad.png 1\n")
    dataset.update(image_root=str(tmp_path), cls_label_path=str(tmp_path / "list.txt"))
    assert_one_line(run_here("tools/eval.py", "-c", write_config(weights)), "bad.png: ")


# ---- weights that are no numbers


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("script", ["train", "eval", "infer", "export_model"])
def test_weights_of_no_numbers_are_not_loaded(weights, write_config, run_here, tmp_path, script, value):
    arrays = random_weights()
    arrays["conv.bn._variance"][1] = value
    save_arrays(arrays, tmp_path / "w.pdparams")
    outcome = run_here(f"tools/{script}.py", "-c", write_config(weights))
    assert_one_line(outcome, "w.pdparams: conv.bn._variance holds numbers that are nan or infinite (1 of ")


def test_a_folder_of_variables_and_a_checkpoint_of_no_numbers(short, write_config, run_here, tmp_path):
    path = write_config(short)
    assert run_here("tools/train.py", "-c", path).status == 0
    out = tmp_path / "out"
    resume = ["-c", path, "-o", f"Global.checkpoints={out}/latest", "-o", "Global.epochs=2"]
    arrays = load_arrays(out / "latest")
    arrays["fc.bias"][0] = np.nan
    kept = (out / "latest.pdparams").read_bytes()
    save_arrays(arrays, out / "latest.pdparams")
    assert_one_line(run_here("tools/train.py", *resume), "latest.pdparams: fc.bias holds numbers that are nan")
    (out / "latest.pdparams").write_bytes(kept)
    evaluated = ["-c", path, "-o", f"Global.pretrained_model={tmp_path}/folder"]
    (tmp_path / "folder").mkdir()
    for name, array in arrays.items():
        with (tmp_path / "folder" / name).open("wb") as stream:
            write_tensor(stream, array)
    assert_one_line(run_here("tools/eval.py", *evaluated), "folder: fc.bias holds numbers that are nan")
    moments = paddle.load(str(out / "latest.pdopt"))
    name = next(name for name in moments if "velocity" in name)
    moments[name] = paddle.full_like(moments[name], np.nan)
    paddle.save(moments, str(out / "latest.pdopt"))
    assert_one_line(run_here("tools/train.py", *resume), f"latest.pdopt: {name} holds numbers that are nan")


# ---- a resumed training of another kind, images that count twice


def test_a_checkpoint_of_another_optimizer(short, write_config, run_here, tmp_path):
    """Its moments have other names: the new optimizer would begin with none, and say nothing."""
    assert run_here("tools/train.py", "-c", write_config(short)).status == 0
    short["Optimizer"] = {"name": "Adam", "lr": short["Optimizer"]["lr"]}
    short["Global"].update(checkpoints=str(tmp_path / "out/latest"), epochs=2)
    outcome = run_here("tools/train.py", "-c", write_config(short))
    assert_one_line(outcome, "Optimizer.name is Adam: ", "out/latest was begun with Momentum")


@pytest.fixture
def listed(config, tmp_path, tiny_data):
    """`listed(text)` makes a list file for the evaluation."""

    def write(text):
        (tmp_path / "list.txt").write_text(text)
        config["DataLoader"]["Eval"]["dataset"]["cls_label_path"] = str(tmp_path / "list.txt")
        return config

    return write


def test_an_image_with_two_labels(listed):
    config = listed("val_0.png 0\nval_1.png 1\nval_0.png 2\n")
    with pytest.raises(UserError, match=r"list\.txt:3: val_0\.png has label 2 here, and 0 in line 1"):
        loop.Trainer(config, "cpu")


def test_images_that_count_twice_or_are_trained_on_are_named(listed, write_config, run_here):
    config = listed("val_0.png 0\nval_0.png 0\ntrain_1.png 1\n")
    config["Global"]["epochs"] = 2
    outcome = run_here("tools/train.py", "-c", write_config(config))
    assert outcome.status == 0, outcome.err
    assert "DataLoader.Eval: 1 of 3 images are listed before: they count twice" in outcome.out
    assert "DataLoader.Eval: 1 of 2 images are trained on too" in outcome.out
