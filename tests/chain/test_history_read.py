"""What reads the figures of a training takes its history.jsonl, where it left one, and sentences only of other logs."""

import json
import math

import numpy as np
import pytest

from history_file import HistoryError, is_history, read_events, read_points
from tests.chain.test_report import LOGS
from tests.helpers.scripts import assert_one_line
from tests.helpers.shell import PROGRAMS
from train_log import UserError, history_of, read_train_log

START = {"event": "start", "epochs": 3, "first_epoch": 1, "iterations": 4, "images": 14, "batch_size": 4}
SENTENCE = "[Train][Epoch 1/1][Iter: {}/40] loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.5 sec\n"


def trained(epoch, iteration, loss):
    costs = {"avg_reader_cost": 0.125, "avg_batch_cost": 0.5}
    return {"event": "train", "epoch": epoch, "iteration": iteration, "loss": loss, **costs}


def judged(epoch, **figures):
    return {"event": "eval", "epoch": epoch, "loss": 1.0, **figures, "best": 1.0}


@pytest.fixture
def write(tmp_path):
    """`write(*events)` makes tmp_path/history.jsonl of events, or of lines; returns its path."""

    def make(*events):
        lines = [event if isinstance(event, str) else json.dumps(event) + "\n" for event in events]
        (tmp_path / "history.jsonl").write_text("".join(lines))
        return tmp_path / "history.jsonl"

    return make


def falling(write, losses):
    return write({**START, "iterations": 40}, *(trained(1, number, loss) for number, loss in enumerate(losses, 1)))


def test_points_of_a_history(write):
    log = read_points(
        write(START, trained(1, 2, 2.5), trained(1, 4, None), judged(1, top1=0.25, top5=1.0), trained(2, 2, 1))
    )
    assert [tuple(point) for point in log.train[::2]] == [(2, 2.5, 0.125, 0.5), (6, 1.0, 0.125, 0.5)]
    assert log.train[1].iteration == 4
    assert math.isnan(log.train[1].loss)
    assert [tuple(point) for point in log.evals] == [(4, {"top1": 0.25})]


def test_what_a_resumed_training_does_again_takes_the_place_of_the_first(write):
    path = write(
        START,
        *(trained(1, 4, 3.0), judged(1, top1=0.1), trained(2, 2, 2.0)),  # and was killed in its second epoch
        {**START, "first_epoch": 2, "iterations": 8},  # with half the batch size
        *(trained(2, 8, 1.5), judged(2, AP=0.2, AP50=0.5), trained(3, 8, 1.0)),
        '{"event": "tra',
    )
    log = read_points(path)
    assert [(point.iteration, point.loss) for point in log.train] == [(4, 3.0), (12, 1.5), (20, 1.0)]
    assert [tuple(point) for point in log.evals] == [(4, {"top1": 0.1}), (12, {"AP": 0.2, "AP50": 0.5})]
    assert len(read_events(path)) == 8


def test_epochs_that_are_not_in_a_history_take_no_time(write):
    log = read_points(write(START, trained(1, 4, 3.0), trained(10**12, 2, 2.0)))
    assert [point.iteration for point in log.train] == [4, 4 * (10**12 - 1) + 2]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ((START,), ": expected an event 'train', found none"),
        ((START, "{]\n"), ":2: expected a JSON object with an event"),
        ((START, trained(0, 2, 1.0)), ":2: train.epoch: expected a whole number of at least 1, found 0"),
        ((START, trained(1, 2, "1.0")), ":2: train.loss: expected a number, found '1.0'"),
        ((START, trained(1, 2, 10**400)), ":2: train.loss: expected a number, found 1000"),
        ((START, '{"event": ' + "[" * 100_000 + "\n"), ":2: expected a JSON object with an event"),
        ((START, trained(1, 2, True)), ":2: train.loss: expected a number, found True"),
        ((START, trained(1, 2, 1.0), judged(1, top1=[1])), r":3: eval.top1: expected a number, found \[1\]"),
        ((trained(1, 2, 1.0), START), ":1: expected an event 'start' before it, found 'train'"),
        (({**START, "iterations": 0}, trained(1, 2, 1.0)), ":1: start.iterations: expected a whole number of at least"),
    ],
)
def test_faults_of_a_history(write, tmp_path, events, message):
    with pytest.raises(HistoryError, match=f"history.jsonl{message}"):
        read_points(write(*events))
    if events[0]["event"] == "start":
        with pytest.raises(UserError, match=f"history.jsonl{message}"):
            read_train_log(tmp_path / "log_train.txt")


