"""A teacher and a student: what a training changes, what a checkpoint is good for, and what is exported."""

import copy
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

from ppcls_lite.arch.distillation import DistillationModel
from ppcls_lite.arch.from_config import build_network, load_network, network_to_train
from ppcls_lite.train import loop
from ppcls_lite.train.changes import Changes
from ppcls_lite.train.optimizer import build_optimizer
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.distilled import class_count, deployed_arch
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays
from tests.helpers.configs import NETWORK, random_weights, save_arrays
from tests.helpers.scripts import ROOT, run_process
from tests.train.test_resume import Stopped, assert_same_checkpoint, stop_in_epoch

TEACHER = "MobileNetV1_x0_25"
PAIRS = [["Student", "Teacher"]]


@pytest.fixture
def teacher(tmp_path):
    """(path of the teacher's weights, its arrays)."""
    arrays = random_weights(TEACHER)
    return save_arrays(arrays, tmp_path / "teacher.pdparams"), arrays


@pytest.fixture
def distilled(config, teacher):
    """The config of tests/conftest.py, its network taught by TEACHER."""
    config["Arch"] = {
        "name": "DistillationModel",
        "class_num": 3,
        "pretrained_list": None,
        "freeze_params_list": [True, False],
        "models": [{"Teacher": {"name": TEACHER, "pretrained": str(teacher[0])}}, {"Student": {"name": NETWORK}}],
        "infer_model_name": "Student",
    }
    config["Loss"]["Train"] = [{"DistillationCELoss": {"weight": 1.0, "model_name_pairs": PAIRS}}]
    config["Metric"] = {
        part: [{"DistillationTopkAcc": {"model_key": "Student", "topk": [1]}}] for part in ("Train", "Eval")
    }
    config["Optimizer"]["lr"]["learning_rate"] = 0.001
    return config


def entries(arrays, name):
    return {entry[len(name) + 1 :]: array for entry, array in arrays.items() if entry.startswith(f"{name}.")}


def same(arrays, others):
    return list(arrays) == list(others) and all(arrays[name].tobytes() == others[name].tobytes() for name in arrays)


# ---- the teacher


def test_training_moves_the_student_and_leaves_the_teacher(distilled, teacher, tmp_path):
    loop.train(distilled)
    trained = load_arrays(tmp_path / "out/latest")
    assert same(entries(trained, "Teacher"), teacher[1])  # running statistics too
    assert len(entries(trained, "Teacher")) + len(entries(trained, "Student")) == len(trained)
    assert (
        "the frozen network Teacher is bit for bit as it was: 137 entries"
        in (tmp_path / "out/log_train.txt").read_text()
    )
    begun = build_network(distilled).deployed.state_dict()
    moved = [name for name, array in entries(trained, "Student").items() if (array != begun[name].numpy()).any()]
    assert {name.rpartition(".")[2] for name in moved} == {"weight", "bias", "_mean", "_variance"}
    best = load_arrays(tmp_path / "out/best_model")
    assert same(load_arrays(tmp_path / "out/best_model_student"), entries(best, "Student"))


def images():
    return paddle.to_tensor(np.random.default_rng(1).normal(size=(4, 3, 32, 32)).astype("float32"))


def test_the_teacher_computes_as_in_evaluation_whoever_sets_the_mode(distilled):
    """A wrapper such as DataParallel calls no `train` of the networks inside: it sets the flags of all layers."""
    network = build_network(distilled)
    wrapper = paddle.nn.Sequential(network)
    wrapper.train()
    assert network._sub_layers["Teacher"].training
    before = {name: tensor.numpy() for name, tensor in network._sub_layers["Teacher"].state_dict().items()}
    found = wrapper(images())
    network.eval()
    assert (network(images())["Teacher"].numpy() == found["Teacher"].numpy()).all()
    assert (network(images())["Student"].numpy() != found["Student"].numpy()).any()
    assert same({name: tensor.numpy() for name, tensor in network._sub_layers["Teacher"].state_dict().items()}, before)


