"""The losses of other projects' training logs: the lines of each family are read, and nothing else counts as a loss.

The lines are written here, with figures of a curve that is known, in the formats that the projects print.
"""

import json

import numpy as np
import pytest

from convergence import NOT_JUDGED
from curves import draw_curves
from tests.helpers.scripts import assert_one_line
from train_log import NoLoss, UserError, read_train_log

CURVE = [round(2.3 * 0.97**i + 0.1, 4) for i in range(60)]  # falls from 2.4 to 0.48
FLAT = [2.3 + 0.05 * float(noise) for noise in np.random.default_rng(5).standard_normal(60)]
STEPS = 20  # of an epoch

# {epoch} and {step} count from 1, {epoch0} and {step0} from 0; {all} is the step since the training's first; {part} is
# of another curve than {loss}
FAMILIES = {
    "PaddleClas": "[2022/01/01 10:00:00] ppcls INFO: [Train][Epoch {epoch}/3][Iter: {step0}/20]lr(Piecewise): 0.1000, "
    "top1: 0.50000, CELoss: {part}, loss: {loss}, batch_cost: 0.10000s, reader_cost: 0.01000, ips: 320.00000 samples/s",
    "PaddleSeg": "2022-01-01 10:00:00 [INFO]\t[TRAIN] epoch: {epoch}, iter: {all}/60, loss: {loss}, lr: 0.009985, "
    "batch_cost: 0.1000, reader_cost: 0.01000, ips: 20.0000 samples/sec | ETA 00:00:10",
    "PaddleDetection": "[01/01 10:00:00] ppdet.engine INFO: Epoch: [{epoch0}] [{step0:2d}/20] learning_rate: 0.010000 "
    "loss_vfl: {part} loss_bbox: 0.5 loss: {loss} eta: 0:01:00 batch_cost: 0.1 data_cost: 0.01 ips: 80.0 images/s",
    "PaddleRec": "2022-01-01 10:00:00,123 - INFO - epoch: {epoch0}, batch_id: {step0}, auc:0.500000, loss:[{loss}], "
    "avg_reader_cost: 0.00100 sec, avg_batch_cost: 0.01000 sec, avg_samples: 512.00000, ips: 51200.00000 ins/s",
    "PaddleVideo": "[01/01 10:00:00] \x1b[35mepoch:[  {epoch}/3  ]\x1b[0m \x1b[95mtrain step:{step0:<4d}\x1b[0m "
    "\x1b[92mloss: {loss} lr: 0.01 top1: 0.10\x1b[0m batch_cost: 0.1 sec, reader_cost: 0.0 sec, ips: 80 instance/sec",
    "PaddleNLP": "[2022-01-01 10:00:00,123] [    INFO] - loss: {loss}, learning_rate: 5e-05, global_step: {all}, "
    "interval_runtime: 1.2, interval_steps_per_second: 8.1, epoch: 0.0123",
    "PaddleOCR": "[2022/01/01 10:00:00] ppocr INFO: epoch: [{epoch}/3], global_step: {all}, lr: 0.0001, acc: 0.1000, "
    "CTCLoss: {part}, loss: {loss}, avg_reader_cost: 0.01 s, avg_batch_cost: 0.1 s, avg_samples: 16.0, ips: 160.0",
    "insightface": "Training: 2022-01-01 10:00:00,123-Speed 100.00 samples/sec   Loss {loss}   LearningRate 0.1000   "
    "Epoch: {epoch0}   Global Step: {all}   Fp16 Grad Scale: 1024   Required: 1 hours",
    "MetricLogger": "Epoch: [{epoch0}]  [{step0:2d}/20]  eta: 0:00:10  lr: 0.1  img/s: 80.0  loss: {loss} ({part})  "
    "acc1: 25.0 (20.0)  time: 0.1  data: 0.0",
    "reproduction guide": "[2021/12/04 05:16:13] root INFO: [epoch {epoch0}, iter {step0}][TRAIN]avg_samples: 32.0 , "
    "avg_reader_cost: 0.001 sec, avg_batch_cost: 0.011 sec, loss: {loss} , avg_ips: 2880.2 images/sec",
    "models": "[Epoch {epoch}, iter: {step0}] top1: 0.1, lr: 0.1, loss: {loss}, avg_reader_cost: 0.1 sec, "
    "avg_batch_cost: 0.2 sec, avg_samples: 64.0, avg_ips: 320.0 images/sec.",
    "JSON": '{{"mode": "train", "epoch": {epoch}, "iter": {step}, "lr": 0.1, "loss": {loss}, "loss_cls": {part}}}',
    "JSON, the mode last": '{{"global_step": {all}, "loss": "{loss}", "box_loss": {part}, "split": "train"}}',
    "a dictionary": "{{'loss': {loss}, 'learning_rate': 1e-05, 'step': {all}, 'epoch': 0.25}}",
    "equals": "epoch={epoch} step={step} lr=1e-3 loss={loss} acc=0.5",
    "without a blank": "epoch:{epoch} step:{step} loss:{loss}",
    "words": "Epoch {epoch} Iteration {step} Loss {loss}",
    "Train Loss": "Epoch [{epoch}/3], Step [{step}/20], Train Loss: {loss}, Val Loss: {part}",
    "train_loss": "epoch {epoch} iter {step}: train_loss={loss} val_loss={part}",
    "total_loss": "Epoch: {epoch} | Step: {step} | loss: {part} | total_loss: {loss}",
    "a path": "step {all} train/loss {loss} train/loss_cls {part} val/loss {part}",
    "MMCV": "2022-01-01 10:00:00,000 - INFO - Epoch [{epoch}][{step}/20]\tlr: 1.0e-02, eta: 0:01:00, time: 0.1, "
    "memory: 900, decode.loss_ce: {part}, loss: {loss}",
    "units before": "Epoch {epoch} [{step}/20] 12.5 images/s loss: {loss}",
}


