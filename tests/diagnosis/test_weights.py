"""The stage of the weights: each fault is named exactly, and exports of all kinds are not blamed."""

import shutil

import numpy as np
import paddle
import pytest

from agreement.params import read_tensors
from diagnosis.weights.check import check_weights
from diagnosis.weights.likeness import nearness
from diagnosis.weights.names import program_names
from tests.agree import zoo
from tests.diagnosis import models as made
from tests.diagnosis.conftest import make_models, structure_of
from tests.helpers.scripts import ROOT

COMPAT = ROOT / ".venv-compat/bin/python"

FAULTS = [
    # the export, its cause, words of the line
    ("unloaded", "unloaded", ["7 of 7 tensors", "an initialisation, not latest.pdparams", "all running means are 0"]),
    ("head_unloaded", "partly_unloaded", ["2 of 7 tensors: fc.weight (linear_0.w_0), fc.bias (linear_0.b_0) are not"]),
    ("other_head", "partly_unloaded", ["fc.weight is [8, 8] in the file and [8, 5] in the export"]),
    ("other_key", "partly_unloaded", ["2 of 7 tensors: fc.weight (linear_1.w_0), fc.bias (linear_1.b_0) are not"]),
    ("statistics_unloaded", "partly_unloaded", ["2 of 7", "norm._mean (batch_norm2d_0.w_1)", "means are 0 and varia"]),
    ("epoch_5", "other_epoch", ["7 of 7 tensors: they are those of epoch_5.pdparams"]),
    ("changed", "one_changed", ["differs by 0.001, 1 of 7 tensors: fc.weight (linear_0.w_0) was changed: largest "
                                "difference 0.001 in fc.weight (linear_0.w_0) at [2, 3], 1.11899972 in latest.pdparams "
                                "and 1.11999977 in the export"]),
    ("rounded", "precision", ["those of latest.pdparams, rounded to half precision and stored in float32"]),
]  # fmt: skip


def stage_of(steps, models, name, checkpoint="latest", folder=None):
    return check_weights(steps(models / name).subject(weights_file=(folder or models / "checkpoints") / checkpoint))


@pytest.mark.parametrize("ending", ["", ".pdparams"])
@pytest.mark.parametrize("name", ["right", "softmax"])
def test_right(steps, models, name, ending):
    stage = stage_of(steps, models, name, f"latest{ending}")
    assert stage.line == "weights: same, all 7 tensors equal those of latest.pdparams"
    assert (stage.largest, stage.allowed, stage.cause) == (0.0, 0.0, "")


@pytest.mark.parametrize(("name", "cause", "words"), FAULTS)
def test_fault(steps, models, name, cause, words):
    stage = stage_of(steps, models, name)
    assert (stage.result, stage.cause) == ("differs", cause), stage.line
    assert stage.advice
    for word in words:
        assert word in stage.line


@pytest.mark.parametrize(("name", "cause", "words"), FAULTS)
def test_fault_without_any_name(steps, models, tmp_path, name, cause, words):
    """A checkpoint of plain arrays, and an export without its file of names: numbers, shapes and roles are left."""
    checkpoints, export = tmp_path / "checkpoints", tmp_path / "export"
    checkpoints.mkdir()
    for path in (models / "checkpoints").iterdir():
        arrays = {key: value.numpy() for key, value in paddle.load(str(path)).items()}
        paddle.save(arrays, str(checkpoints / path.name))
    shutil.copytree(models / name, export)
    (export / "inference.pdiparams.info").unlink(missing_ok=True)
    stage = check_weights(steps(export).subject(weights_file=checkpoints / "latest"))
    assert (stage.result, stage.cause) == ("differs", cause), stage.line


def test_merged(steps, models):
    stage = stage_of(steps, models, "merged")
    assert stage.line == "weights: same, the export rewrote 2 of 4 tensors of latest.pdparams"


def test_a_constant_of_the_network(steps, models):
    stage = stage_of(steps, models, "shifted")
    assert stage.line.startswith(
        "weights: same, 7 of 8 tensors equal those of latest.pdparams, the others are constants"
    )
    assert stage_of(steps, models, "shifted_epoch_5").why == "they are those of epoch_5.pdparams"


def test_a_head_for_training_alone(steps, models):
    assert (
        stage_of(steps, models, "aided", "aided").line == "weights: same, all 7 tensors equal those of aided.pdparams"
    )
    stage = stage_of(steps, models, "aided_epoch_7", "aided")
    assert stage.cause == "other_epoch"
    assert "like those of aided.pdparams, but others: of another epoch or training" in stage.line


