"""A recognition is trained, judged, saved and resumed, its centres go along, and what does not fit is refused."""

import copy
import re

import numpy as np
import pytest

from ppcls_lite.train import checkpoint, loop
from ppcls_lite.train.history import read_history
from ppcls_lite.train.optimizer_scopes import Optimizers
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import setup_logging
from ppcls_lite.utils.safe_load import load_arrays, load_plain
from tests.helpers.checkpoints import assert_same_checkpoint
from tests.helpers.ranks import run_ranks
from tests.helpers.recognition import SCOPES, as_recognition
from tests.train.test_resume import Stopped, stop_in_epoch

NUMBER = r"\d\.\d{5}"
FIGURES = rf"recall1: {NUMBER}, recall5: {NUMBER}, mAP: {NUMBER}"


@pytest.fixture
def config(config):
    return as_recognition(config)


def centres_of(prefix):
    return load_arrays(prefix, ".pdloss")["CenterLoss.centers"]


# ---- by the commands


def test_training_and_evaluation_by_their_commands(config, write_config, tmp_path, run_here):
    path = write_config(config)
    trained = run_here("tools/train.py", "-c", path)
    assert trained.status == 0, trained.err
    log = (tmp_path / "out/log_train.txt").read_text()
    assert len(re.findall(rf"\[Eval\]\[Epoch \d\] {FIGURES}, best: {NUMBER}\n", log)) == 4
    assert re.search(
        rf"\[Train\]\[Epoch 1/4\]\[Iter: 2/2\] lr: .* top1: {NUMBER}, .*CELoss: .*TripletLossV2: .*CenterLoss: .*loss:",
        log,
    )
    events = [event for event in read_history(tmp_path / "out/history.jsonl") if event["event"] == "eval"]
    assert [sorted(event) for event in events] == [["best", "epoch", "event", "mAP", "recall1", "recall5"]] * 4
    best = max(event["recall1"] for event in events)
    assert events[-1]["best"] == best
    chosen = load_plain(tmp_path / "out/best_model.pdstates")
    assert chosen["best"]["recall1"] == best
    weights = f"Global.pretrained_model={tmp_path}/out/best_model"
    evaluated = run_here("tools/eval.py", "-c", path, "-o", weights)
    assert evaluated.status == 0, evaluated.err
    expected = ", ".join(f"{name}: {value:.5f}" for name, value in chosen["best"].items())
    assert evaluated.out.splitlines()[-1].endswith(f"[Eval][Avg] {expected}, queries: 7, gallery: 14")


def test_queries_that_are_left_out_are_said(config, write_config, tmp_path, run_here):
    config["Global"]["epochs"] = 1
    loop.train(config)
    dataset = config["DataLoader"]["Eval"]["Query"]["dataset"]
    with open(dataset["cls_label_path"]) as stream:
        (tmp_path / "other.txt").write_text(stream.read().replace(" 1\n", " 8\n"))
    dataset["cls_label_path"] = str(tmp_path / "other.txt")
    config["Global"]["pretrained_model"] = str(tmp_path / "out/latest")
    evaluated = run_here("tools/eval.py", "-c", write_config(config))
    assert "WARNING: [Eval] 2 of 7 queries have no image of their identity in the gallery" in evaluated.out
    assert evaluated.out.splitlines()[-1].endswith(", queries: 5 of 7, gallery: 14")


def test_it_learns(config, tmp_path):
    """Three colours end in three places."""
    config["Global"].update(epochs=12, eval_interval=12)
    config["Optimizer"]["lr"]["learning_rate"] = 0.01
    loop.train(config)
    losses = [event["CELoss"] for event in read_history(tmp_path / "out/history.jsonl") if event["event"] == "train"]
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])


def test_classification_by_the_identities_of_the_training(config, tmp_path):
    """`eval_mode: classification`, as PaddleClas's ResNet50_vd_Aliproduct: loss and top-k of plain logits."""
    config["Global"].update(eval_mode="classification", epochs=2)
    config["DataLoader"]["Eval"] = config["DataLoader"]["Eval"]["Query"]
    config["Metric"]["Eval"] = [{"TopkAcc": {"topk": [1, 2]}}]
    config["Arch"]["Head"] = {"name": "FC", "class_num": 3}
    loop.train(config)
    evaluated = [event for event in read_history(tmp_path / "out/history.jsonl") if event["event"] == "eval"]
    config["Global"]["pretrained_model"] = str(tmp_path / "out/latest")
    results = loop.evaluate(config)
    assert list(results) == ["loss", "top1", "top2"]
    assert {name: evaluated[-1][name] for name in results} == pytest.approx(results)
    del config["Global"]["eval_mode"]
    assert loop.evaluate(config) == results


