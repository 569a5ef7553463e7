"""`--dry_run`: it prints what would be run, and runs nothing."""

import os
import re

from tests.helpers.shell import OFFICIAL, assert_one_error, dry_run


def test_a_dry_run_needs_nothing_and_leaves_nothing(tree, tmp_path):
    before = sorted(path for path in tree.rglob("*"))
    done = dry_run(OFFICIAL / "paddleseg_lpsnet.txt", tree=tree, TIPC_PYTHON="/no/such/python", TIPC_OUTPUT="/proc/no")
    assert (done.status, done.err) == (0, "")
    assert "--save_dir=/proc/no/lpsnet/lite_train_lite_infer/norm_train" in done.out
    assert sorted(path for path in tree.rglob("*")) == before


def test_a_dry_run_prints_what_the_run_runs(chain):
    """Each command of the logs, letter for letter."""
    plan_, run = chain.run("--dry_run"), chain.run()
    assert (plan_.status, run.status) == (0, 0)
    printed = [line.split(") ", 1)[1] for line in plan_.out.splitlines() if re.search(r"^\w.*: \(in \S+\) ", line)]
    logs = [(run.folder / name).read_text() for name in run.logs if name != "results_python.log"]
    commands = {line.removeprefix("# command: ") for log in logs for line in log.splitlines() if "# command: " in line}
    folders = {line.removeprefix("# folder: ") for log in logs for line in log.splitlines() if "# folder: " in line}
    assert len(commands) >= 5
    assert commands <= set(printed)
    assert len(printed) == len(commands) + 1  # and prepare, which has no log
    assert folders == {".", "deploy"}


def test_what_is_not_here_is_skipped_with_the_reason(chain):
    chain.set("gpu_list", "0|-1").set("-o Global.auto_cast", "null|amp").set("-o Global.use_gpu", "True|False")
    out = chain.run("--dry_run").out
    for text in (
        "train: skipped (gpu_list has GPU 0, and there is no GPU that this Paddle can use)",
        "train: skipped (mixed precision (amp) needs a GPU)",
        "infer gpu: skipped (no GPU that this Paddle can use)",
    ):
        assert text in out
    assert chain.run("--dry_run", "--stage", "4", "--stop_stage", "4").out.count(": (in ") == 1


def test_what_would_be_run_on_gpus(tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: Fake'\necho 'GPU 1: Fake'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    out = dry_run(OFFICIAL / "paddledetection_ppyolo.txt", PATH=path).out
    script = "tools/train.py -c configs/ppyolo/ppyolo_r50vd_dcn_1x_coco.yml -o use_gpu=True save_dir="
    assert f"train: (in .) CUDA_VISIBLE_DEVICES=0 python {script}" in out
    launcher = r"python -m paddle\.distributed\.launch --gpus=0\\,1 --log_dir=\S+_nodes_1_ranks "
    assert re.search(rf"train: \(in \.\) {launcher}{re.escape(script)}", out)
    assert len(re.findall(r"^infer gpu .*--device=gpu --run_mode=paddle ", out, re.M)) == 4
    several = tmp_path / "several.txt"
    several.write_text((OFFICIAL / "paddlerec_deepfm.txt").read_text().replace("gpu_list:0", "gpu_list:0,1"))
    out = dry_run(several, PATH=path).out
    assert re.search(launcher.replace("python", "python -u") + r"tools/trainer\.py ", out)


def test_a_device_that_is_not_here_is_replaced_by_the_cpu(tmp_path):
    config = tmp_path / "gpu.txt"
    config.write_text((OFFICIAL / "paddlegan_pix2pix.txt").read_text().replace("--device:cpu", "--device:gpu"))
    out = dry_run(config).out
    assert "infer gpu: skipped (no GPU that this Paddle can use)" in out
    assert "note: '--device' names the GPU only, and there is none: running on the CPU instead" in out
    assert " --device=cpu --model_path=" in out


def test_a_wrong_config_is_refused_in_a_dry_run_too(chain):
    chain.set("-o Global.epochs", "many")
    assert_one_error(chain.run("--dry_run"), ":7: '-o Global.epochs': expected a whole number")
