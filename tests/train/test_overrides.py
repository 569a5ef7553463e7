"""Sections and lists replaced by something else: each command ends with one line or goes on, never with a traceback."""

import pytest

from ppcls_lite.infer.export import export
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.train import loop
from ppcls_lite.utils.config import load_config, require
from ppcls_lite.utils.errors import UserError
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.scripts import assert_one_line

SECTIONS = {
    "Global": "train eval infer export",
    "Arch": "train eval infer export",
    "Arch.name": "train eval infer export",
    "Arch.class_num": "train eval infer export",
    "Loss": "train eval",
    "Loss.Train": "train",
    "Loss.Train.0": "train",
    "Loss.Train.0.CELoss": "train",
    "Loss.Eval": "train eval",
    "Optimizer": "train",
    "Optimizer.name": "train",
    "Optimizer.momentum": "train",
    "Optimizer.lr": "train",
    "Optimizer.lr.learning_rate": "train",
    "Optimizer.regularizer": "train",
    "DataLoader": "train eval",
    "DataLoader.Train": "train",
    "DataLoader.Train.sampler": "train",
    "DataLoader.Train.loader": "train",
    "DataLoader.Eval": "train eval",
    "DataLoader.Eval.dataset": "train eval",
    "DataLoader.Eval.dataset.transform_ops": "train eval",
    "DataLoader.Eval.dataset.transform_ops.1": "train eval",
    "Metric": "train eval",
    "Metric.Train": "train",
    "Metric.Eval": "train eval",
    "Metric.Eval.0": "train eval",
    "Metric.Eval.0.TopkAcc": "train eval",
    "AMP": "train",
    "EMA": "train",
    "Infer": "infer export",
    "Infer.PostProcess": "infer export",
    "Infer.PostProcess.topk": "infer export",
    "Infer.transforms": "infer export",
    "Infer.transforms.0": "infer export",
    "Infer.infer_imgs": "infer",
    "Infer.batch_size": "infer",
}
VALUES = ("{}", "[]", "null", "7", "x", "[1]")


def predict(config):
    require(config, "Infer.infer_imgs")
    task_of(config).predictor(config)


COMMANDS = {
    "train": lambda config: loop.Trainer(config, "cpu"),
    "eval": loop.evaluate,
    "infer": predict,
    "export": export,
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_of_another_kind(config, write_config, tmp_path, section):
    """The export's folder is a file: it does all checks, and then ends."""
    weights = save_arrays(random_weights(), tmp_path / "w.pdparams")
    (tmp_path / "file").touch()
    config["Global"].update(pretrained_model=str(weights), save_inference_dir=str(tmp_path / "file"))
    path = write_config(config)
    messages = []
    for name in SECTIONS[section].split():
        for value in VALUES:
            try:
                COMMANDS[name](load_config(path, [f"{section}={value}"]))
            except UserError as error:
                messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize("script", ["train", "eval", "infer", "export_model"])
def test_a_network_without_a_name(config, write_config, run_here, script):
    outcome = run_here(f"tools/{script}.py", "-c", write_config(config), "-o", "Arch={}")
    assert_one_line(outcome, "config.yaml: 'Arch.name' is missing")


def test_a_null_section_is_one_that_is_left_out(det_config, write_config):
    loaded = load_config(write_config(det_config), ["Arch.Backbone=null", "Metric=null"])
    assert "Backbone" not in loaded["Arch"]
    assert "Metric" not in loaded
    with pytest.raises(UserError, match="Backbone"):
        loop.Trainer(loaded, "cpu")
