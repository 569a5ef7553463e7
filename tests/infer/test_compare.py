"""The comparison of engines, which must see every planted fault."""

import json
import shutil
import struct

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.compare.processing import check_names
from ppcls_lite.infer.compare.scores import compare_classifiers
from ppcls_lite.infer.engines.agreement import Agreement, same_top
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.schema import DEPLOY
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.scripts import ROOT, assert_one_line, results_of

PREDICTION = "deploy/configs/inference_cls.yaml"


# ---- the comparison, and faults planted for it


def changed_weight(folder, array, change):
    """Replace one weight in inference.pdiparams: the array is found there by its bytes."""
    path = folder / "inference.pdiparams"
    content = path.read_bytes()
    assert content.count(array.tobytes()) == 1
    at = content.index(array.tobytes())
    (old,) = struct.unpack_from("<f", content, at)
    path.write_bytes(content[:at] + struct.pack("<f", change(old)) + content[at + 4 :])


def _swap_outputs(folder, arrays):
    """The head of the exported model with two classes exchanged."""
    path = folder / "inference.pdiparams"
    content = path.read_bytes()
    for name in ("fc.weight", "fc.bias"):
        swapped = np.ascontiguousarray(arrays[name][..., [1, 0, 2]])
        assert content.count(arrays[name].tobytes()) == 1
        content = content.replace(arrays[name].tobytes(), swapped.tobytes())
    path.write_bytes(content)


FAULTS = {
    "first conv": lambda folder, arrays: changed_weight(folder, arrays["conv.conv.weight"], lambda w: w * 1.001),
    "a variance": lambda folder, arrays: changed_weight(folder, arrays["conv.bn._variance"], lambda w: w * 1.001),
    "a bias": lambda folder, arrays: changed_weight(folder, arrays["fc.bias"], lambda w: w + 1e-5),
    "two classes exchanged": _swap_outputs,
}


def compare(run_here, exported, folder, *options):
    options = ["-c", exported.config, "--inference_model_dir", folder, *options]
    return run_here("tools/compare_engines.py", *options)


def test_good_model_agrees(exported, run_here, tmp_path):
    outcome = compare(run_here, exported, exported.model, "--save", tmp_path / "agree.json", "--batch_size", 3)
    assert outcome.status == 0, outcome
    strict, usual, _ = json.loads((tmp_path / "agree.json").read_text())  # the last one: see test_batches.py
    assert (strict["engine"], strict["largest"], strict["images"]) == ("strict", 0.0, 7)
    assert (strict["bitwise_mismatches"], strict["topk_mismatches"], strict["top1_mismatches"]) == (0, 0, 0)
    assert (usual["engine"], usual["topk_mismatches"], usual["agrees"]) == ("usual_onednn", 0, True)
    assert 0 <= usual["largest"] <= 1e-4
    assert results_of(outcome)[-3].startswith("strict: largest difference 0 (bitwise equality required), 7 of 7")
    kept = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "agree_predictions").iterdir()}
    assert set(kept) == {"training", "strict", "usual_onednn", "rows_alone", "rows_batchsize_7"}
    assert kept["strict"]["images"] == kept["training"]["images"] != kept["usual_onednn"]["images"]
    assert (kept["strict"]["against"], kept["strict"]["limit"], kept["strict"]["left_out"]) == ("training.json", 0, 0)
    assert {len(one["rows"]) for one in kept["strict"]["images"].values()} == {3}
    images = ROOT / "test_images"
    assert compare(run_here, exported, exported.model, "--images", images).status == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_seen(exported, run_here, tmp_path, fault):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    FAULTS[fault](folder, random_weights())
    outcome = compare(run_here, exported, folder)
    assert_one_line(outcome, "its predictions are not those of the trained network")
    assert "strict: " in outcome.out
    assert "DISAGREES" in outcome.out


def test_a_weight_that_is_nan_is_not_even_loaded(exported, run_here, tmp_path):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    changed_weight(folder, random_weights()["fc.weight"], lambda w: np.nan)
    assert_one_line(compare(run_here, exported, folder), "inference.pdiparams: variable '", "nan or infinite (1 of ")


def test_other_mean_in_the_prediction_config_is_seen(exported, run_here, tmp_path):
    prediction = yaml.safe_load((ROOT / PREDICTION).read_text())
    own = yaml.safe_load((exported.model / "inference.yml").read_text())
    prediction["PreProcess"] = own["PreProcess"]
    path = tmp_path / "inference_cls.yaml"
    path.write_text(yaml.safe_dump(prediction))
    assert compare(run_here, exported, exported.model, "--inference_config", path).status == 0
    prediction["PreProcess"]["transform_ops"][3]["NormalizeImage"]["mean"][0] += 0.001
    path.write_text(yaml.safe_dump(prediction))
    outcome = compare(run_here, exported, exported.model, "--inference_config", path)
    assert_one_line(outcome, f"{path}: PreProcess.transform_ops[3].NormalizeImage.mean is [0.486, 0.456, 0.406], and")


