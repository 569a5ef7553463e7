"""Runs that must not pass, each planted: old files, kills, edits between stages, lost records, steps of two runs."""

import os
import signal
import subprocess

import pytest

from tests.chain.test_driver import INFER, STEM
from tests.helpers.shell import PROGRAMS, Chain, assert_one_error, copy_tree, wait_for

WRITES_NOTHING = "print('nothing')"


def last_line(run):
    return run.out.rstrip("\n").splitlines()[-1]


def weights(run):
    return run.folder / STEM / "latest.pdparams"


# ---------------------------------------------------------------------------------- what an earlier run has left


def test_a_training_that_was_killed_after_its_first_checkpoint_is_not_certified(chain):
    chain.program("train", PROGRAMS["train"] + "Path(__file__).with_name('saved').touch()\ntime.sleep(300)")
    process = chain.start()
    assert wait_for((chain.programs / "saved").exists)
    process.kill()
    chain.finish(process)
    run = chain.run("--stage", "2")
    assert weights(run).is_file()
    assert run.status == 1
    assert chain.calls("eval") == []
    assert "no training that passed is on record there; start with --stage 1" in run.out
    assert last_line(run) == "FAILED: 1 of 2 steps failed: train (began, and did not end)"
    assert not (chain.tree / "test_log").exists()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (WRITES_NOTHING, "latest.pdparams is older than this training, which has not written it"),
        (PROGRAMS["train"].replace("latest", "other"), "is older than this training"),
    ],
)
def test_the_weights_of_an_earlier_training_are_not_taken_for_those_of_this_one(chain, program, reason):
    assert chain.run("--stop_stage", "1").status == 0
    chain.program("train", program)
    run = chain.run("--stage", "1")
    assert run.status == 1
    assert run.results["train"] == "failed"
    assert reason in {name: why for name, _, why in run.steps}["train"]
    assert run.results["evaluate"] == "not run"


def test_the_log_of_an_earlier_training_is_not_judged_for_this_one(chain):
    line = "loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 1.0 sec, avg_samples: 8, avg_ips: 8.0 images/sec"
    log = "text = ''.join('" + line + "\\n'.format(9 - i / 30) for i in range(200))\n"
    first = PROGRAMS["train"] + log + "if not (folder / 'log_train.txt').exists(): "
    chain.program("train", first + "(folder / 'log_train.txt').write_text(text)\nelse: print('a log without a loss')")
    run = chain.run("--stop_stage", "1")
    assert run.results["converge"] == "passed"
    command = (run.folder / f"{STEM}_converge.log").read_text().splitlines()[0]
    assert command.endswith("/log_train.txt")
    run = chain.run("--stage", "1", "--stop_stage", "1")
    command = (run.folder / f"{STEM}_converge.log").read_text().splitlines()[0]
    assert command.endswith(f"/{STEM}.log")


def test_an_export_that_writes_nothing_does_not_pass_with_the_former_model(chain):
    assert chain.run().status == 0
    chain.program("export", WRITES_NOTHING)
    run = chain.run("--stage", "4")
    assert run.status == 1
    old = f"it has not written {run.folder}/{STEM}/inference/inference.pdmodel, which is older"
    assert ("export", "failed", old) in run.steps
    assert run.results["infer"] == "not run"


# -------------------------------------------------------------------------------- steps that do not belong together


def test_weights_that_were_exchanged_between_two_stages(chain):
    run = chain.run("--stop_stage", "2")
    weights(run).write_bytes(b"others of the same shapes")
    run = chain.run("--stage", "3")
    assert run.status == 1
    assert last_line(run).startswith("FAILED: export had other weights than train: they do not belong to one run")


def test_a_model_that_was_damaged_between_two_stages(chain):
    run = chain.run("--stop_stage", "4")
    (run.folder / STEM / "inference/inference.pdmodel").write_text("damaged")
    run = chain.run("--stage", "5")
    assert run.status == 1
    assert last_line(run).startswith(f"FAILED: {INFER} had another exported model than export: ")


def test_a_config_that_was_changed_between_two_stages(chain):
    assert chain.run("--stop_stage", "4").status == 0
    chain.set("-o Global.batch_size", "2")
    run = chain.run("--stage", "5")
    assert run.status == 1
    assert f"so the run cannot pass as one; changed: {chain.path}\n" in run.out
    assert " had other code, config, data or versions than train: " in last_line(run)


