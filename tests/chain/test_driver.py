"""The whole driver, with small programs as its steps: what it runs, hostile values, failures, stages, places."""

import json
import os
import re
import shutil
from xml.etree import ElementTree

import pytest

from steps import read_steps
from tests.helpers.shell import MODE, Chain, assert_one_error

STEM = "norm_train_gpus_-1_autocast_null_nodes_1"
INFER = "infer cpu usemkldnn_True_threads_2_precision_False_batchsize_1"
HOSTILE = "a b; $(touch X) `touch X` * ~ {1,2} && rm -rf x > X"


# ---------------------------------------------------------------------------------------------------- what is run


def test_a_chain_from_training_to_inference(chain):
    run = chain.run()
    assert run.status == 0, run.out + run.err
    assert run.err == ""
    assert run.results == {
        "prepare": "passed",
        "train": "passed",
        "converge": "skipped",
        "evaluate": "passed",
        "predict": "skipped",
        "export": "passed",
        INFER: "passed",
        "agree observed": "skipped",  # these programs use no Paddle
    }
    home, weights = f"{run.folder}/{STEM}", f"{run.folder}/{STEM}/latest"
    root, seed, inference = str(chain.tree), "Global.seed=1", "Global.save_inference_dir"
    options = ["Global.device=cpu", f"Global.output_dir={home}", "Global.epochs=2"]
    options += ["DataLoader.Train.sampler.batch_size=8"]
    assert chain.calls() == [
        ("train", ["-o", seed] + [word for option in options for word in ("-o", option)], root, ""),
        ("eval", ["-o", f"Global.pretrained_model={weights}", "-o", "Global.device=cpu"], root, ""),
        ("export", ["-o", f"Global.pretrained_model={weights}", "-o", f"{inference}={home}/inference"], root, ""),
        ("infer", chain.arguments("infer"), f"{root}/deploy", ""),
    ]
    assert chain.arguments("infer") == ["-c", "configs/inference_cls.yaml"] + [
        word
        for option in (
            "use_gpu=False",
            "enable_mkldnn=True",
            "cpu_num_threads=2",
            "use_fp16=False",
            "batch_size=1",
            f"inference_model_dir={home}/inference",
            "infer_imgs=../test_images",
            "benchmark=False",
        )
        for word in ("-o", f"Global.{option}")
    ]
    assert run.logs == sorted(
        [
            f"{STEM}.log",
            f"{STEM}_agree_observed.log",
            f"{STEM}_converge.log",
            f"{STEM}_eval.log",
            f"{STEM}_export.log",
            "python_infer_cpu_gpus_-1_usemkldnn_True_threads_2_precision_False_batchsize_1.log",
            "results_python.log",
        ]
    )
    lines = (run.folder / "results_python.log").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        form = rf"\x1b\[33m Run successfully with command - small_net - python .+ - {run.folder}/\S+\.log ! \x1b\[0m"
        assert re.fullmatch(form, line)
    assert "passed: 5 steps; the predictions were NOT compared" in run.out
    assert not (chain.folder / "output/small_net" / f"{MODE}.lock").is_symlink()


def test_the_models_dialect_runs_in_the_root_and_passes_flags(tree, tmp_path):
    chain = Chain(tree, tmp_path, "models")
    run = chain.run()
    assert run.status == 0, run.out + run.err
    assert [call[2] for call in chain.calls()] == [str(tree)] * 3
    home = f"{run.folder}/{STEM}"
    assert chain.arguments("train") == [
        "--model=small_net",
        f"--output-dir={home}",
        "--epochs=5",
        "--batch-size=4",
        "--data-path=./lite_data",
    ]
    exported = [f"--pretrained={home}/latest.pdparams", f"--save-inference-dir={home}/inference"]
    assert chain.arguments("export")[2:] == exported
    assert run.results["evaluate"] == "skipped"
    assert run.results["infer gpu"] == "skipped"
    assert "--use-gpu=False" in chain.arguments("infer")