@pytest.mark.parametrize("fault", ["learns", "statistics"])
def test_a_teacher_that_is_not_frozen_is_seen(distilled, monkeypatch, fault):
    """The faults: its parameters get gradients; its BatchNorm follows the images."""
    if fault == "statistics":
        monkeypatch.setattr(
            DistillationModel, "forward", lambda self, x: {name: self._sub_layers[name](x) for name in self.names}
        )
    network = network_to_train(distilled)
    changes = Changes(network)
    if fault == "learns":
        weight = network._sub_layers["Teacher"].fc.weight
        weight.set_value(weight.numpy() + 1e-3)
    network.train()
    losses = loop.WeightedLosses(distilled["Loss"]["Train"], "Loss.Train")
    optimizer = build_optimizer(distilled["Optimizer"], network.parameters())
    optimizer.set_lr(0.01)
    losses(network(images()), None).backward()
    optimizer.step()
    with pytest.raises(UserError, match=r"the frozen network Teacher changed in \d+ of 137 entries"):
        changes.check()


def test_networks_that_learn_from_each_other(distilled, tmp_path):
    """Deep mutual learning: none is frozen, and both move."""
    distilled["Arch"]["freeze_params_list"] = None
    distilled["Global"]["epochs"] = 1
    distilled["Loss"]["Train"] = [
        {"DistillationGTCELoss": {"weight": 1.0, "model_names": ["Student", "Teacher"]}},
        {"DistillationDMLLoss": {"weight": 1.0, "model_name_pairs": PAIRS}},
    ]
    loop.train(distilled)
    begun, trained = build_network(distilled).state_dict(), load_arrays(tmp_path / "out/latest")
    for name in ("Teacher.fc.weight", "Student.fc.weight", "Teacher.conv.bn._mean"):
        assert (trained[name] != begun[name].numpy()).any(), name


def test_labels_that_no_loss_uses_may_be_any(distilled, tmp_path):
    dataset = distilled["DataLoader"]["Train"]["dataset"]
    listed = tmp_path / "unlabelled.txt"
    lines = Path(dataset["cls_label_path"]).read_text().splitlines()
    listed.write_text("".join(f"{line.rsplit(' ', 1)[0]} 77\n" for line in lines))
    dataset["cls_label_path"] = str(listed)
    distilled["Global"]["epochs"] = 1
    loop.train(distilled)
    distilled["Loss"]["Train"].append({"DistillationGTCELoss": {"weight": 1.0, "model_names": ["Student"]}})
    with pytest.raises(UserError, match="label 77 is not below class_num 3"):
        loop.train(distilled)


# ---- checkpoints