def test_half_precision(steps, models):
    if not (models / "half").is_dir():
        pytest.skip("a .json program has no float16 on the CPU")
    stage = stage_of(steps, models, "half")
    assert (stage.cause, stage.words) == ("precision", "7 of 7 tensors")
    assert "those of latest.pdparams, stored in float16" in stage.line


def test_integers_of_8_bits():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(16, 8)).astype("float32")
    quantised = np.round(weight / np.abs(weight).max() * 127).astype("int8")
    assert nearness(weight, "int8", quantised).state == "cast"
    assert nearness(weight, "int8", quantised[::-1]).state == "other"


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_checkpoint_of_half_precision_is_loaded_as_float32(steps, models, tmp_path, kind):
    state = paddle.load(str(models / "checkpoints/latest.pdparams"))
    state = {name: value.astype(kind) for name, value in state.items()}
    rounded = {name: value.astype("float32") for name, value in state.items()}
    export = export_of(models, made.with_state(zoo.Classifier(), rounded), tmp_path / "export")
    paddle.save(state, str(tmp_path / "half.pdparams"))
    stage = check_weights(steps(export).subject(weights_file=tmp_path / "half"))
    assert stage.line == "weights: same, all 7 tensors equal those of half.pdparams"


def export_of(models, network, folder):
    """An export with the structure of the right one, and the weights of a network."""
    shutil.copytree(models / "right", folder)
    path = folder / "inference.pdiparams"
    content, state = path.read_bytes(), network.state_dict()
    names = {"conv2d_0.w_0": "conv.weight", "linear_0.w_0": "fc.weight", "linear_0.b_0": "fc.bias",
             "batch_norm2d_0.w_0": "norm.weight", "batch_norm2d_0.b_0": "norm.bias",
             "batch_norm2d_0.w_1": "norm._mean", "batch_norm2d_0.w_2": "norm._variance"}  # fmt: skip
    tensors = read_tensors(path)
    for name, (_, _, data) in zip(program_names(structure_of(folder), [one[0] for one in tensors]), tensors):
        content = content.replace(bytes(data), state[names[name]].numpy().tobytes())
    path.write_bytes(content)
    return folder


def test_averaged_weights_beside_the_others(steps, models, tmp_path):
    """Checkpoints may hold both, and the optimizer's state: either is a right export."""
    state = {name: paddle.load(str(models / f"checkpoints/{name}.pdparams")) for name in ("latest", "epoch_5")}
    moments = {"fc.weight_moment1_0": paddle.ones([8, 8])}
    paddle.save({"model": state["latest"], "ema": state["epoch_5"], "optimizer": moments, "epoch": 3},
                str(tmp_path / "both.pdparams"))  # fmt: skip
    for name in ("right", "epoch_5"):
        stage = stage_of(steps, models, name, "both", tmp_path)
        assert stage.line == "weights: same, all 7 tensors equal those of both.pdparams"
    assert stage_of(steps, models, "unloaded", "both", tmp_path).cause == "unloaded"


def test_folders_of_epochs(steps, models, tmp_path):
    """PaddleSeg writes iter_100/model.pdparams."""
    for name in ("latest", "epoch_5"):
        (tmp_path / name).mkdir()
        shutil.copy(models / f"checkpoints/{name}.pdparams", tmp_path / name / "model.pdparams")
    stage = stage_of(steps, models, "epoch_5", "latest/model.pdparams", tmp_path)
    assert stage.why == "they are those of epoch_5/model.pdparams"


def test_a_name_with_a_number_says_more(steps, models, tmp_path):
    """The best weights are those of an epoch, too."""
    for name in ("latest", "epoch_5"):
        shutil.copy(models / f"checkpoints/{name}.pdparams", tmp_path)
    shutil.copy(tmp_path / "epoch_5.pdparams", tmp_path / "best.pdparams")
    assert stage_of(steps, models, "epoch_5", "latest", tmp_path).why == "they are those of epoch_5.pdparams"


def test_damaged_files_beside_it_are_passed_over(steps, models, tmp_path):
    shutil.copy(models / "checkpoints/latest.pdparams", tmp_path)
    whole = (models / "checkpoints/epoch_5.pdparams").read_bytes()
    (tmp_path / "a.pdparams").write_bytes(whole[:-100])
    shutil.copy(models / "checkpoints/epoch_5.pdparams", tmp_path / "z.pdparams")
    assert stage_of(steps, models, "epoch_5", "latest", tmp_path).why == "they are those of z.pdparams"


# ---------------------------------------------------------------------------------------------- with recorded networks