def test_every_list_is_expanded(chain):
    chain.set("gpu_list", "-1|0|0,1|10.0.0.1,10.0.0.2;0,1").set("-o Global.auto_cast", "null|amp")
    chain.set("trainer", "norm_train|pact_train|to_static").set("pact_train", f"{chain.programs}/train.py --pact")
    static = "distill_train:null\nto_static:-o Global.to_static=True"
    chain.text = chain.text.replace("distill_train:null\nnull:null", static)
    chain.set("quant_export", f"{chain.programs}/export.py --quant")
    chain.set("-o Global.use_gpu", "True|False").set("-o Global.enable_mkldnn", "True|False")
    chain.set("-o Global.cpu_num_threads", "1|6").set("-o Global.use_fp16", "False|True")
    chain.set("-o Global.batch_size", "1|16")
    run = chain.run()
    assert run.status == 0, run.out + run.err
    trainings = [step for step in read_steps(run.folder / "steps.tsv") if step.name == "train"]
    tags = [
        f"{trainer}_gpus_{gpu}_autocast_{autocast}_nodes_{2 if ';' in gpu else 1}"
        for gpu in ("-1", "0", "0,1", "10.0.0.1,10.0.0.2;0,1")
        for autocast in ("null", "amp")
        for trainer in ("norm_train", "pact_train", "to_static")
    ]
    assert [step.tag for step in trainings] == tags
    reasons = {step.tag: step.reason for step in trainings if step.result == "skipped"}
    done = {f"{trainer}_gpus_-1_autocast_null_nodes_1" for trainer in ("norm_train", "pact_train", "to_static")}
    assert set(tags) - set(reasons) == done
    assert reasons["norm_train_gpus_-1_autocast_amp_nodes_1"] == "mixed precision (amp) needs a GPU"
    assert "no GPU that this Paddle can use" in reasons["norm_train_gpus_0,1_autocast_null_nodes_1"]
    plain, pact, static = (call[1] for call in chain.calls("train"))
    assert "--pact" in pact
    assert "Global.to_static=True" in static
    assert "Global.to_static=True" not in plain
    assert ["--quant" in call[1] for call in chain.calls("export")] == [False, True, False]
    expected = {
        f"python_infer_cpu_gpus_-1_usemkldnn_{mkldnn}_threads_{threads}_precision_False_batchsize_{batch}.log"
        for mkldnn in ("True", "False")
        for threads in ("1", "6")
        for batch in ("1", "16")
    }
    assert {name for name in run.logs if name.startswith("python_infer")} == expected
    assert len(chain.calls("infer")) == 8 * 3
    assert len({tuple(call[1]) for call in chain.calls("infer")}) == 8 * 3


