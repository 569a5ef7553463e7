"""Weights that are loaded into a RecModel: those with a head of other identities, and those of another backbone."""

import logging

import pytest

from ppcls_lite.arch.from_config import load_network, network_to_train
from ppcls_lite.utils.errors import UserError
from tests.arch.test_rec_model import IMAGES, build, config_of, save


def test_a_head_is_needed_for_an_evaluation_of_classes_only(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("ppcls_lite"), "propagate", True)
    source = build(Head={"name": "ArcMargin", "class_num": 9})
    source.eval()
    config = config_of()
    config["Global"]["pretrained_model"] = save(source, tmp_path / "w.pdparams")
    with pytest.raises(UserError, match=r"w.pdparams: does not fit .*: head.weight is \[16, 9\], expected \[16, 5\]$"):
        load_network(config)
    with pytest.raises(UserError, match=r"head.weight is \[16, 9\]"):  # it would be written as if it had been trained
        load_network({**config, "Global": {**config["Global"], "eval_mode": "retrieval"}}, needs_head=True)
    assert caplog.text == ""
    found = [load_network(config, needs_head=False)]
    config["Global"]["eval_mode"] = "retrieval"
    found += [load_network(config), load_network({**config, "Arch": config_of(Head=None)["Arch"]})]
    for model in found:
        assert (model(IMAGES)["features"] == source(IMAGES)["features"]).all()
    found = "the head is left as initialised: expected {'head.weight': [16, 5]}, found {'head.weight': [16, 9]}"
    assert caplog.text.count(f"w.pdparams: {found}") == 2
    assert "expected none, found {'head.weight': [16, 9]}" in caplog.text
    config["Arch"].update(Neck={"name": "FC", "class_num": 12}, Head=None)
    with pytest.raises(UserError, match=r"neck.fc.weight is \[256, 16\], expected \[256, 12\]"):
        load_network(config)


def test_weights_of_another_backbone_are_one_line_with_its_name(tmp_path):
    config = config_of(Backbone={"name": "ResNet18"}, Neck={"name": "FC", "class_num": 16})
    config["Global"]["pretrained_model"] = save(build(), tmp_path / "w.pdparams")
    hint = r"; and \d+ more; are they of another network than Arch.Backbone.name ResNet18\?"
    for load in (load_network, network_to_train):
        with pytest.raises(UserError, match=rf"^[^;]*: missing [^;]*; missing [^;]*; missing [^;]*{hint}$"):
            load(config)