def test_by_the_recorded_hashes_alone(steps, models, pixels):
    """Neither the file nor the name of the checkpoint is known."""
    for name, cause in (("right", ""), ("merged", ""), ("unloaded", "unloaded"), ("epoch_5", "other_weights"),
                        ("changed", "other_weights")):  # fmt: skip
        ran = steps(models / name)
        ran.folder = ran.folder / name
        ran.layer("evaluate", made.trained(), pixels)
        stage = check_weights(ran.subject())
        assert stage.cause == cause, stage.line
        if name == "right":
            assert stage.line == "weights: same, all 7 tensors equal those of the network that evaluate used"


def test_the_file_that_predict_loaded_is_found(steps, models, pixels):
    ran = steps(models / "epoch_5")
    ran.layer("predict", made.trained(), pixels, [(models / "checkpoints/latest.pdparams", 7, 7, 5)])
    assert "they are those of epoch_5.pdparams" in check_weights(ran.subject()).line


@pytest.mark.parametrize("step", ["evaluate", "predict"])
def test_a_step_that_did_not_load_the_checkpoint(steps, models, pixels, step):
    ran, file = steps(models / "right"), models / "checkpoints/latest.pdparams"
    for name in ("evaluate", "predict"):
        unloaded = name == step
        network = zoo.Classifier() if unloaded else made.trained()
        network.eval()
        ran.layer(name, network, pixels, [(file, 7, 0, 0) if unloaded else (file, 7, 7, 5)])
    stage = check_weights(ran.subject(weights_file=models / "checkpoints/latest"))
    assert stage.cause == "predict_unloaded"
    assert f"none of the 7 tensors of latest.pdparams is in the network that {step} used" in stage.line


def test_a_step_that_loaded_another_checkpoint(steps, models, pixels):
    ran = steps(models / "right")
    ran.layer("predict", made.after(5), pixels, [(models / "checkpoints/epoch_5.pdparams", 7, 7, 5)])
    stage = check_weights(ran.subject(weights_file=models / "checkpoints/latest"))
    assert stage.cause == "predict_unloaded"
    assert "predict used other weights than latest.pdparams: 7 of 7 tensors of the export" in stage.line


def test_a_network_that_was_merged_before_predict_called_it(steps, models, pixels):
    """Merged networks have other tensors than the checkpoint, in predict and in the export alike."""
    ran = steps(models / "merged")
    network = zoo.Merged(made.trained())
    network.eval()
    ran.layer("predict", network, pixels, [(models / "checkpoints/latest.pdparams", 7, 2, 2)])
    stage = check_weights(ran.subject(weights_file=models / "checkpoints/latest"))
    assert stage.result == "same", stage.line


def test_infer_with_another_model(steps, models, pixels):
    ran = steps(models / "right")
    ran.infer(pixels, structure_of(models / "epoch_5"))
    stage = check_weights(ran.subject(weights_file=models / "checkpoints/latest"))
    assert stage.cause == "infer_other_model"
    assert f"infer loaded {structure_of(models / 'epoch_5')}, whose weights are not those of" in stage.line


def test_infer_with_a_copy_of_the_model(steps, models, pixels, tmp_path):
    shutil.copytree(models / "right", tmp_path / "copy")
    ran = steps(models / "right")
    ran.infer(pixels, structure_of(tmp_path / "copy"))
    assert check_weights(ran.subject(weights_file=models / "checkpoints/latest")).result == "same"


def test_nothing_is_known(steps, models, tmp_path):
    stage = check_weights(steps(models / "right").subject())
    assert stage.result == "not compared"
    assert "neither the weights file is known, nor was a network of evaluate or predict recorded" in stage.line
    stage = check_weights(steps(models / "right").subject(weights_file=tmp_path / "none"))
    assert stage.line == f"weights: not compared ({tmp_path / 'none'}: no such file)"


def test_a_damaged_checkpoint_leaves_the_recorded_network(steps, models, pixels, tmp_path):
    (tmp_path / "cut.pdparams").write_bytes((models / "checkpoints/latest.pdparams").read_bytes()[:500])
    assert (
        "cut.pdparams: expected a file of trained weights"
        in check_weights(steps(models / "right").subject(weights_file=tmp_path / "cut")).line
    )
    ran = steps(models / "right")
    ran.layer("evaluate", made.trained(), pixels)
    stage = check_weights(ran.subject(weights_file=tmp_path / "cut"))
    assert stage.result == "same"
    assert "evaluate used; " in stage.line
    assert "cut.pdparams: expected" in stage.line


@pytest.mark.skipif(not COMPAT.is_file(), reason="the compatibility lane is not installed")
def test_files_of_paddle_2(steps, tmp_path):
    folder = make_models(tmp_path / "paddle2", "pdmodel", COMPAT)
    for name, cause in (("right", ""), ("merged", ""), *((name, cause) for name, cause, _ in FAULTS)):
        assert stage_of(steps, folder, name).cause == cause
