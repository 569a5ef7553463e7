"""The config of many options: every combination is a step of its own, on the CPU and on two GPUs, and all agree."""

import re

import pytest

from tests.helpers.scripts import ROOT
from tests.helpers.shell import MODE, dry_run

CONFIG = "test_tipc/configs/MobileNetV3_small_x1_0/train_infer_python_options.txt"


def planned(mode=MODE, **environment):
    """[line] of the plan."""
    run = dry_run(CONFIG, mode, **environment)
    assert run.status == 0, run.err
    return run.out.splitlines()


def names(lines, kind):
    """The settings of the steps of a kind that would be run."""
    return [line.partition(": ")[0].rpartition(" ")[2] for line in lines if re.match(rf"{kind} \S+: \(in", line)]


@pytest.fixture(scope="module")
def on_cpu():
    return planned()


@pytest.fixture(scope="module")
def on_gpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: a'\necho 'GPU 1: b'\n")
    tool.chmod(0o755)
    return planned(PATH=f"{folder}:/usr/bin:/bin")


def test_every_combination_of_the_cpu(on_cpu):
    settings = [
        f"usemkldnn_{mkldnn}_threads_{threads}_precision_False_batchsize_{batch}"
        for mkldnn in ("True", "False")
        for threads in (1, 6)
        for batch in (1, 8)
    ]
    assert names(on_cpu, "infer cpu") == settings
    assert "infer cpu precision_True: skipped (lower precision needs a GPU)" in on_cpu


def test_what_needs_a_gpu_is_skipped_with_a_reason(on_cpu):
    skipped = [line for line in on_cpu if ": skipped (" in line]
    reason = "no GPU that this Paddle can use"
    assert f"infer gpu: skipped ({reason}: 6 combinations of TensorRT, precision and batch size)" in skipped
    assert [line for line in skipped if line.startswith("train: ")] == [
        "train: skipped (mixed precision (amp) needs a GPU)",
        *[f"train: skipped (gpu_list has GPU {gpu}, and there is no GPU that this Paddle can use)"
          for gpu in ("0", "0", "0,1", "0,1")],
    ]  # fmt: skip


def test_the_predictions_are_compared_in_every_size_of_batch(on_cpu):
    (agree,) = [line for line in on_cpu if line.startswith("agree: ")]
    assert " --batch_size 1 8 " in agree


def test_every_combination_of_two_gpus(on_gpus):
    tags = [line[2:] for line in on_gpus if line.startswith("# norm_train_gpus_")]
    assert [tag.partition("_nodes")[0] for tag in tags] == [
        f"norm_train_gpus_{gpu}_autocast_{autocast}" for gpu in ("-1", "0", "0,1") for autocast in ("null", "amp")
    ]
    wanted = [
        f"usetrt_{trt}_precision_{precision}_batchsize_{batch}"
        for trt, precisions in (("False", ["False"]), ("True", ["False", "True"]))
        for precision in precisions
        for batch in (1, 8)
    ]
    assert names(on_gpus, "infer gpu")[:6] == wanted
    assert len(names(on_gpus, "infer gpu")) == 5 * 6  # of each training but amp on the CPU
    launched = [line for line in on_gpus if "paddle.distributed.launch" in line]
    assert len(launched) == 2
    assert all("--gpus=0\\,1" in line for line in launched)


def test_it_expects_what_the_usual_config_expects():
    sections = [
        (ROOT / path).read_text(encoding="utf-8").partition("expected_params")[2].splitlines()[1:]
        for path in (CONFIG, CONFIG.replace("_options", ""))
    ]
    assert set(sections[1]) < set(sections[0])