# ---- checkpoints


@pytest.mark.parametrize("form", ["one optimizer", "one for each"])
def test_resumed_run_ends_with_the_same_bits(config, tmp_path, monkeypatch, form):
    if form == "one for each":
        config["Optimizer"] = copy.deepcopy(SCOPES)
        config["Optimizer"][1] = {"Momentum": {**SCOPES[1]["SGD"], "lr": {"learning_rate": 1.0}}}  # it has a state
    stopped = copy.deepcopy(config)
    stopped["Global"]["output_dir"] = str(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        stop_in_epoch(patch, 3)
        with pytest.raises(Stopped):
            loop.train(stopped)
    stopped["Global"]["checkpoints"] = str(tmp_path / "stopped/latest")
    loop.train(stopped)
    loop.train(config)
    for name in ("latest", "best_model"):
        assert_same_checkpoint(tmp_path / f"out/{name}", tmp_path / f"stopped/{name}")
    moments = load_plain(tmp_path / "out/latest.pdopt")
    assert "center_loss_0.w_0_velocity_0" in moments
    assert np.abs(centres_of(tmp_path / "out/epoch_2") - centres_of(tmp_path / "out/latest")).max() > 1e-4
    # the network's file is the network's alone: what is deployed has no centres
    assert not any("Loss" in name for name in load_arrays(tmp_path / "out/latest"))


@pytest.mark.parametrize("forgotten", ["centres", "moments", "batches"])
def test_a_forgetful_resume_would_be_seen(config, tmp_path, monkeypatch, forgotten):
    loop.train(config)
    config["Global"].update(checkpoints=str(tmp_path / "out/epoch_2"), output_dir=str(tmp_path / "resumed"))
    if forgotten == "centres":
        monkeypatch.setattr(checkpoint, "_load_losses", lambda prefix, losses: [])
    elif forgotten == "batches":
        monkeypatch.setattr("ppcls_lite.data.identity_samplers.PKSampler.set_epoch", lambda self, epoch: None)
    else:
        monkeypatch.setattr(Optimizers, "set_state_dict", lambda self, state: None)
    loop.train(config)
    with pytest.raises(AssertionError, match=r"pdparams|pdloss|pdopt"):
        assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "resumed/latest")


def test_centres_of_a_checkpoint_must_fit(config, tmp_path):
    config["Global"]["epochs"] = 1
    loop.train(config)
    config["Global"].update(epochs=2, checkpoints=str(tmp_path / "out/latest"))
    without = copy.deepcopy(config)
    without["Loss"]["Train"].pop()
    with pytest.raises(UserError, match=r"Loss.Train: .*latest was begun with a loss that has parameters, and this"):
        loop.Trainer(without, "cpu")
    for fault in ({"num_classes": 4}, {"feat_dim": 9}):
        other = copy.deepcopy(config)
        other["Loss"]["Train"][2]["CenterLoss"].update(fault)
        with pytest.raises(UserError, match=r"latest.pdloss: does not fit"):
            loop.Trainer(other, "cpu")
    (tmp_path / "out/latest.pdloss").unlink()
    with pytest.raises(UserError, match=r"was begun without CenterLoss: there is no .*latest.pdloss"):
        loop.Trainer(config, "cpu")
    # a later training without it, to the same folder, leaves none that is not its own
    config["Loss"]["Train"].pop()
    config["Global"].update(epochs=1, checkpoints=None)
    loop.train(config)
    assert not list((tmp_path / "out").glob("*.pdloss"))


def test_centres_that_are_not_finite_are_not_saved(config, monkeypatch):
    config["Optimizer"] = copy.deepcopy(SCOPES)
    trainer = loop.Trainer(config, "cpu")
    centres = trainer.loss.layers["CenterLoss"].centers
    centres.set_value(np.full(centres.shape, np.inf, np.float32))
    trainer.evaluator = None
    with pytest.raises(UserError, match="the weights after epoch 1, which are not saved"):
        trainer.evaluate_and_save(1, None, None)


# ---- with the other options of a training


@pytest.mark.parametrize("option", ["EMA", "update_freq", "AMP"])
def test_other_options_work_with_it(config, option, capsys):
    config["Global"]["epochs"] = 2
    if option == "EMA":
        config["EMA"] = {"decay": 0.5}
    elif option == "AMP":  # in FP32 here, and it says so
        config["AMP"] = {"use_amp": True, "scale_loss": 128.0, "level": "O1"}
    else:
        config["Global"]["update_freq"] = 2
    loop.train(config)
    assert f"[Eval{' without EMA' if option == 'EMA' else ''}][Epoch 2] recall1: " in capsys.readouterr().out


