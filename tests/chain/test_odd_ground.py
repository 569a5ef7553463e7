"""Odd ground that no run must pass on: lists, variables, links, clocks, full disks, git, and copied summaries."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.chain.test_driver import INFER, STEM
from tests.chain.test_false_passes import last_line, weights
from tests.helpers.scripts import LIMIT
from tests.helpers.shell import PROGRAMS, Chain, copy_tree


def test_an_entry_that_is_listed_twice_is_trained_once(chain):
    run = chain.set("gpu_list", "-1|-1").set("-o Global.enable_mkldnn", "True|true").run()
    assert run.status == 0
    assert len(chain.calls("train")) == len(chain.calls("infer")) == 1
    assert f"note: {chain.path}:4: 'gpu_list' has '-1' more than once; it is taken once\n" in run.out


def test_two_trainings_of_one_name_are_refused(chain):
    """Their logs and weights would have the same places."""
    chain.set("trainer", "a b|a_b").set("pact_train", f"{chain.programs}/train.py")
    chain.text = chain.text.replace("norm_train:PROGRAMS", "a b:PROGRAMS")
    chain.text = chain.text.replace(f"norm_train:{chain.programs}", f"a b:{chain.programs}")
    chain.text = chain.text.replace("pact_train:", "a_b:")
    run = chain.run()
    assert run.status == 1
    assert "two trainings would have the same name, a_b_gpus_-1_autocast_null_nodes_1" in run.err


def test_no_inference_is_not_agreement(chain):
    run = chain.set("-o Global.use_gpu", "True").run()
    assert run.results["infer gpu"] == "skipped"
    assert last_line(run).endswith("; the predictions were NOT compared")


def test_standard_output_that_is_closed(chain):
    command = ["bash", "-c", '"$@" >&-', "x", *chain.command()]
    done = subprocess.run(command, env=chain.environment(), capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (1, "error: standard output is closed: nobody would see what happened\n")
    assert chain.calls() == []


@pytest.mark.parametrize("script", ["test_train_inference_python.sh", "run_all.sh", "prepare.sh", "test_serving.sh"])
def test_an_exported_cdpath_changes_nothing(tree, script, tmp_path):
    (tmp_path / "test_tipc").mkdir()
    environment = {**os.environ, "CDPATH": str(tmp_path), "TIPC_PYTHON": sys.executable}
    command = ["bash", f"test_tipc/{script}", "--help"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")
    command[2:] = ["nothing.txt", "whole_infer"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 1
    assert str(tmp_path) not in done.stderr


@pytest.mark.parametrize(
    ("key", "value"), [("use_gpu", "False|cpu"), ("use_gpu", "False|null"), ("enable_mkldnn", "null|")]
)
def test_two_words_for_one_setting_are_inferred_once(chain, key, value):
    """The second would write over the log and the result of the first, a failure among them."""
    first = "flag = Path(__file__).with_name('flag')\nif not flag.exists():\n    flag.touch()\n    sys.exit(3)"
    chain.program("infer", first)
    run = chain.set(f"-o Global.{key}", value).run()
    assert run.status == 1
    assert len(chain.calls("infer")) == 1


def test_an_export_that_leaves_no_model(chain):
    chain.program("export", PROGRAMS["export"].replace("inference.pdmodel", "inference.yml"))
    run = chain.run()
    assert run.status == 1
    reason = f"it wrote no model (*.pdmodel, *.json, __model__ or *.onnx) to {run.folder}/{STEM}/inference"
    assert ("export", "failed", reason) in run.steps


def test_weights_from_before_the_clock_was_set_back(chain):
    """A training that writes none: the config names them, so that the same program does both."""
    body = PROGRAMS["train"].replace('(folder / "latest', "'write' in sys.argv and (folder / \"latest")
    chain.program("train", body)
    run = chain.set("norm_train", f"{chain.programs}/train.py write").run("--stop_stage", "1")
    assert run.results["train"] == "passed"
    os.utime(weights(run), (time.time() + 9999,) * 2)
    run = chain.set("norm_train", f"{chain.programs}/train.py").run("--stage", "1", "--stop_stage", "1")
    assert run.status == 1
    assert run.results["train"] == "failed"


def test_a_model_behind_a_link_that_was_exchanged_between_two_stages(chain):
    export = """