def test_another_commit_between_two_stages(tmp_path):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    git = ["git", "-C", str(chain.tree), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    for message in ("one", "two"):
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", message], check=True)
        run = chain.run(*(("--stop_stage", "5") if message == "one" else ("--stage", "5")))
    assert run.status == 1
    assert last_line(run) == (
        f"FAILED: {INFER} had another commit than train: they do not belong to one run (start at stage 0)"
    )


def test_code_that_changes_while_the_run_goes_on(chain):
    chain.program("infer", "with Path(__file__).with_name('train.py').open('a') as stream: stream.write('# more')")
    run = chain.run()
    assert run.status == 1
    assert last_line(run).endswith("failed: inputs")
    assert run.steps[-1][2] == f"changed while the run went on: {chain.programs}/train.py"


# -------------------------------------------------------------------------------------------- records that are lost


def test_a_full_disk_loses_no_failure(chain):
    chain.program("infer", "sys.exit(3)")
    run = chain.run()
    assert run.status == 1
    before = (run.folder / "steps.tsv").read_bytes()
    agreed = {line for line in before.splitlines() if b"\tagree" in line}
    for name in ("steps.tsv.new", "results_python.log.new", "inputs.sha256.now.new"):
        (run.folder / name).symlink_to("/dev/full")
        assert_one_error(chain.run("--stage", "6"), "cannot be written, and is as it was; is the disk full?")
        (run.folder / name).unlink(missing_ok=True)
        assert set(before.splitlines()) - set((run.folder / "steps.tsv").read_bytes().splitlines()) <= agreed
        assert not (run.folder / "summary.json").exists()
    run = chain.run("--stage", "6")  # there is space again
    assert run.status == 1
    assert last_line(run).endswith(f"failed: {INFER}")


def test_a_log_that_cannot_be_written_to_its_end(chain):
    chain.program("eval", f"path = Path({str(chain.output() / STEM)!r} + '_eval.log')\npath.unlink()\npath.mkdir()")
    run = chain.run()
    assert run.status == 1
    assert {name: why for name, _, why in run.steps}["evaluate"].endswith("its log could not be written")


def test_an_earlier_verdict_ends_with_a_new_run(chain):
    run = chain.run()
    assert run.status == 0
    assert (run.folder / "summary.json").is_file()
    chain.program("eval", "Path(__file__).with_name('began').touch()\ntime.sleep(300)")
    process = chain.start("--stage", "2")
    assert wait_for((chain.programs / "began").exists)
    os.kill(process.pid, signal.SIGKILL)
    chain.finish(process)
    assert not (run.folder / "summary.json").exists()
    assert not (run.folder / "junit.xml").exists()


def test_official_lines_are_those_of_the_steps_on_record(chain):
    chain.program("infer", "sys.exit('Global.batch_size=1' in sys.argv)")
    run = chain.run()
    assert "Run failed" in (run.folder / "results_python.log").read_text()
    run = chain.set("-o Global.batch_size", "2").run("--stage", "5")  # whose log has another name
    text = (run.folder / "results_python.log").read_text()
    assert "Run failed" not in text
    assert [line for line in text.splitlines() if line.endswith("_batchsize_2.log ! \033[0m")]
    assert len(text.splitlines()) == 4 + ("_converge.log" in text)


def test_evidence_that_cannot_be_kept_fails_the_run(tmp_path):
    chain = Chain(copy_tree(tmp_path), tmp_path)
    (chain.tree / "test_log").write_text("not a folder")
    log = "(folder / 'log_train.txt').write_text('loss: 1.0, avg_reader_cost: 0.1 sec, avg_batch_cost: 1.0 sec')\n"
    chain.program("train", PROGRAMS["train"] + log)
    run = chain.run("--evidence")
    assert run.status == 1
    assert run.results["evidence"] == "failed"
    assert last_line(run).endswith("failed: evidence")
    (chain.tree / "test_log").unlink()
    run = chain.run("--stage", "6", "--evidence")  # the runs are as good as they were
    assert run.status == 0, run.out + run.err
    assert (chain.tree / "test_log/small_net/log_train.txt").is_file()