def test_a_traced_network_has_the_margin_too(config, tmp_path):
    config["Global"].update(epochs=1, print_batch_step=1)
    config["Arch"]["Backbone"]["name"] = "MobileNetV1_x0_25"  # without dropout, which would draw other numbers
    losses = {}
    for traced in (True, False):
        config["Global"].update(to_static=traced, output_dir=str(tmp_path / f"{traced}"))
        loop.train(config)
        events = read_history(tmp_path / f"{traced}/history.jsonl")
        losses[traced] = [event["CELoss"] for event in events if event["event"] == "train"]
        losses[traced].append(next(event["recall1"] for event in events if event["event"] == "eval"))
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)


# ---- several processes

SCRIPT = """
import sys
import numpy as np, paddle
from ppcls_lite.train import loop
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import run_main

FAULT = sys.argv[2]
if FAULT == "gradients of its own":
    loop.average_gradients = lambda parameters: None

def main():
    config = load_config(sys.argv[1])
    kept = []
    init = loop.Trainer.__init__
    def remember(self, *options):
        init(self, *options)
        kept.append(self)
    loop.Trainer.__init__ = remember
    loop.train(config)
    layers = (kept[0].model, kept[0].loss.layers)
    state = {n: t.numpy() for layer in layers for n, t in layer.state_dict().items()}
    np.savez(config["Global"]["output_dir"] + f"/end{paddle.distributed.get_rank()}.npz", **state)

if __name__ == "__main__":
    run_main(main)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_two_processes_train_one_network_and_judge_as_one(config, write_config, script, tmp_path):
    config["Global"].update(epochs=2)
    config["Optimizer"] = copy.deepcopy(SCOPES)
    outcomes = run_ranks(script, write_config(config), "none")
    assert [outcome.status for outcome in outcomes] == [0, 0], outcomes
    first, second = (dict(np.load(tmp_path / f"out/end{rank}.npz")) for rank in (0, 1))
    assert "CenterLoss.centers" in first
    assert all(np.array_equal(first[name], second[name]) for name in first)
    begun = loop.Trainer(config, "cpu").loss.layers["CenterLoss"].centers.numpy()
    assert np.abs(begun - first["CenterLoss.centers"]).max() > 0.01
    # one process finds the same figures, and so do two
    logged = [event for event in read_history(tmp_path / "out/history.jsonl") if event["event"] == "eval"][-1]
    config["Global"]["pretrained_model"] = str(tmp_path / "out/latest")
    results = loop.evaluate(config)
    assert {name: logged[name] for name in results} == pytest.approx(results, abs=1e-9)
    evaluated = run_ranks("tools/eval.py", "-c", write_config(config))
    assert [outcome.status for outcome in evaluated] == [0, 0], evaluated
    expected = ", ".join(f"{name}: {value:.5f}" for name, value in results.items())
    assert evaluated[0].out.splitlines()[-1].endswith(f"{expected}, queries: 7, gallery: 14")


def test_centres_that_go_different_ways_are_seen(config, write_config, script):
    config["Optimizer"] = copy.deepcopy(SCOPES)
    for outcome in run_ranks(script, write_config(config), "gradients of its own"):
        assert outcome.status == 1
        assert "do not have the same weights after epoch 1: CenterLoss.centers differs" in outcome.err


# ---- what is refused

TRIPLET = {"TripletLossV2": {}}
MIXUP = [{"MixupOperator": {"alpha": 0.2}}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Global.eval_mode": "adaface"}, "Global.eval_mode: expected classification or retrieval, found 'adaface'"),
        (
            {"Global.eval_mode": "classification"},
            r"DataLoader.Eval.Query: is for Arch.name: RecModel with Global.eval_mode",
        ),
        ({"Global.re_ranking": True}, "Global.re_ranking: expected False"),
        ({"Metric.Eval": [{"TopkAcc": {}}]}, r"Metric.Eval\[0\]: expected 'Recallk"),
        ({"Arch": {"name": "MobileNetV1_x0_25", "class_num": 3}}, "retrieval needs a network of features: Arch.name"),
        (
            {"DataLoader.Train.dataset.batch_transform_ops": MIXUP},
            "ArcMargin needs one label per image, not mixed ones",
        ),
        ({"Loss.Train": [TRIPLET]}, "no loss takes the scores of Arch.Head: add CELoss, or remove the head"),
        ({"Arch.Head": None, "Loss.Train": [TRIPLET]}, "Metric.Train: needs scores of classes"),
        (
            {"Arch.Head": None, "Loss.Train": [{"TripletLossV2": {"feature_from": "backbone"}}], "Metric.Train": None},
            "no loss takes the features of Arch.Neck",
        ),
        (
            {"Arch.head_feature_from": "backbone", "Loss.Train": [{"CELoss": {}}], "Arch.Head.embedding_size": None},
            "no loss takes the features of Arch.Neck",
        ),
        ({"Arch.Head.class_num": 2}, "label 2 is not below class_num 2"),
        (
            {"Loss.Train.2.CenterLoss.num_classes": 2},
            r"CenterLoss.num_classes: label 2 of .*train_list.txt is not below 2",
        ),
    ],
)
def test_what_is_refused(config, change, message):
    for place, value in change.items():
        node = config
        *parents, last = place.split(".")
        for part in parents:
            node = node[int(part) if part.isdigit() else part]
        node[last] = value
    with pytest.raises(UserError, match=message):
        loop.Trainer(config, "cpu")


def test_retrieval_needs_no_metric_in_a_training_and_one_in_an_evaluation(config, tmp_path):
    config["Global"]["epochs"] = 1
    config["Metric"].pop("Eval")
    loop.train(config)
    (evaluated,) = [event for event in read_history(tmp_path / "out/history.jsonl") if event["event"] == "eval"]
    assert {"recall1", "recall5"} < set(evaluated)
    config["Global"]["pretrained_model"] = str(tmp_path / "out/latest")
    with pytest.raises(UserError, match=r"expected a metric such as '- Recallk: \{topk: \[1, 5\]\}', found none"):
        loop.evaluate(config)


def test_labels_of_queries_are_free(config, tmp_path):
    for part in ("Query", "Gallery"):
        dataset = config["DataLoader"]["Eval"][part]["dataset"]
        with open(dataset["cls_label_path"]) as stream:
            rows = [line.split() for line in stream]
        path = tmp_path / f"{part}.txt"
        path.write_text("".join(f"{name} {int(label) + 700}\n" for name, label in rows))
        dataset["cls_label_path"] = str(path)
    config["Global"]["epochs"] = 1
    loop.train(config)


def test_images_that_are_trained_on_and_searched_for_are_warned_of(config, tmp_path):
    config["DataLoader"]["Eval"]["Query"] = config["DataLoader"]["Eval"]["Gallery"]
    config["Global"]["epochs"] = 1
    loop.train(config)
    assert "DataLoader.Eval: 14 of 14 images are trained on too" in (tmp_path / "out/log_train.txt").read_text()


def relabelled(config, tmp_path, change):
    dataset = config["DataLoader"]["Train"]["dataset"]
    with open(dataset["cls_label_path"]) as stream:
        rows = [line.split() for line in stream]
    (tmp_path / "list.txt").write_text("".join(f"{name} {change(int(label))}\n" for name, label in rows))
    dataset["cls_label_path"] = str(tmp_path / "list.txt")


@pytest.mark.parametrize("head", [True, False])
def test_one_identity_alone_is_warned_of(config, tmp_path, capsys, head):
    """The loss is 0 at once, and says nothing."""
    config["Loss"]["Train"] = [{"CELoss": {}} if head else TRIPLET]
    config["DataLoader"]["Train"]["sampler"] = {"name": "DistributedBatchSampler", "batch_size": 7}
    if not head:
        config["Arch"].pop("Head")
        config["Metric"].pop("Train")
    setup_logging()
    loop.Trainer(config, "cpu")
    assert "WARNING: DataLoader.Train: " not in capsys.readouterr().out
    relabelled(config, tmp_path, lambda label: 1)
    loop.Trainer(config, "cpu")
    said = capsys.readouterr().out
    assert said.count("WARNING: DataLoader.Train: ") == 1
    assert f"all 14 images in {tmp_path}/list.txt have label 1: nothing can be learnt from one class or id" in said


def test_fewer_identities_than_the_head_has_are_warned_of(config, capsys):
    config["Arch"]["Head"]["class_num"] = 9
    setup_logging()
    loop.Trainer(config, "cpu")
    said = capsys.readouterr().out
    assert said.count("WARNING: DataLoader.Train: 6 of 9 classes have no image in ") == 1


def test_triplets_without_a_head_and_without_bound_labels(config, tmp_path):
    """No loss takes scores, so labels are only compared with each other."""
    relabelled(config, tmp_path, lambda label: label * 4000)
    config["Arch"].pop("Head")
    config["Loss"]["Train"] = [TRIPLET]
    config["Metric"].pop("Train")
    config["Global"]["epochs"] = 2
    loop.train(config)
    config["Global"].update(checkpoints=str(tmp_path / "out/latest"), epochs=3)
    loop.train(config)