blob = Path(__file__).parents[1] / "blob"
blob.write_text("model")
(folder / "inference.pdmodel").unlink()
(folder / "inference.pdmodel").symlink_to(blob)
"""
    chain.program("export", PROGRAMS["export"] + export)
    assert chain.run("--stop_stage", "4").status == 0
    (chain.folder / "blob").write_text("another model")
    run = chain.run("--stage", "5")
    assert run.status == 1
    assert " had another exported model than export: " in last_line(run)


def test_a_folder_beside_the_weights_with_their_name(chain):
    """The programs read latest.pdparams, so that is the file that counts."""
    chain.program("train", PROGRAMS["train"] + "(folder / 'latest').mkdir(exist_ok=True)")
    run = chain.run("--stop_stage", "2")
    weights(run).write_bytes(b"others")
    run = chain.run("--stage", "3")
    assert run.status == 1
    assert " had other weights than train: " in last_line(run)


@pytest.mark.parametrize("variable", [{"POSIXLY_CORRECT": "1"}, {"SHELLOPTS": "posix"}])
def test_a_shell_that_is_told_to_be_posix_runs_all_steps(chain, variable):
    chain.program("infer", "sys.exit(3)")
    run = chain.run(**variable)
    assert run.status == 1
    assert last_line(run).endswith(f"failed: {INFER}")


def test_the_commit_is_that_of_this_repository(chain, tmp_path):
    """A hook of git runs with GIT_DIR set."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    run = chain.run(GIT_DIR=str(tmp_path / ".git"))
    assert run.status == 0, run.out + run.err
    assert '"commit": "none (no git repository)"' in (run.folder / "summary.json").read_text()


def test_code_in_the_folder_of_the_output_counts(tmp_path):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    assert chain.run("--stop_stage", "4", TIPC_OUTPUT="ppcls_lite").status == 0
    with (chain.tree / "ppcls_lite/arch/__init__.py").open("a") as stream:
        stream.write("# more")
    run = chain.run("--stage", "5", TIPC_OUTPUT="ppcls_lite")
    assert run.status == 1
    assert " had other code, config, data or versions than train: " in last_line(run)


@pytest.mark.parametrize("output", [".", "./out", "out/", "../a b/out"])
def test_the_output_is_no_code_however_its_folder_is_spelled(tmp_path, output):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    other = chain.tree / "another/small_net/whole_infer/steps.tsv"
    other.parent.mkdir(parents=True)
    other.write_text("")
    chain.program("eval", f"Path({str(other)!r}).write_text('a run at the same time'); print('top1: 0.5')")
    run = chain.run("--stop_stage", "4", TIPC_OUTPUT=output)
    assert run.status == 0, run.out + run.err
    run = chain.run("--stage", "5", TIPC_OUTPUT=output)
    assert run.status == 0, run.out + run.err


def test_code_that_only_the_users_git_ignores(tmp_path):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    subprocess.run(["git", "-C", str(chain.tree), "init", "-q"], check=True)
    (chain.tree / ".git/info/exclude").write_text("local_*\n")
    mine = chain.tree / "ppcls_lite/arch/local_net.py"
    mine.write_text("one = 1")
    assert chain.run("--stop_stage", "4").status == 0
    mine.write_text("one = 2")
    run = chain.run("--stage", "5")
    assert run.status == 1
    assert " had other code, config, data or versions than train: " in last_line(run)


def test_a_file_that_is_looked_at_with_an_editor_is_not_changed(tmp_path):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    swap = chain.tree / "tools/.train.py.swp"
    swap.touch()
    chain.program("eval", f"Path({str(swap)!r}).unlink()\nprint('top1: 0.5')")
    run = chain.run()
    assert run.status == 0, run.out + run.err


