"""test_tipc/run_all.sh and its table, on a copy of the scripts with networks that train in no time."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import matrix
from tests.helpers.models import CONFIG, MODE
from tests.helpers.scripts import LIMIT, assert_one_line


def test_goes_on_after_a_failure_and_shows_it(copy):
    copy.add("a_good")
    copy.add("b_no_training", train="fails")
    copy.add("c_no_export", export="fails")
    copy.add("d_broken")
    broken = copy.root / "test_tipc/configs/d_broken/train_infer_python.txt"
    broken.write_text(broken.read_text().replace("trainer:norm_train\n", ""))
    outcome = copy.run(MODE)
    assert outcome.status == 1
    rows = copy.rows
    assert [row["result"] for row in rows.values()] == ["passed", "failed", "failed", "failed"]
    assert [rows["a_good"][step] for step in ("train", "evaluate", "export", "infer")] == ["passed"] * 4
    assert rows["a_good"]["loss"] == "0.50000"
    assert (rows["b_no_training"]["train"], rows["b_no_training"]["export"]) == ("failed", "not run")
    assert (rows["c_no_export"]["train"], rows["c_no_export"]["export"]) == ("passed", "failed")
    assert rows["c_no_export"]["infer"] == "not run"
    assert rows["d_broken"]["train"] == "-"  # its config was refused
    assert not copy.matrix["passed"]
    sentence = "FAILED: 1 of 4 models passed; predictions NOT compared: a_good; not: "
    sentence += "b_no_training, c_no_export, d_broken"
    text = (copy.root / "test_tipc/output/matrix.txt").read_text()
    assert text.splitlines()[-1] == sentence
    assert text in outcome.out
    markdown = (copy.root / "test_tipc/output/matrix.md").read_text()
    assert sentence in markdown
    assert markdown.splitlines()[5].split(" | ")[:4] == ["| b_no_training", "FAILED", "passed", "FAILED"]
    assert "planted failure" in (copy.root / "test_tipc/output/.run_all/c_no_export.log").read_text()


def test_a_model_name_for_each_mode(copy):
    copy.add("model")
    config = copy.root / "test_tipc/configs/model/train_infer_python.txt"
    config.write_text(config.read_text().replace("model_name:model", "model_name:lite_train=abc|whole=def"))
    outcome = copy.run(MODE)
    assert outcome.status == 0, outcome.out + outcome.err
    assert copy.rows["abc"]["train"] == "passed"


def test_runs_only_what_is_named(copy, tmp_path):
    for name in ("a", "b"):
        copy.add(name)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "own.txt").write_text(CONFIG.format(name="own", train="", export=""))
    outcome = copy.run(MODE, "b", "own.txt", cwd=other)
    assert outcome.status == 0, outcome.out + outcome.err
    assert list(copy.rows) == ["b", "own"]


def test_a_relative_output_folder_stands_in_the_working_folder(copy, tmp_path):
    copy.add("a")
    outcome = copy.run(MODE, "a", cwd=tmp_path, TIPC_OUTPUT="mine")
    assert outcome.status == 0, outcome.out + outcome.err
    assert (tmp_path / "mine/matrix.md").is_file()
    assert (tmp_path / "mine/a" / MODE / "summary.json").is_file()
    assert not (copy.root / "mine").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "usage: bash test_tipc/run_all.sh MODE"),
        (("lite",), "unknown mode 'lite'"),
        ((MODE, "c"), "unknown model 'c'; known: a b"),
        ((MODE, "--agin"), "unknown option '--agin'"),
        ((MODE, "a", "a"), "its model_name 'a' is that of"),
    ],
)
def test_wrong_arguments_are_one_line(copy, words, message):
    for name in ("a", "b"):
        copy.add(name)
    outcome = copy.run(*words)
    assert outcome.status == 1
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("results", "shown"),
    [
        (["skipped", "passed"], "passed"),  # no GPU, but the CPU was tried
        (["skipped", "skipped"], "skipped"),
        (["passed", "failed", "not run"], "failed"),
        (["passed", "not run"], "not run"),
        ([], "-"),
    ],
)
def test_table_shows_the_worst_of_several(results, shown):
    steps = [{"name": f"infer cpu {number}", "result": result} for number, result in enumerate(results)]
    assert matrix.worst(steps, "infer") == shown
    assert matrix.worst(steps, "agree") == "-"


def test_table_refuses_what_it_cannot_read(run_here, tmp_path):
    (tmp_path / ".run_all").mkdir()
    steps = tmp_path / ".run_all/steps.tsv"
    steps.write_text("\tmodel\tpassed\n")
    command = ["test_tipc/lib/matrix.py", tmp_path, "--mode", MODE, "model"]
    assert_one_line(run_here(*command), f"{steps}:1", "between tabs")
    steps.write_text("\tmodel\tpassed\t1.0\t\tlog\t\n")
    (tmp_path / "model" / MODE).mkdir(parents=True)
    (tmp_path / "model" / MODE / "summary.json").write_text("{}")
    assert_one_line(run_here(*command), "summary.json", "not the summary of a chain")


def running(text):
    """The command lines of all processes that hold `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if text in line]


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_everything(copy, sent, status):
    copy.add("a_sleeper", train="sleeps")
    copy.add("b_never")
    mark = f"output={copy.root}/o"  # on the training's command line
    environment = {**copy.environment, "TIPC_OUTPUT": str(copy.root / "o")}
    process = subprocess.Popen(
        copy.command(MODE),
        cwd=copy.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not running(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert running(mark)
        os.killpg(process.pid, sent)  # what a terminal does
        output = process.communicate(timeout=LIMIT)[0]
    finally:
        process.kill()
    assert process.returncode == status, output
    deadline = time.monotonic() + 10
    while running(str(copy.root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(str(copy.root))
    assert (copy.root / "o/matrix.json").is_file(), output
    matrix = json.loads((copy.root / "o/matrix.json").read_text())
    assert [(row["result"], row["reason"]) for row in matrix["models"]] == [
        ("failed", "interrupted"),
        ("not run", "interrupted"),
    ]


SERVICE = """#!/usr/bin/env bash
# A chain that says of each model what the test wants.
set -uo pipefail
source "$(dirname "$0")/common_func.sh"
source "$TIPC/lib/exported.sh"
STAGES=(prepare model convert infer agree)
parse_chain_options -- "$@"
RUN[mode]=${ARGUMENTS[1]}
find_config "${ARGUMENTS[0]}"
read_config "${RUN[config]}"
RUN[model]=$(value_of model_name)
begin_chain results.log true
note_inputs
case $(value_of says) in
    skipped) skip_step convert "there is no tool" && skip_step infer "there is no tool" ;;
    *)
        run_step convert "${RUN[output_dir]}/convert.log" . true
        run_step infer "${RUN[output_dir]}/infer.log" . true
        run_step agree "${RUN[output_dir]}/agree.log" . \\
            bash -c "echo 'onnx: largest difference 1e-07 in all'; $(value_of says)"
        ;;
esac
finish
"""


def test_further_chains_have_a_table_of_their_own(copy):
    copy.add("a")
    copy.add("b")
    (copy.root / "test_tipc/test_paddle2onnx.sh").write_text(SERVICE)
    (copy.root / "test_tipc/test_inference_cpp.sh").write_text(SERVICE)

    def says(model, config, words):
        text = f"===deployment===\nmodel_name:{model}\nsays:{words}\n"
        (copy.root / "test_tipc/configs" / model / config).write_text(text)

    says("a", "paddle2onnx_infer_python.txt", "true")
    says("a", "inference_cpp.txt", "skipped")
    says("b", "paddle2onnx_infer_python.txt", "false")
    outcome = copy.run(MODE, "--chains", "paddle2onnx,inference_cpp")
    assert outcome.status == 1, outcome.out + outcome.err
    rows = {(row["model"], row["chain"]): row for row in copy.matrix["deployed"]}
    assert {key: row["result"] for key, row in rows.items()} == {
        ("a", "paddle2onnx"): "passed",
        ("a", "inference_cpp"): "skipped",
        ("b", "paddle2onnx"): "failed",
    }
    assert rows["a", "paddle2onnx"]["largest differences"] == "onnx 1e-07"
    assert rows["a", "inference_cpp"]["reason"] == "skipped: there is no tool"
    assert rows["b", "paddle2onnx"]["agree"] == "failed"
    assert not copy.matrix["models"]  # the base chain was not chosen
    sentence = "FAILED: 1 of 3 chains passed; skipped: a inference_cpp; not: b paddle2onnx"
    assert (copy.root / "test_tipc/output/matrix.txt").read_text().splitlines()[-1] == sentence
    outcome = copy.run(MODE, "a", "--chains", "all")
    assert outcome.status == 0, outcome.out + outcome.err
    assert "==== a paddle2onnx: passed before, nothing has changed ====" in outcome.out
    assert copy.rows["a"]["result"] == "passed"
    assert outcome.out.splitlines()[-1] == (
        "passed: 2 of 3 chains, 1 of them before; predictions NOT compared: a; skipped: a inference_cpp"
    )
    assert_one_line(copy.run(MODE, "--chains", "paddle2onx"), "--chains", "'paddle2onx'", "serving_infer_cpp")
