"""Evaluation: figures as plain NumPy computes them, each image counted once, and faults that end it."""

import re

import numpy as np
import paddle
import pytest

from ppcls_lite.train.evaluate import Evaluator
from ppcls_lite.train.metrics import TopkAcc, build_metric
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.scripts import assert_one_line

NUMBER = r"\d+\.\d{5}"


def test_evaluation_equals_plain_numpy(config, write_config, tmp_path, run_here):
    arrays = random_weights()
    config["Global"]["pretrained_model"] = str(save_arrays(arrays, tmp_path / "w.pdparams"))
    config["Metric"]["Eval"] = [{"TopkAcc": {"topk": [1, 2, 5]}}]
    outcome = run_here("tools/eval.py", "-c", write_config(config))
    assert outcome.status == 0
    last = outcome.out.splitlines()[-1]
    shown = dict(re.findall(rf"(loss|top\d): ({NUMBER})", last))
    assert last.endswith("images: 7")

    from ppcls_lite.arch.from_config import load_network
    from ppcls_lite.data.transforms import build_transforms
    from ppcls_lite.infer.images import read_image

    dataset = config["DataLoader"]["Eval"]["dataset"]
    transforms = build_transforms([*dataset["transform_ops"], {"ToCHWImage": None}])
    with open(dataset["cls_label_path"]) as stream:
        rows = [line.split() for line in stream]
    images = np.stack([read_image(f"{dataset['image_root']}/{name}", transforms) for name, _ in rows])
    labels = np.array([int(label) for _, label in rows])
    with paddle.no_grad():
        logits = load_network(config)(paddle.to_tensor(images)).numpy().astype(np.float64)
    ranks = (logits > logits[range(7), labels][:, None]).sum(axis=1)
    assert [float(shown[f"top{k}"]) for k in (1, 2, 5)] == [round((ranks < k).mean(), 5) for k in (1, 2, 5)]
    losses = np.log(np.exp(logits - logits[range(7), labels][:, None]).sum(axis=1))
    assert float(shown["loss"]) == pytest.approx(losses.mean(), abs=1e-4)
    assert 0 < (ranks < 1).mean() < 1  # a figure that says something


def test_topk_accuracy():
    metric = TopkAcc([1, 2, 9])
    logits = np.array([[0.1, 0.5, 0.2], [0.5, 0.5, 0.1], [0.5, 0.5, 0.1], [0.0, 0.1, 0.2]])
    metric.update(logits[:3], np.array([1, 0, 1]))
    metric.update(logits[3:], np.array([0]))
    assert metric.values() == {"top1": 0.5, "top2": 0.75, "top9": 1.0}  # of equal scores, the lower id is first
    metric.reset()
    assert metric.values() == {"top1": 0.0, "top2": 0.0, "top9": 0.0}
    assert TopkAcc(3).topk == [3]
    assert build_metric(None, "Metric.Eval") is None


def test_evaluator_counts_images_not_batches(config):
    """The last batch is smaller: a mean of the batches' means would be another number."""
    from ppcls_lite.data.loader import build_loader

    class Sure(paddle.nn.Layer):
        def forward(self, images):
            return paddle.to_tensor(np.eye(3, dtype=np.float32)[[0] * len(images)])

    loader = build_loader(config["DataLoader"]["Eval"], "Eval", 0)
    results = Evaluator(config, loader).run(Sure())
    assert results["top1"] == pytest.approx(3 / 7)
    right, wrong = (float(np.log(np.exp([1, 0, 0]).sum()) - score) for score in (1, 0))
    assert results["loss"] == pytest.approx((3 * right + 4 * wrong) / 7, abs=1e-6)


def test_evaluation_of_weights_that_are_too_large(config, write_config, tmp_path, run_here):
    arrays = random_weights()
    list(arrays.values())[-1][0] = 3e38
    list(arrays.values())[-2][:] = 3e38
    config["Global"]["pretrained_model"] = str(save_arrays(arrays, tmp_path / "w.pdparams"))
    assert_one_line(run_here("tools/eval.py", "-c", write_config(config)), "the loss on the validation list is ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Global.pretrained_model: no weights given"),
        (["-o", "Global.pretrained_model=none/best_model"], "none/best_model.pdparams: no such weights file"),
        (["-o", "Global.pretrained_model={tmp}/other"], "does not fit the network"),
        (["-o", "DataLoader.Eval=null"], "'DataLoader.Eval' is missing"),
    ],
)
def test_wrong_evaluation(config, write_config, run_here, tmp_path, options, message):
    save_arrays(random_weights(class_num=4), tmp_path / "other.pdparams")
    if not options or "Eval" in options[1]:
        config["Global"]["pretrained_model"] = str(tmp_path / "other") if options else None
        config["Arch"]["class_num"] = 4 if options else 3
    if options and "DataLoader" in options[1]:
        options, config["DataLoader"]["Eval"] = [], None
    options = [option.format(tmp=tmp_path) for option in options]
    assert_one_line(run_here("tools/eval.py", "-c", write_config(config), *options), message)