def test_resumed_distillation_ends_with_the_same_bits(distilled, tmp_path, monkeypatch):
    stopped = copy.deepcopy(distilled)
    stopped["Global"]["output_dir"] = str(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        stop_in_epoch(patch, 3)
        with pytest.raises(Stopped):
            loop.train(stopped)
    stopped["Global"]["checkpoints"] = str(tmp_path / "stopped/latest")
    # what the teacher is comes from the checkpoint
    stopped["Arch"]["models"][0]["Teacher"]["pretrained"] = False
    loop.train(stopped)
    loop.train(distilled)
    assert_same_checkpoint(tmp_path / "out/latest", tmp_path / "stopped/latest")


def test_training_begins_with_weights_of_all_or_of_the_student(distilled, tmp_path, teacher):
    whole = random_weights(NETWORK, seed=8)
    both = {f"Teacher.{n}": a for n, a in teacher[1].items()} | {f"Student.{n}": a for n, a in whole.items()}
    for arrays in (whole, both):
        distilled["Global"]["pretrained_model"] = str(save_arrays(arrays, tmp_path / "begin.pdparams"))
        state = network_to_train(distilled).state_dict()
        assert same({name: tensor.numpy() for name, tensor in state.items()}, both)
    distilled["Arch"]["models"][0]["Teacher"]["pretrained"] = False
    network_to_train(distilled)  # those of all have the teacher's
    save_arrays(whole, tmp_path / "begin.pdparams")
    with pytest.raises(UserError, match=r"Arch.models\[0\].Teacher: is frozen and has no weights"):
        network_to_train(distilled)


def test_weights_of_the_list_and_of_the_network_are_the_same(distilled, teacher):
    given = build_network(distilled).state_dict()
    del distilled["Arch"]["models"][0]["Teacher"]["pretrained"]
    distilled["Arch"]["pretrained_list"] = [str(teacher[0]), None]
    listed = build_network(distilled).state_dict()
    for name in given:
        assert name.startswith("Student.") or (given[name] == listed[name]).all()


# ---- the student alone


def test_student_is_evaluated_predicted_and_exported_alone(distilled, tmp_path):
    """By the commands, of a checkpoint of both and of the student's own file; the exported file has no teacher."""
    distilled["Global"]["epochs"] = 1
    loop.train(distilled)
    path = tmp_path / "distilled.yaml"
    path.write_text(yaml.safe_dump(distilled))
    shown = {}
    for name in ("best_model", "best_model_student"):
        weights = ["-c", path, "-o", f"Global.pretrained_model={tmp_path / 'out' / name}"]
        evaluated = run_process("tools/eval.py", *weights)
        predicted = run_process("tools/infer.py", *weights)
        exported = run_process("tools/export_model.py", *weights, "-o", f"Global.save_inference_dir={tmp_path / name}")
        assert (evaluated.status, predicted.status, exported.status) == (0, 0, 0), exported.err
        shown[name] = evaluated.out.partition("[Eval]")[2], predicted.out
        model = yaml.safe_load((tmp_path / name / "inference.yml").read_text())
        assert model["Global"]["model_name"] == NETWORK
    assert shown["best_model"] == shown["best_model_student"]
    student = sum(array.nbytes for array in load_arrays(tmp_path / "out/best_model_student").values())
    size = (tmp_path / "best_model/inference.pdiparams").stat().st_size
    assert student <= size < 1.05 * student
    with_teacher = sum(array.nbytes for array in load_arrays(tmp_path / "out/best_model").values())
    assert with_teacher > 1.3 * student  # else this test could not see a teacher in the file


def test_the_wrong_network_would_be_seen(distilled, tmp_path):
    """`infer_model_name: Teacher` gives other outputs and another name."""
    arrays = {name: tensor.numpy() for name, tensor in build_network(distilled).state_dict().items()}
    distilled["Global"]["pretrained_model"] = str(save_arrays(arrays, tmp_path / "both.pdparams"))
    student = load_network(distilled)(images()).numpy()
    distilled["Arch"]["infer_model_name"] = "Teacher"
    teacher = load_network(distilled)(images()).numpy()
    assert np.abs(student - teacher).max() > 0.1
    network = build_network(distilled)
    network.eval()
    assert (network(images())["Teacher"].numpy() == teacher).all()
    assert deployed_arch(distilled["Arch"])["name"] == TEACHER


# ---- configs


def change(arch, key, value):
    *parents, last = key
    for part in parents:
        arch = arch[part]
    arch[last] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (["models"], None, r"Arch.models: expected a list"),
        (["models", 1], {"Student": {}}, r"Arch.models\[1\].Student: expected a mapping with the name"),
        (["models", 0], {"a.b": {"name": TEACHER}}, r"Arch.models\[0\]: expected a name of letters"),
        (["models", 0], {"Student": {"name": TEACHER}}, r"Student occurs twice"),
        (["models", 1, "Student", "name"], "MobileNetV3_smal_x0_35", r"Arch.models\[1\].Student: .*did you mean"),
        (["models", 1, "Student", "dropuot"], 1, r"Arch.models\[1\].Student: .*dropuot"),
        (
            ["models", 1, "Student", "class_num"],
            10,
            r"Arch.models\[1\].Student.class_num: expected 3, the class_num of the others, found 10",
        ),
        (["freeze_params_list"], [True], "Arch.freeze_params_list: expected 2 entries, one for each"),
        (["freeze_params_list"], [True, "no"], r"Arch.freeze_params_list\[1\]: expected True or False, found 'no'"),
        (["pretrained_list"], [None, 3], r"Arch.pretrained_list\[1\]: expected a path"),
        (["infer_model_name"], "Studnt", "Arch.infer_model_name: expected one of Teacher, Student, .*did you mean"),
        (["freeze_parms_list"], [], "Arch.freeze_parms_list: no such option .*did you mean 'freeze_params_list'"),
    ],
)
def test_wrong_sections_are_named(distilled, key, value, message):
    change(distilled["Arch"], key, value)
    with pytest.raises(UserError, match=message):
        build_network(distilled)