def test_which_file_is_read(write, tmp_path):
    log = tmp_path / "log_train.txt"
    log.write_text(SENTENCE.format(1, 9.5))
    assert read_train_log(log).train[0].loss == read_train_log(tmp_path).train[0].loss == 9.5
    history = write(START, trained(1, 1, 1.25))
    for path in (log, tmp_path, history):
        assert history_of(path) == history
        assert read_train_log(path).train[0].loss == 1.25
    log.rename(tmp_path / "of_another.log")  # a history belongs to log_train.txt alone
    assert read_train_log(tmp_path / "of_another.log").train[0].loss == 9.5


@pytest.mark.parametrize("line", ['{"mode": "train", "loss": 7}', '{"event": "start"}', "[1]", "loss", ""])
def test_a_file_of_another_project_under_that_name_is_not_read(write, tmp_path, line):
    history = write(line + "\n")
    assert not is_history(history)
    (tmp_path / "log_train.txt").write_text(SENTENCE.format(1, 9.5))
    assert read_train_log(tmp_path / "log_train.txt").train[0].loss == 9.5


# ---- the checks of a training


def test_the_loss_is_judged_by_the_history(write, tmp_path, run_here):
    rise, fall = np.linspace(1, 2, 40), np.linspace(2, 1, 40)
    log = tmp_path / "log_train.txt"
    log.write_text("".join(SENTENCE.format(number, loss) for number, loss in enumerate(fall, 1)))
    judge = ["test_tipc/lib/convergence.py", log, "--min_iterations", 40]
    assert run_here(*judge).status == 0
    falling(write, rise)
    assert_one_line(run_here(*judge), "log_train.txt: loss: ", "it did not fall")
    falling(write, [*fall[:20], None, *fall[20:39]])
    assert_one_line(run_here(*judge), "the loss is nan at iteration 21: the training diverged")
    log.write_text("".join(SENTENCE.format(number, loss) for number, loss in enumerate(rise, 1)))
    falling(write, fall)
    assert run_here(*judge).status == 0
    assert run_here(judge[0], tmp_path, *judge[2:]).status == 0


def test_curves_are_drawn_of_a_folder_while_it_is_trained(write, tmp_path, run_here):
    falling(write, np.linspace(2, 1, 5))
    outcome = run_here("test_tipc/lib/curves.py", tmp_path, tmp_path / "curves.png", "title")
    assert (outcome.status, outcome.err) == (0, "")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert_one_line(
        run_here("test_tipc/lib/curves.py", tmp_path / "no", tmp_path / "curves.png", "t"), "cannot be read"
    )


def test_the_report_and_the_evidence_take_it(write, tmp_path, run_here):
    run = tmp_path / "run"
    (run / "norm").mkdir(parents=True)
    (run / "norm.log").write_text(LOGS["train.log"])
    (run / "norm/log_train.txt").write_text(LOGS["train.log"])
    write(START, trained(1, 4, 0.0625), judged(1, top1=0.5)).rename(run / "norm/history.jsonl")
    names = ("train", "converge", "evaluate", "predict", "export", "infer cpu", "agree")
    (run / "steps.tsv").write_text("".join(f"norm\t{name}\tpassed\t1\t\t{run}/norm.log\t\n" for name in names))
    options = ["--model", "M", "--mode", "lite_train_lite_infer"]
    outcome = run_here("test_tipc/lib/report.py", run, *options)
    assert "final loss 0.06250" in outcome.out
    assert run_here("test_tipc/lib/evidence.py", run, *options, "--to", tmp_path / "log").status == 0
    kept = tmp_path / "log/M"
    assert (kept / "history.jsonl").read_bytes() == (run / "norm/history.jsonl").read_bytes()
    assert (kept / "curves.png").is_file()


def test_the_history_of_an_earlier_training_is_not_judged_for_this_one(chain):
    """The second training leaves a log of its own, and no history."""
    leaves = (
        "if not (folder / 'log_train.txt').exists(): (folder / 'history.jsonl').write_text('old')\n"
        "(folder / 'log_train.txt').write_text('loss: 1.0, avg_reader_cost: 0.1 sec, avg_batch_cost: 1.0 sec')\n"
    )
    chain.program("train", PROGRAMS["train"] + leaves)
    for there in (True, False):
        run = chain.run("--stage", "1", "--stop_stage", "1")
        assert run.results["train"] == "passed"
        assert bool(list(run.folder.glob("*/history.jsonl"))) == there