def test_the_cpu_stands_in_where_no_gpu_can_be_used_even_with_nvidia_smi(chain):
    fake = chain.folder / "bin"
    fake.mkdir()
    (fake / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: Fake'\necho 'GPU 1: Fake'\n")
    (fake / "nvidia-smi").chmod(0o755)
    chain.set("gpu_list", "0|0,1").set("-o Global.device", "gpu").set("-o Global.use_gpu", "True|False")
    run = chain.run(PATH=f"{fake}:{os.environ['PATH']}")
    assert run.status == 0, run.out + run.err
    assert "note: no entry of gpu_list (0|0,1) can be trained on this machine: running on the CPU instead" in run.out
    assert [(name, result) for name, result, _ in run.steps if name == "train"] == [
        ("train", "skipped"),
        ("train", "skipped"),
        ("train", "passed"),
    ]
    assert ("infer gpu", "skipped", "no GPU that this Paddle can use") in run.steps
    assert "Global.device=cpu" in chain.arguments("train")
    assert "Global.use_gpu=False" in chain.arguments("infer")


def test_provided_weights_need_no_training(chain):
    chain.set("pretrained_model_url", "./pretrain_models/net.pdparams")
    chain.set("norm_train", "null").set("gpu_list", "null")
    chain.set("-o Global.infer_imgs", "lite_train=../test_images|whole_infer=../lite_data/val")
    missing = chain.run(mode="whole_infer")
    assert_one_error(missing, "put them at pretrain_models/net.pdparams", str(chain.path))
    (chain.tree / "pretrain_models").mkdir(exist_ok=True)
    (chain.tree / "pretrain_models/net.pdparams").write_bytes(b"x")
    run = chain.run(mode="whole_infer")
    assert run.status == 0, run.out + run.err
    assert chain.calls("train") == []
    assert "Global.pretrained_model=pretrain_models/net" in chain.arguments("export")
    assert "Global.infer_imgs=../lite_data/val" in chain.arguments("infer")


def test_nothing_to_run_is_a_failure(chain):
    run = chain.set("norm_train", "null").run()
    assert run.status == 1
    assert "FAILED: no step was run" in run.out
    assert chain.calls() == []


# ------------------------------------------------------------------------------------------------ nothing is expanded


@pytest.mark.parametrize("value", [HOSTILE, "-x", "'\"", "x" * 60_000, "C:\\new\\table", "é 中"])
def test_values_are_arguments_and_nothing_else(chain, value):
    chain.set("-o Global.pretrained_model", value).set("-o Global.infer_imgs", value)
    chain.text = chain.text.replace("null:null\n##\ntrainer", f"--free:{value}\n##\ntrainer", 1)
    chain.set("norm_train", f"{chain.programs}/train.py $(touch X) `touch X` * 'a b' \"c;d\" ~ && touch X")
    run = chain.run()
    assert run.status == 0, run.out + run.err
    given = chain.arguments("train")
    assert given[:12] == ["$(touch", "X)", "`touch", "X`", "*", "a b", "c;d", "~", "&&", "touch", "X", "-o"]
    assert f"Global.pretrained_model={value}" in given
    assert f"--free={value}" in given
    assert f"Global.infer_imgs={value}" in chain.arguments("infer")
    assert not [path for path in chain.tree.rglob("X") if path.is_file()]
    assert not list(chain.folder.rglob("X"))


@pytest.mark.parametrize("name", ["a b/$(touch X);x", "-x", "*"])
def test_an_output_folder_of_any_name(chain, name):
    chain.output = lambda mode=MODE: chain.folder / name / "small_net" / mode
    run = chain.run(TIPC_OUTPUT=name, cwd=chain.folder)  # as seen from the working folder
    assert run.status == 0, run.out + run.err
    assert (run.folder / "summary.json").is_file()
    assert not list(chain.folder.rglob("X"))


def test_an_output_folder_that_cannot_be_made(chain):
    (chain.folder / "file").write_text("mine")
    run = chain.run(TIPC_OUTPUT=str(chain.folder / "file"))
    assert_one_error(run, "file/small_net", "the output folder cannot be made (Not a directory)")
    assert_one_error(chain.run(TIPC_OUTPUT="/proc/x"), "/proc/x", "cannot be made")
    assert_one_error(chain.run(TIPC_OUTPUT="a\nb"), "control characters")
    assert chain.calls() == []


# --------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("program", "failed", "not_run"),
    [
        ("train", ["train"], ["converge", "evaluate", "predict", "export", "infer", "agree"]),
        ("eval", ["evaluate"], []),
        ("export", ["export"], ["infer", "agree"]),
        ("infer", [INFER], []),
    ],
)
def test_a_failed_step_stops_what_depends_on_it(chain, program, failed, not_run):
    chain.program(program, "print('line ' * 3)\nprint('the reason', file=sys.stderr)\nsys.exit(3)")
    run = chain.run()
    assert run.status == 1
    assert [name for name, result, _ in run.steps if result == "failed"] == failed
    assert [name for name, result, _ in run.steps if result == "not run"] == not_run
    log = next(run.folder / name for name in run.logs if "exit code 3" in (run.folder / name).read_text())
    assert re.search(rf"The last lines of {re.escape(str(log))}:\n(    .*\n)*    the reason\n", run.out)
    assert "FAILED: 1 of " in run.out
    summary = json.loads((run.folder / "summary.json").read_text())
    assert not summary["passed"]
    assert [step["reason"] for step in summary["steps"] if step["result"] == "failed"] == ["exit code 3"]
    assert ElementTree.parse(run.folder / "junit.xml").getroot().get("failures") == "1"
    assert " Run failed with command - small_net - python " in (run.folder / "results_python.log").read_text()


def test_a_training_that_leaves_no_weights(chain):
    text = "[Epoch 1/1][Iter: 1/1]loss: 1.0, avg_reader_cost: 0.1 sec, avg_batch_cost: 1.0 sec"
    chain.program("train", f"print({text!r})")
    run = chain.run()
    assert run.status == 1
    assert run.results["train"] == "failed"
    assert run.results["converge"] == run.results["evaluate"] == run.results["agree"] == "not run"
    assert "error: it left no latest.pdparams in " in run.out


