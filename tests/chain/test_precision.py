"""Which precision a training is run in: the entries of auto_cast, the trainer amp_train, and what a YAML demands."""

import re

import pytest

from steps import read_steps
from tests.helpers.scripts import ROOT
from tests.helpers.shell import dry_run

FULL = "AMP.use_amp=False"
MIXED = ["AMP.use_amp=True", "AMP.scale_loss=128", "AMP.use_dynamic_loss_scaling=True"]
CONFIG = ROOT / "test_tipc/configs/MobileNetV3_small_x1_0/train_amp_infer_python.txt"


@pytest.fixture
def gpu(tmp_path):
    """The environment of a machine with one GPU, as far as a plan looks at it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: Fake'\n")
    (tmp_path / "bin/nvidia-smi").chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}:/usr/local/bin:/usr/bin:/bin"}


@pytest.fixture
def planned(chain, gpu):
    """`planned(entries, yaml, options, trainer)`: {tag: the AMP words of its training} on a machine with one GPU."""

    def plan(entries, yaml, options="", trainer="norm_train"):
        place = chain.folder / "net.yaml"
        place.write_text(yaml)
        chain.set("gpu_list", "0|-1").set("-o Global.auto_cast", entries)
        chain.text = chain.text.replace("norm_train", trainer)
        chain.set(trainer, f"{chain.programs}/train.py -c {place} {options}")
        done = chain.run("--dry_run", **gpu)
        assert done.status == 0, done
        found, tag = {}, ""
        for line in done.out.splitlines():
            if line.startswith(f"# {trainer}_"):
                tag = line[2:].removesuffix("_nodes_1")
            if line.startswith("train: (in "):
                found[tag] = re.findall(r"AMP\.\S+", line)
        return found

    return plan


DEMANDED = "Global:\n  epochs: 1\nAMP:\n  use_amp: True\n"
SILENT = "Global:\n  epochs: 1\n  AMP: 1\n# AMP:\nArch:\n  AMP: 2\n"


def test_full_precision_even_where_the_yaml_demands_another(planned):
    found = planned("fp32|null|amp|fp16", DEMANDED)
    assert found == {
        "norm_train_gpus_0_autocast_fp32": [FULL],
        "norm_train_gpus_0_autocast_null": [FULL],
        "norm_train_gpus_0_autocast_amp": [*MIXED, "AMP.level=O1"],
        "norm_train_gpus_0_autocast_fp16": [*MIXED, "AMP.level=O2"],
        "norm_train_gpus_-1_autocast_fp32": [FULL],
        "norm_train_gpus_-1_autocast_null": [FULL],
    }


def test_nothing_is_added_where_no_yaml_has_the_section(planned):
    """In an older PaddleClas, the section itself switches mixed precision on."""
    assert set(map(tuple, planned("fp32|null", SILENT).values())) == {()}


def test_a_command_that_sets_it_keeps_it_with_null_only(planned):
    found = planned("fp32|null", DEMANDED, "-o AMP.use_amp=True")
    assert found["norm_train_gpus_0_autocast_null"] == ["AMP.use_amp=True"]
    assert found["norm_train_gpus_0_autocast_fp32"] == ["AMP.use_amp=True", FULL]


def test_a_trainer_of_mixed_precision_is_not_run_on_a_cpu(planned):
    found = planned("null", SILENT, "-o AMP.use_amp=True -o AMP.level=O2", "amp_train")
    assert found == {"amp_train_gpus_0_autocast_null": ["AMP.use_amp=True", "AMP.level=O2"]}


def test_but_in_full_precision_where_there_is_no_gpu(chain):
    chain.set("gpu_list", "0|-1")
    chain.text = chain.text.replace("norm_train", "amp_train")
    chain.set("amp_train", f"{chain.programs}/train.py -o AMP.use_amp=True")
    run = chain.run()
    assert run.status == 0, run.out + run.err
    trainings = {
        step.tag: (step.result, step.reason) for step in read_steps(run.folder / "steps.tsv") if step.name == "train"
    }
    assert trainings == {
        "amp_train_gpus_0_autocast_null_nodes_1": (
            "skipped",
            "gpu_list has GPU 0, and there is no GPU that this Paddle can use",
        ),
        "amp_train_gpus_-1_autocast_null_nodes_1": ("skipped", "mixed precision (amp_train) needs a GPU"),
        "amp_train_gpus_-1_autocast_fp32_nodes_1": ("passed", ""),
    }
    assert [word for word in chain.arguments("train") if word.startswith("AMP.")] == ["AMP.use_amp=True", FULL]


def test_the_table_says_which_precision_was_in_effect(chain):
    said = 'print("[2026/11/26 13:30:00] ppcls_lite INFO: precision: {}")\n'
    body = (chain.programs / "train.py").read_text()
    for text, shown in (
        ("FP32; AMP.use_amp is set, but mixed precision needs a GPU", "final loss 0.12345, FP32"),
        ("mixed float16 O1; the loss is scaled by 128, always", "final loss 0.12345, mixed float16 O1"),
        ("FP32", "final loss 0.12345"),
    ):
        (chain.programs / "train.py").write_text(body + said.format(text))
        (line,) = [line for line in chain.run().out.splitlines() if "final loss" in line]
        assert line.rpartition(" ")[0].rstrip().endswith(f" {shown}"), line


def test_the_config_asks_for_what_it_is_named_after():
    lines = dict(line.split(":", 1) for line in CONFIG.read_text().splitlines() if ":" in line)
    assert lines["trainer"] == "amp_train"
    assert lines["amp_train"].count("-o AMP.use_amp=True") == 2
    assert lines["gpu_list"] == "0|0,1"


@pytest.mark.parametrize("mode", ["lite_train_lite_infer", "lite_train_whole_infer", "whole_train_whole_infer"])
def test_the_config_without_a_gpu(mode):
    done = dry_run(CONFIG, mode)
    assert (done.status, done.err) == (0, "")
    (train,) = [line for line in done.out.splitlines() if line.startswith("train: (in ")]
    assert train.endswith(FULL)
    assert "amp_train_gpus_-1_autocast_fp32" in train
    for step in ("evaluate", "predict", "export", "infer cpu", "agree observed", "agree"):
        assert f"\n{step}" in done.out
    assert done.out.count("there is no GPU that this Paddle can use") == 2