def test_other_transforms_are_seen_in_the_numbers_too(exported):
    """Beneath the check of the two configs: a mean that differs gives other probabilities."""
    config = load_config(exported.config)
    config["Infer"]["transforms"][3]["NormalizeImage"]["mean"][0] += 0.001
    images, labels = task_of(config).labelled_images(config, None)
    given = config, exported.model, load_config(ROOT / PREDICTION, schema=DEPLOY), images
    strict, usual = compare_classifiers(*given, labels=labels)
    assert not strict.agrees
    assert strict.bitwise_mismatches == 7
    assert usual.agrees


def test_swapped_names_are_seen(exported, run_here, tmp_path):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    (folder / "label_list.txt").write_text("0 green\n1 red\n2 blue\n")
    assert_one_line(compare(run_here, exported, folder), "class 0 is 'green' there and 'red' in the training config")


def test_two_broken_models_do_not_agree(exported, run_here, tmp_path):
    """No number equals no number bit by bit, and still it is not an agreement: such weights are not even loaded."""
    arrays = random_weights()
    folder = shutil.copytree(exported.model, tmp_path / "model")
    changed_weight(folder, arrays["fc.weight"], lambda w: np.nan)
    arrays["fc.weight"].flat[0] = np.nan
    weights = save_arrays(arrays, tmp_path / "nan.pdparams")
    outcome = compare(run_here, exported, folder, "-o", f"Global.pretrained_model={weights}")
    assert_one_line(outcome, "nan.pdparams: fc.weight holds numbers that are nan or infinite (1 of ")
    broken = np.array([[np.nan, 0.5]], np.float32)
    agreement = Agreement("strict", 0.0)
    agreement.add(broken, broken.copy())
    assert not agreement.agrees


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "{tmp}/empty.txt"], "empty.txt: the list file is empty"),
        (["--images", "{tmp}/folder"], "no image among 0 files"),
        (["--images", "none"], "none: no such image"),
        (["--batch_size", "0"], "batch_size: expected a whole number of at least 1, found 0"),
        (["--inference_config", "none.yaml"], "none.yaml: no such config file"),
        (["-o", "DataLoader.Eval.dataset.cls_label_path=null"], "'DataLoader.Eval.dataset.cls_label_path' is missing"),
        (["-o", "Global.pretrained_model=null"], "Global.pretrained_model: no weights given"),
    ],
    ids=str,
)
def test_wrong_comparison(exported, run_here, tmp_path, options, message):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "folder").mkdir()
    options = [option.format(tmp=tmp_path) for option in options]
    assert_one_line(compare(run_here, exported, exported.model, *options), message)


def test_agreement():
    row = np.array([[0.5, 0.3, 0.2]], np.float32)
    near = row + np.float32(2e-5)
    for tolerance, other, agrees in [(0.0, row, True), (0.0, near, False), (1e-4, near, True), (1e-6, near, False)]:
        agreement = Agreement("engine", tolerance)
        agreement.add(row, row)
        agreement.add(row, other)
        assert agreement.agrees is agrees
        assert agreement.images == 2
    assert not Agreement("engine", 1e-4).agrees  # nothing was compared
    other_shape = Agreement("engine", 1e-4)
    other_shape.add(row, np.zeros((1, 4), np.float32))
    assert not other_shape.agrees
    negative_zero = Agreement("engine", 0.0)
    negative_zero.add(np.zeros((1, 2), np.float32), -np.zeros((1, 2), np.float32))
    assert not negative_zero.agrees  # bit by bit
    for tolerance in (0.0, 1e-4):
        no_number = Agreement("engine", tolerance)
        no_number.add(row * np.float32(np.nan), row * np.float32(np.nan))
        assert not no_number.agrees


def test_ids_may_change_places_only_in_a_tie():
    reference = np.array([0.4, 0.39995, 0.2])
    assert same_top(reference, np.array([0.3999, 0.4, 0.2]), 1e-4)
    assert not same_top(reference, np.array([0.3999, 0.4, 0.2]), 1e-6)
    assert not same_top(reference, np.array([0.2, 0.39995, 0.4]), 1e-4)


def test_names_of_classes():
    check_names({0: "a"}, {0: "a"}, "model")
    check_names({}, {}, "model")
    for found in ({0: "b"}, {}, {0: "a", 1: "b"}):
        with pytest.raises(UserError, match="model: class"):
            check_names({0: "a"}, found, "model")