def test_output_without_end_and_with_control_characters(chain):
    chain.program("eval", "sys.stdout.write('top1: 0.5\\x1b[31m\\x00\\x08' + 'y' * 1_000_000 + ' no end')")
    run = chain.run()
    assert run.status == 0, run.err
    assert ElementTree.parse(run.folder / "junit.xml").getroot().get("failures") == "0"
    assert json.loads((run.folder / "summary.json").read_text())["passed"]


# --------------------------------------------------------------------------------------------- stages, help, places


def test_stages(chain):
    chain.program("infer", "sys.exit(not Path(os.environ['MISSING']).exists())")
    run = chain.run("--stop_stage", "1")
    assert run.status == 0, run.out + run.err
    assert [call[0] for call in chain.calls()] == ["train"]
    missing = chain.folder / "missing"
    run = chain.run("--stage", "2", MISSING=str(missing))
    assert run.status == 1
    assert [call[0] for call in chain.calls()] == ["train", "eval", "export", "infer"]
    missing.touch()
    run = chain.run("--stage", "5", "--stop_stage", "5", MISSING=str(missing))
    assert run.status == 0, run.out + run.err  # what failed before and passes now has passed
    assert run.results == {
        "prepare": "passed",
        "train": "passed",
        "converge": "skipped",
        "evaluate": "passed",
        "predict": "skipped",
        "export": "passed",
        INFER: "passed",
    }
    assert len([name for name in run.logs if "infer" in name]) == 1
    assert "Run failed" not in (run.folder / "results_python.log").read_text()
    assert [call[0] for call in chain.calls()][4:] == ["infer"]


def test_stages_without_their_files(chain):
    run = chain.run("--stage", "4")
    assert run.status == 1
    assert "no training that passed is on record there; start with --stage 1" in run.out
    assert run.out.endswith("FAILED: 5 steps could not be run: evaluate, predict, export, infer, agree\n")
    assert chain.calls() == []


def test_prepare_alone_is_no_failure(chain):
    assert chain.run("--stop_stage", "0").status == 0


def test_help(chain):
    run = chain.run("--help")
    assert (run.status, run.err) == (0, "")
    for text in ("CONFIG MODE", "--stage", "whole_train_whole_infer", "TIPC_PYTHON", "Exit code"):
        assert text in run.out
    assert not (chain.folder / "output").exists()


@pytest.mark.parametrize("place", ["relative to the working folder", "relative to the checkout", "with a blank"])
def test_configs_and_working_folders_elsewhere(chain, place):
    chain.path.write_text(chain.text)
    if place == "relative to the working folder":
        run = chain.run("--stop_stage", "1", config=chain.path.name, cwd=chain.folder)
    elif place == "relative to the checkout":
        shutil.copy(chain.path, chain.tree / "test_tipc/configs/mine.txt")
        run = chain.run("--stop_stage", "1", config="test_tipc/configs/mine.txt", cwd="/")
    else:
        (chain.folder / "x y").mkdir()
        shutil.copy(chain.path, chain.folder / "x y/c d.txt")
        run = chain.run("--stop_stage", "1", config="c d.txt", cwd=chain.folder / "x y")
    assert run.status == 0, run.out + run.err
    assert run.results["train"] == "passed"


def test_the_models_dialect_exports_provided_weights_with_its_own_command(tree, tmp_path):
    chain = Chain(tree, tmp_path, "models")
    chain.set("train_model", "./pretrain_models/net.pdparams")
    chain.set("infer_export", f"{chain.programs}/export.py --model=provided")
    (chain.tree / "pretrain_models").mkdir(exist_ok=True)
    (chain.tree / "pretrain_models/net.pdparams").write_bytes(b"x")
    run = chain.run(mode="whole_infer")
    assert run.status == 0, run.out + run.err
    assert chain.arguments("export")[:2] == ["--model=provided", "--pretrained=pretrain_models/net.pdparams"]


def test_a_log_of_foreign_lines_is_judged_by_their_losses(chain):
    text = "loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 1.0 sec, avg_samples: 8, avg_ips: 8.0 images/sec"
    rising = f"for i in range(200): print({text!r}.format(1 + i))"
    save = "folder = Path(options['Global.output_dir'])\nfolder.mkdir()\n(folder / 'latest.pdparams').write_bytes(b'')"
    chain.program("train", f"{rising}\n{save}")
    run = chain.run()
    assert run.status == 1
    assert run.results["converge"] == "failed"
    assert "it did not fall" in run.out
