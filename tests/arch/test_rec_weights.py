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


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            {"name": "MobileFaceNet", "pretrained": True},
            "Arch.Backbone.pretrained: there are no official weights of Mobi",
        ),
        ({"name": "MobileFaceNet", "pretrained": 7}, "Arch.Backbone.pretrained: expected true, false, a path"),
        ({"name": "ResNet18", "pretrained": True, "use_ssld": 3}, "Arch.Backbone.use_ssld: ResNet18 takes"),
    ],
)
def test_the_place_of_a_backbones_weights_is_named(backbone, message):
    kept = {"BackboneStopLayer": None, "Neck": None} if backbone["name"] == "MobileFaceNet" else {}
    with pytest.raises(UserError, match=f"^{message}"):
        build(Backbone=backbone, **kept)


def test_weights_of_a_whole_recmodel_are_not_those_of_a_backbone(tmp_path):
    path = save(build(), tmp_path / "w.pdparams")
    hint = r"is not in the file; they are of a whole RecModel or detector: set Global.pretrained_model to them$"
    with pytest.raises(UserError, match=hint):
        build(Backbone={**config_of()["Arch"]["Backbone"], "pretrained": path})


def test_weights_of_another_backbone_are_one_line_with_its_name(tmp_path):
    config = config_of(Backbone={"name": "ResNet18"}, Neck={"name": "FC", "class_num": 16})
    config["Global"]["pretrained_model"] = save(build(), tmp_path / "w.pdparams")
    hint = r"; and \d+ more; are they of another network than Arch.Backbone.name ResNet18\?"
    for load in (load_network, network_to_train):
        with pytest.raises(UserError, match=rf"^[^;]*: missing [^;]*; missing [^;]*; missing [^;]*{hint}$"):
            load(config)