def test_class_count_is_the_students(distilled):
    del distilled["Arch"]["class_num"]
    for number, name in enumerate(("Teacher", "Student")):
        distilled["Arch"]["models"][number][name]["class_num"] = 7
    assert class_count(distilled) == 7
    distilled["Arch"]["models"][0]["Teacher"]["class_num"] = 8
    distilled["Arch"]["models"][0]["Teacher"]["pretrained"] = False
    with pytest.raises(UserError, match=r"Teacher.class_num: expected 7, the class_num of the others, found 8"):
        build_network(distilled)


OFFICIAL = {  # PaddleClas, ppcls/configs/ImageNet: epochs, rate, L2, batch of one card, teacher, student, losses
    "PPHGNetV2/PPHGNetV2_B4_ssld_stage1": (360, 0.5, 2e-5, 128, "PPHGNet_small", "PPHGNetV2_B4", ["CE"]),
    "PPHGNetV2/PPHGNetV2_B4_ssld_stage2": (60, 0.005, 2e-5, 128, "PPHGNet_small", "PPHGNetV2_B4", ["CE"]),
    "Distillation/mv3_large_x1_0_distill_mv3_small_x1_0": (
        120, 0.65, 1e-5, 256, "MobileNetV3_large_x1_0", "MobileNetV3_small_x1_0", ["CE"],
    ),
    "Distillation/resnet34_distill_resnet18_dkd": (100, 0.2, 1e-4, 128, "ResNet34", "ResNet18", ["GTCE", "DKD"]),
}  # fmt: skip


@pytest.mark.parametrize("recipe", OFFICIAL)
def test_recipe_says_what_the_official_one_says(recipe, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load_config(f"ppcls/configs/ImageNet/{recipe}.yaml")
    epochs, rate, l2, batch, teacher, student, losses = OFFICIAL[recipe]
    assert (config["Global"]["epochs"], config["Optimizer"]["lr"]["learning_rate"]) == (epochs, rate)
    assert config["Optimizer"]["regularizer"] == {"name": "L2", "coeff": l2}
    assert config["DataLoader"]["Train"]["sampler"]["batch_size"] == batch
    assert [next(iter(entry)) for entry in config["Loss"]["Train"]] == [f"Distillation{name}Loss" for name in losses]
    for entry in config["Arch"]["models"]:
        for options in entry.values():
            options["pretrained"] = False
    with paddle.LazyGuard():
        network = build_network(config)
    assert (network.names, network.frozen_names) == (["Teacher", "Student"], ["Teacher"])
    built = [model[name]["name"] for model, name in zip(config["Arch"]["models"], network.names)]
    assert built == [teacher, student]
    loop.WeightedLosses(config["Loss"]["Train"], "Loss.Train")
    for part in ("Train", "Eval"):
        assert loop.build_metric(config["Metric"][part], f"Metric.{part}").model_key == "Student"


def test_digits_with_a_teacher_differ_in_the_teacher_only():
    """What docs/distillation.md compares."""
    alone, taught = (
        load_config(ROOT / f"ppcls_lite/configs/{name}.yaml") for name in ("digits", "distillation/digits")
    )
    for section in alone:
        if section not in ("Arch", "Loss", "Metric"):
            taught[section].pop("output_dir", None), alone[section].pop("output_dir", None)
            assert taught[section] == alone[section], section
    assert taught["Loss"]["Eval"] == alone["Loss"]["Eval"]
