"""tools/compare_cpp.py: the program agrees with Python, and every planted fault is seen."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml

from tests.helpers.configs import NETWORK, random_weights, save_arrays
from tests.helpers.scripts import assert_one_line, run_process


def saved(predict, model, images, folder, *options, config="inference_cls"):
    """What the program leaves for the comparison."""
    options = [f"save_inputs={folder}/inputs.npy", f"save_outputs={folder}", *options]
    found = predict(model, images, *options, config=config)
    assert found.status == 0, found.err
    folder.with_name(f"{folder.name}.log").write_text(found.out)
    return folder


@pytest.fixture
def compare(run_here):
    def run(model, images, folder, *more):
        run = ["tools/compare_cpp.py", f"cpu={folder}", "--inference_model_dir", model, "--images", images]
        return run_here(*run, *more)

    return run


@pytest.fixture
def model(exported, tmp_path):
    """A copy of the model for the program; Python has the original."""
    return shutil.copytree(exported.model, tmp_path / "model")


def test_a_classifier_agrees(predict, compare, exported, tiny_data, tmp_path):
    folder = saved(predict, exported.model, tiny_data, tmp_path / "cpu", "batch_size=4")
    outcome = compare(exported.model, tiny_data, folder, "--save", tmp_path / "result.json")
    assert outcome.status == 0, outcome.err
    assert re.search(r"^cpu: largest difference .* agrees; 21 inputs bitwise equal, and all lines$", outcome.out, re.M)
    (result,) = json.loads((tmp_path / "result.json").read_text())
    assert (result["agrees"], result["different"]) == (True, 21)
    assert result["largest"] <= 1e-5
    kept = json.loads((tmp_path / "result_predictions/cpu.json").read_text())
    assert (kept["against"], kept["limit"], len(kept["images"])) == ("strict.json", 1e-5, 21)


def test_a_detector_agrees(predict, compare, exported_detector, det_set, tmp_path):
    folder = saved(predict, exported_detector[1], det_set, tmp_path / "cpu", "batch_size=2", config="inference_det")
    outcome = compare(exported_detector[1], det_set, folder)
    assert outcome.status == 0, outcome.err + outcome.out
    assert "agrees" in outcome.out


def replace_op(model, number, **options):
    path = model / "inference.yml"
    content = yaml.safe_load(path.read_text())
    (name,) = content["PreProcess"]["transform_ops"][number]
    content["PreProcess"]["transform_ops"][number][name].update(options)
    path.write_text(yaml.safe_dump(content))


PREPARED_OTHERWISE = {
    "BGR": (0, {"to_rgb": False}),
    "another mean": (3, {"mean": [0.485, 0.456, 0.407]}),
    "another interpolation": (1, {"interpolation": "area"}),
    "Pillow's resize": (1, {"backend": "pil", "interpolation": "bilinear"}),
    "another size": (1, {"resize_short": 37}),
}


@pytest.mark.parametrize("kind", PREPARED_OTHERWISE)
def test_another_preprocessing_is_seen(predict, compare, exported, model, tiny_data, tmp_path, kind):
    number, options = PREPARED_OTHERWISE[kind]
    replace_op(model, number, **options)
    folder = saved(predict, model, tiny_data, tmp_path / "cpu")
    assert_one_line(compare(exported.model, tiny_data, folder), "train_0.png: its input differs from Python's first at")


def test_other_weights_are_seen(predict, compare, exported, model, tiny_data, tmp_path):
    weights = save_arrays(random_weights(NETWORK, seed=4), tmp_path / "other.pdparams")
    options = ["-o", f"Global.pretrained_model={weights}", "-o", f"Global.save_inference_dir={tmp_path}/other"]
    assert run_process("tools/export_model.py", "-c", exported.config, *options).status == 0
    folder = saved(predict, tmp_path / "other", tiny_data, tmp_path / "cpu")
    assert_one_line(
        compare(exported.model, tiny_data, folder), "train_0.png: class ", " in Python: at most 1e-05 allowed"
    )


def test_another_order_is_seen(predict, compare, exported, tiny_data, tmp_path):
    names = sorted(path.name for path in tiny_data.glob("*.png"))
    images, others = tiny_data / "a_list.txt", tiny_data / "b_list.txt"
    images.write_text("\n".join(names))
    others.write_text("\n".join([names[1], names[0], *names[2:]]))
    folder = saved(predict, exported.model, others, tmp_path / "cpu")
    assert_one_line(compare(exported.model, images, folder), f"{names[0]}: its input differs")


def test_a_missing_image_is_seen(predict, compare, exported, tiny_data, tmp_path):
    folder = saved(predict, exported.model, tiny_data / "val_list.txt", tmp_path / "cpu")
    assert_one_line(compare(exported.model, tiny_data, folder), "expected float32 of 21 images, found 7")


def test_another_line_is_seen(predict, compare, exported, tiny_data, tmp_path):
    folder = saved(predict, exported.model, tiny_data, tmp_path / "cpu")
    log = tmp_path / "cpu.log"
    text = log.read_text()
    log.write_text(text.replace("score(s): [0.", "score(s): [1.", 1))
    assert_one_line(compare(exported.model, tiny_data, folder), "cpu: line 1 is ", " in Python")
    log.write_text(text + text.splitlines()[0] + "\n")
    assert_one_line(compare(exported.model, tiny_data, folder), "22 predictions are printed, and Python prints 21")


def test_a_small_difference_is_seen(predict, compare, exported, tiny_data, tmp_path):
    folder = saved(predict, exported.model, tiny_data, tmp_path / "cpu")
    scores = np.load(folder / "output_0.npy")
    scores[5, 1] += 2e-5
    np.save(folder / "output_0.npy", scores)
    assert_one_line(compare(exported.model, tiny_data, folder), "train_13.png: class 1 scores")


def test_constant_answers_do_not_pass(predict, compare, exported, tiny_data, tmp_path):
    arrays = {
        name: np.zeros_like(array) if name.startswith("fc") else array for name, array in random_weights().items()
    }
    weights = save_arrays(arrays, tmp_path / "constant.pdparams")
    options = ["-o", f"Global.pretrained_model={weights}", "-o", f"Global.save_inference_dir={tmp_path}/constant"]
    assert run_process("tools/export_model.py", "-c", exported.config, *options).status == 0
    folder = saved(predict, tmp_path / "constant", tiny_data, tmp_path / "cpu")
    outcome = compare(tmp_path / "constant", tiny_data, folder)
    assert_one_line(outcome, "the program does not predict what Python predicts")
    assert "the answers do not depend on the image" in outcome.out


def test_one_image_does_not_pass(predict, compare, exported, tiny_data, tmp_path):
    folder = saved(predict, exported.model, tiny_data / "val_0.png", tmp_path / "cpu")
    outcome = compare(exported.model, tiny_data / "val_0.png", folder)
    assert_one_line(outcome, "expected two or more different images, found one")


@pytest.mark.parametrize("name", ["inputs.npy", "output_0.npy"])
def test_missing_and_damaged_arrays(predict, compare, exported, tiny_data, tmp_path, name):
    folder = saved(predict, exported.model, tiny_data, tmp_path / "cpu")
    (folder / name).write_bytes(b"\x93NUMPY broken")
    assert_one_line(compare(exported.model, tiny_data, folder), f"{name}: expected an array")
    (folder / name).unlink()
    assert_one_line(compare(exported.model, tiny_data, folder), f"{name}: expected an array")