def lines_of(family, curve, parts=None):
    lines = []
    for index, loss in enumerate(curve):
        epoch0, step0 = divmod(index, STEPS)
        places = {"epoch0": epoch0, "step0": step0, "epoch": epoch0 + 1, "step": step0 + 1, "all": index + 1}
        lines.append(FAMILIES[family].format(loss=loss, part=(parts or curve[::-1])[index], **places))
    return lines


@pytest.fixture
def read(tmp_path):
    """`read(lines)` is [(iteration, loss)] of a log of these lines."""

    def read(lines, end="\n"):
        path = tmp_path / "train.log"
        path.write_text("".join(line + end for line in lines), encoding="utf-8", newline="")
        return [(point.iteration, point.loss) for point in read_train_log(path).train]

    return read


@pytest.fixture
def verdict(tmp_path, run_here):
    """`verdict(lines)` is how convergence.py ends for a log of these lines, for 50 iterations at least."""

    def run(lines, *options):
        path = tmp_path / "train.log"
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return run_here("test_tipc/lib/convergence.py", path, *(options or ("--min_iterations", "50")))

    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_the_total_and_the_iteration_are_read(read, family):
    assert read(lines_of(family, CURVE)) == list(enumerate(CURVE, 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_format_is_judged(verdict, family):
    outcome = verdict(lines_of(family, CURVE))
    assert (outcome.status, outcome.err) == (0, "")
    assert "over 60 iterations: it fell" in outcome.out


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_fall_and_the_total_does_not(verdict, family):
    assert_one_line(verdict(lines_of(family, FLAT, parts=CURVE)), "over 60 iterations: it did not fall")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_is_a_failure(verdict, family, value):
    if family == "JSON":
        value = {"nan": "NaN", "inf": "Infinity"}[value]
    curve = [*CURVE[:30], value, *CURVE[31:]]
    assert_one_line(verdict(lines_of(family, curve, parts=CURVE)), f"the loss is {float(value)} at iteration 31")


def test_every_tenth_step_has_a_line(read):
    """As projects print them: the iteration is the step's, not the line's."""
    lines = [line for family in ("PaddleDetection",) for line in lines_of(family, CURVE)][::10]
    assert [place for place, _ in read(lines)] == [1, 11, 21, 31, 41, 51]
    assert [place for place, _ in read(lines_of("PaddleSeg", CURVE)[9::10])] == [10, 20, 30, 40, 50, 60]
    lines = lines_of("models", CURVE)[::10]  # the length of an epoch is not told: what was seen of it
    assert [place for place, _ in read(lines)] == [1, 11, 12, 22, 23, 33]


def test_lines_that_a_resumed_run_wrote_again_count_once(read):
    lines = lines_of("PaddleSeg", CURVE)
    again = [line.replace("loss: ", "loss: 1") for line in lines[30:]]
    assert read([*lines[:40], *again]) == [
        *enumerate(CURVE[:30], 1),
        *((i, float(f"1{CURVE[i - 1]}")) for i in range(31, 61)),
    ]


def test_a_progress_bar(read):
    """tqdm prints over its own line, with carriage returns."""
    bar = "Epoch {}/3:  35%|███▌      | {}/20 [00:03<00:06, 10.1it/s, loss={}]"
    lines = [bar.format(i // 20 + 1, i % 20 + 1, loss) for i, loss in enumerate(CURVE)]
    assert read(lines, end="\r") == list(enumerate(CURVE, 1))


def test_the_bar_of_keras_and_of_paddle_model(read):
    """`paddle.Model.fit` has the epoch in a line of its own, and evaluates in the same format."""
    lines = []
    for index, loss in enumerate(CURVE):
        epoch, step = divmod(index, 20)
        lines += [f"Epoch {epoch + 1}/3"] if step == 0 else []
        lines.append(f"step {step + 1:2d}/20 [====>....] - loss: {loss} - acc: 0.5000 - ETA: 1s - 14ms/step")
        if step == 19:
            lines += ["Eval begin...", "step 8/8 [========] - loss: 9.0 - acc: 0.5 - 3ms/step", "Eval samples: 32"]
    assert read(lines) == list(enumerate(CURVE, 1))
    keras = [line.replace("step ", "", 1) for line in lines if "loss: 9.0" not in line]
    assert read(keras) == list(enumerate(CURVE, 1))


def test_lines_without_an_iteration_are_counted(read):
    assert read([f"loss: {loss}" for loss in CURVE]) == list(enumerate(CURVE, 1))


EVALUATIONS = (
    "[2022/01/01 10:00:00] ppcls INFO: [Eval][Epoch {}][Iter: 0/10]CELoss: 0.1, loss: 0.1, top1: 0.5, batch_cost: 0.1s",
    "[2022/01/01 10:00:00] ppcls INFO: [Eval][Epoch {}][Avg]CELoss: 0.1, loss: 0.1, top1: 0.5",
    "2022-01-01 10:00:00 [INFO]\t[EVAL] iter: {}/100, loss: 0.1",
    "[01/01 10:00:00] epoch:[  {}/1  ] val step:0    loss: 0.1 top1: 0.10",
    "Test:  [ {}/10]  eta: 0:00:10  loss: 0.1 (0.1)  acc1: 25.0 (20.0)",
    "epoch {} val_loss: 0.1",
    "Epoch {} Val Loss: 0.1",
    "Epoch {} step 1 validation loss: 0.1",
    '{{"mode": "val", "epoch": 1, "iter": {}, "loss": 0.1}}',
    '{{"iter": {}, "loss": 0.1, "phase": "eval"}}',
    '{{"iter": {}, "val/loss": 0.1}}',
    "[Eval][Epoch {}] loss: 0.1, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.2 sec",
)


@pytest.mark.parametrize("line", EVALUATIONS)
def test_a_loss_of_an_evaluation_is_no_point_of_the_training(read, verdict, line):
    training = lines_of("PaddleSeg", CURVE)
    mixed = [text for i, own in enumerate(training) for text in (own, line.format(i + 1))]
    assert read(mixed) == list(enumerate(CURVE, 1))
    outcome = verdict([line.format(i).replace("0.1", f"{loss}") for i, loss in enumerate(CURVE)])
    if "avg_reader_cost" in line:  # the certification's own format is not skipped
        assert_one_line(outcome, "no line with 'loss: 0.1'", "(found: losses of an evaluation)")
    else:
        assert (outcome.status, outcome.err) == (77, "")


PARTS = (
    ("G_loss: {0} D_loss: {0}", "G_loss, D_loss"),
    ("Epoch: 1/200, iter: {1}/1000 lr: 0.0002 loss_pixel: {0} batch_cost: 0.1 sec", "loss_pixel"),
    ("epoch 1 step {1} box loss: {0} cls loss {0}", "box loss, cls loss"),
    ("epoch 1 step {1} logloss: {0}, CELoss: {0}, l1-loss: {0}", "logloss, CELoss, l1-loss"),
    ("step {1} avg_loss_xx: {0} best_loss: {0} best loss: {0}", "avg_loss_xx, best_loss, best loss"),
    ('{{"iter": {1}, "loss_cls": {0}, "aux_loss": {0}}}', "loss_cls, aux_loss"),
)


@pytest.mark.parametrize(("line", "names"), PARTS)
def test_parts_are_not_the_total(verdict, line, names):
    outcome = verdict([line.format(loss, i) for i, loss in enumerate(CURVE)])
    assert (outcome.status, outcome.err) == (NOT_JUDGED, "")
    last = outcome.out.splitlines()[-1]
    assert last.startswith("no loss to judge: ")
    assert last.endswith(f"(found: {names})")


@pytest.mark.parametrize(
    "line",
    [
        "epoch {1}: accuracy 0.5",
        "loss function: CrossEntropyLoss",
        "loss: {{'name': 'CELoss'}}",
        "the loss is computed in float32",
        "Loss {0}%",
        "loss: {0}.{1}",
        "loss: 1,234",
        "loss: Tensor(shape=[1])",
        "lossless: {0}",
        "",
    ],
)
def test_a_log_without_a_loss_is_skipped_and_says_what_is_read(verdict, line):
    outcome = verdict([line.format(loss, i) for i, loss in enumerate(CURVE)])
    assert (outcome.status, outcome.err) == (77, "")
    last = outcome.out.splitlines()[-1]
    assert last.startswith("no loss to judge: ")
    assert "'loss: 0.1', 'loss=0.1', 'Loss 0.1' or '\"loss\": 0.1'" in last


def test_sums_of_an_epoch_are_not_points_beside_its_steps(read):
    lines = lines_of("without a blank", CURVE)
    for end in (60, 40, 20):
        lines.insert(end, "END epoch 1 train loss: 0.001")
    assert read(lines) == list(enumerate(CURVE, 1))


def test_a_foreign_training_may_be_too_short(verdict):
    outcome = verdict(lines_of("PaddleSeg", CURVE), "--min_iterations", "100")
    assert outcome.status == 77
    assert outcome.out.splitlines()[-1].startswith("too short to judge: 60 iterations in 60 points")
    outcome = verdict(lines_of("PaddleSeg", CURVE)[9::10])
    assert outcome.out.splitlines()[-1].startswith("too short to judge: 60 iterations in 6 points")


def test_the_format_of_the_certification_stays_strict(tmp_path, verdict):
    """Where one line has it, lines of other formats are not read, and a figure must be a number."""
    official = "loss: {}, avg_reader_cost: 0.1 sec, avg_batch_cost: 0.2 sec"
    path = tmp_path / "log.txt"
    path.write_text("loss: 9\n" + official.format(0.5) + "\n[TRAIN] iter: 1/2, loss: 9\n")
    assert [tuple(point) for point in read_train_log(path).train] == [(1, 0.5, 0.1, 0.2)]
    assert_one_line(verdict([official.format("1e"), "loss: 1.0"]), "train.log:1: loss: expected a number, found '1e'")
    assert_one_line(verdict([official.format("")] * 60), "no line with 'loss: 0.1'")


def test_absurd_lines_neither_stop_nor_slow_the_reading(read):
    lines = [
        "loss: " + "9" * 5000,
        "step " + "1" * 100_000 + " loss: " + "1" * 100_000 + "x",
        "loss" + " " * 100_000,
        "loss: 0." + "3" * 100_000,
        "[" * 100_000,
        "a/" * 50_000 + " loss " * 1000,
        '{"a":' * 20_000,
        '{"loss": ' + "9" * 10_000 + "}",
        '{"loss": [true], "iter": true, "epoch": {}}',
        json.dumps({"loss": None, "iter": "x", "mode": 3}),
        "epoch " * 20_000,
        "val loss 1 " * 20_000,
        "1/" * 50_000,
        "\x1b[" + "0" * 100_000,
    ]
    assert [loss for _, loss in read(lines)] == [float("inf"), pytest.approx(1 / 3), float("inf")]


def test_the_error_of_a_log_without_a_loss_has_a_type(tmp_path):
    path = tmp_path / "train.log"
    path.write_text("nothing\n")
    with pytest.raises(NoLoss, match="no line with 'loss: "):
        read_train_log(path)
    with pytest.raises(UserError, match="cannot be read") as raised:
        read_train_log(tmp_path / "none.log")
    assert raised.type is UserError


@pytest.mark.parametrize("curve", [CURVE, [-loss for loss in CURVE], [*CURVE, "nan"]])
def test_curves_are_drawn_of_a_foreign_log(tmp_path, curve):
    path = tmp_path / "train.log"
    path.write_text("\n".join(f"iter: {i}, loss: {loss}" for i, loss in enumerate(curve)))
    draw_curves(read_train_log(path), tmp_path / "curves.png", "foreign")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


STEPS_THAT_PASS = ("train", "evaluate", "predict", "export", "infer cpu", "agree")


@pytest.fixture
def keep(tmp_path, run_here):
    """`keep(lines, converge)` keeps the evidence of a run whose training wrote the lines to its output only."""

    def run(lines, converge, *options):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        (folder / "norm.log").write_text("\n".join(lines))
        rows = [f"norm\t{name}\tpassed\t1\t\t{folder}/norm.log\t\n" for name in STEPS_THAT_PASS]
        rows.insert(1, f"norm\tconverge\t{converge}\t1\t\t\t\n")
        (folder / "steps.tsv").write_text("".join(rows))
        (folder / "summary.json").write_text("{}")
        options = ["--model", "M", "--mode", "lite_train_lite_infer", "--to", tmp_path / "log", *options]
        return run_here("test_tipc/lib/evidence.py", folder, *options)

    return run


def test_the_output_of_a_foreign_training_is_evidence(keep, tmp_path):
    lines = lines_of("PaddleSeg", CURVE)
    outcome = keep(lines, "passed")
    assert (outcome.status, outcome.err) == (0, "")
    assert (tmp_path / "log/M/log_train.txt").read_text() == "\n".join(lines)
    assert (tmp_path / "log/M/curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_log_without_a_loss_is_evidence_without_curves_where_it_was_not_judged(keep, tmp_path):
    assert_one_line(keep(["nothing"], "passed"), "norm.log: no line with 'loss: ")
    assert not (tmp_path / "log/M/log_train.txt").exists()
    outcome = keep(["nothing"], "skipped")
    assert (outcome.status, outcome.err) == (0, "")
    assert "evidence: without curves: " in outcome.out
    assert (tmp_path / "log/M/log_train.txt").read_text() == "nothing"
    assert not (tmp_path / "log/M/curves.png").exists()