@pytest.mark.parametrize("kind", ["link", "repository"])
def test_code_behind_a_link_and_in_a_repository_inside_this_one(tmp_path, kind):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    code, there = chain.tree / "ppcls_lite", tmp_path / "elsewhere"
    if kind == "link":
        code.rename(there)
        code.symlink_to(there)
        code = there / "arch/__init__.py"
    else:
        subprocess.run(["git", "-C", str(chain.tree), "init", "-q"], check=True)
        git = ["git", "-C", str(code), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
        code = code / "arch/__init__.py"
    assert chain.run("--stop_stage", "4").status == 0
    with code.open("a") as stream:
        stream.write("# more")
    run = chain.run("--stage", "5")
    assert run.status == 1
    assert " had other code, config, data or versions than train: " in last_line(run)


def test_a_list_of_images_whose_path_has_a_blank(chain):
    folder = chain.folder / "my data"
    folder.mkdir()
    (folder / "train_list.txt").write_text("a.jpg 0")
    (chain.folder / "net.yaml").write_text(f"DataLoader:\n  cls_label_path: '{folder}/train_list.txt' # mine\n")
    chain.set("norm_train", f"{chain.programs}/train.py -c {chain.folder}/net.yaml")
    assert chain.run("--stop_stage", "4").status == 0
    (folder / "train_list.txt").write_text("a.jpg 1")
    run = chain.run("--stage", "5")
    assert run.status == 1
    assert " had other code, config, data or versions than train: " in last_line(run)


def test_data_in_a_large_folder_and_new_code_that_change_while_the_run_goes_on(tmp_path):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(2001):
        (folder / f"{number}.jpg").touch()
    chain.set("norm_train", f"{chain.programs}/train.py -o image_root={folder}")
    for path in (folder / "7.jpg", chain.tree / "tools/new.py"):
        chain.program("eval", f"Path({str(path)!r}).write_text('changed')\nprint('top1: 0.5')")
        run = chain.run()
        assert run.status == 1
        assert last_line(run).endswith("failed: inputs")
        assert str(path.name) in run.steps[-1][2]


def test_evidence_of_an_earlier_run_does_not_stay_beside_that_of_this_one(tmp_path):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    log = "(folder / 'log_train.txt').write_text('loss: 1.0, avg_reader_cost: 0.1 sec, avg_batch_cost: 1.0 sec')\n"
    chain.program("train", PROGRAMS["train"] + "if 'log' in sys.argv: " + log)
    chain.set("norm_train", f"{chain.programs}/train.py log")
    kept = chain.tree / "test_log/small_net"
    kept.mkdir(parents=True)
    (kept / "agree.log").write_text("of another run, which was compared")
    (kept / "notes.md").write_text("not the chain's")
    run = chain.run("--evidence")
    assert run.status == 0
    assert {"log_train.txt", "evaluate.log", "summary.json", "notes.md"} <= {path.name for path in kept.iterdir()}
    assert not (kept / "agree.log").exists()
    chain.set("norm_train", f"{chain.programs}/train.py")
    shutil.rmtree(kept)
    (run.folder / "inputs.sha256").unlink()  # as if the config had not changed
    run = chain.run("--stage", "1", "--evidence")
    assert run.status == 0
    # its own output is the log of a training that writes no other
    usual = f"test_tipc/output/small_net/{run.folder.name}"
    own = (run.folder / f"{STEM}.log").read_text().replace(str(run.folder), usual)
    assert (kept / "log_train.txt").read_text() == own


def test_a_log_that_lost_lines_while_the_disk_was_full(chain):
    """There is space again before its end is written."""
    log = chain.output() / f"{STEM}_eval.log"
    body = f"""
import resource
log = Path({str(log)!r})
for entry in Path("/proc").iterdir():
    try:
        words = (entry / "cmdline").read_bytes().split(b"\\0")
    except OSError:
        continue
    if words[0] == b"tee" and str(log).encode() in words:
        resource.prlimit(int(entry.name), resource.RLIMIT_FSIZE, (log.stat().st_size, log.stat().st_size))
print("top1: 0.5")
"""
    chain.program("eval", body)
    run = chain.run()
    assert run.status == 1
    assert {name: why for name, _, why in run.steps}["evaluate"].endswith("its log could not be written")


def test_a_summary_that_is_not_that_of_the_steps_beside_it(chain):
    """Copied from a run that passed, to the folder of one that failed."""
    text = (chain.run().folder / "summary.json").read_text()
    chain.program("infer", "sys.exit(3)")
    run = chain.run()
    (run.folder / "summary.json").write_text(text)
    script = str(chain.tree / "test_tipc/lib/certificate.py")
    done = subprocess.run([sys.executable, script, str(run.folder)], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 1
    assert "its summary is not that of its steps: FAILED: " in done.stdout


def test_the_interpreter_is_seen_from_the_working_folder(chain):
    """A step that runs in another folder, such as `infer`, has the same one."""
    python = os.path.relpath(sys.executable, chain.folder)
    run = chain.run(TIPC_PYTHON=python, cwd=chain.folder)
    assert run.status == 0, run.out + run.err
    assert run.results["agree observed"] == "skipped"
    assert {result for name, result in run.results.items() if name.startswith("infer cpu")} == {"passed"}
