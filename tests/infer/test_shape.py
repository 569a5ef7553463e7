"""Which images a model takes, as `auto` asks it: the sides of its structure file, and the rule for open ones."""

import json
import logging
import shutil

import pytest
import yaml

from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.model.config import NAME
from ppcls_lite.infer.model.shape import batch_shape, shape_made_by
from ppcls_lite.infer.model.storage import inputs
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from tests.helpers.scripts import ROOT

OPEN = [-1, 3, -1, -1]


@pytest.fixture
def foreign(exported, tmp_path):
    """`foreign(shape)`: the folder of a model as others export it, without inference.yml, with this input shape."""

    def make(shape=None):
        folder = tmp_path / "foreign"
        folder.mkdir()
        for name in ("inference.pdmodel", "inference.pdiparams"):
            shutil.copy(exported.model / name, folder)
        if shape:
            from paddle.base import core

            program = core.ProgramDesc((folder / "inference.pdmodel").read_bytes())
            program.block(0).find_var(b"x").set_shape(shape)
            (folder / "inference.pdmodel").write_bytes(program.serialize_to_string())
        return folder

    return make


@pytest.fixture
def log(monkeypatch, caplog):
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, "ppcls_lite")
    return caplog


def test_the_structure_file_says_it(foreign, log):
    assert batch_shape(foreign(), 2) == [2, 3, 32, 32]
    assert "224" not in log.text


def test_the_structure_file_goes_before_all_else(foreign):
    folder = foreign([4, 1, 48, -1])
    (folder / NAME).write_text(yaml.safe_dump({"Global": {"image_shape": [3, 64, 96]}}))
    assert batch_shape(folder, 2) == [4, 1, 48, 96]
    assert batch_shape(folder, 2, [3, 20, 30]) == [4, 1, 48, 30]  # what the transforms make goes before inference.yml


def test_open_sides_are_those_of_inference_yml(foreign, log):
    folder = foreign(OPEN)
    (folder / NAME).write_text(yaml.safe_dump({"Global": {"image_shape": [3, 64, 96]}}))
    assert batch_shape(folder, 2) == [2, 3, 64, 96]
    assert "224" not in log.text


def test_without_any_word_about_them_the_log_says_what_is_tried(foreign, log):
    folder = foreign(OPEN)
    assert batch_shape(folder, 2) == [2, 3, 224, 224]
    assert (
        f"takes images of any size ({OPEN}), and no inference.yml or transform says which: tried with 224" in log.text
    )


def test_the_format_json_says_it_too(exported_json, tmp_path):
    assert batch_shape(exported_json, 2) == [2, 3, 32, 32]
    shutil.copytree(exported_json, tmp_path / "model")
    path = tmp_path / "model/inference.json"
    text = json.dumps(json.loads(path.read_text())).replace("[-1, 3, 32, 32]", "[-1, 3, -1, 48]")
    path.write_text(text)
    assert batch_shape(tmp_path / "model", 2, [3, 20, 30]) == [2, 3, 20, 48]


def test_both_formats_name_the_same_input(exported, exported_json):
    first, second = (inputs(path) for path in (exported.model / "inference.pdmodel", exported_json / "inference.json"))
    assert [(one.dtype, one.shape) for one in first] == [(one.dtype, one.shape) for one in second]
    assert first[0].name == "x"


def test_a_model_of_something_else_is_refused(exported_detector, foreign):
    with pytest.raises(UserError, match=r"expected one input \[N, C, H, W\] float32, found .*, .* float32"):
        batch_shape(exported_detector[1], 1)
    with pytest.raises(UserError, match=r"expected one input \[N, C, H, W\] float32, found x \[-1, 10\] float32"):
        create_engine("auto", foreign([-1, 10]))


def test_what_transforms_make():
    still = [{"ResizeImage": {"resize_short": 36}}, {"CropImage": {"size": [30, 20]}}, {"ToCHWImage": None}]
    assert shape_made_by(build_transforms(still)) == [3, 20, 30]
    assert shape_made_by(build_transforms([{"CropImage": {"size": 5000}}])) is None


def test_auto_tries_with_images_of_that_size(foreign, log):
    create_engine("auto", foreign(), EngineOptions(batch_size=2)).close()
    assert "the fastest that agrees at batch size 2 of [3, 32, 32]; " in log.text


def test_auto_tries_with_what_the_transforms_make(foreign, run_here):
    """A foreign model that takes any size, with the preprocessing of the prediction config."""
    ops = (
        "[{ResizeImage: {resize_short: 50}}, {CropImage: {size: [40, 48]}}, {NormalizeImage: {order: ''}}, ToCHWImage]"
    )
    options = [f"inference_model_dir={foreign(OPEN)}", "engine=auto", f"infer_imgs={ROOT}/test_images"]
    words = [word for option in options for word in ("-o", f"Global.{option}")]
    config = ROOT / "deploy/configs/inference_cls.yaml"
    outcome = run_here("deploy/python/predict_cls.py", "-c", config, *words, "-o", f"PreProcess.transform_ops={ops}")
    assert outcome.status == 0, outcome
    assert "at batch size 1 of [3, 48, 40]; " in outcome.err
