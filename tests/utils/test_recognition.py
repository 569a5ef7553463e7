"""What a recognition's config leaves out is completed, and what is not here is refused."""

import copy

import pytest

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.recognition import check_retrieval, complete_infer, is_recognition, is_retrieval

OPS = [{"DecodeImage": {"to_rgb": True}}, {"ResizeImage": {"size": 32}}]
CONFIG = {
    "Global": {"eval_mode": "retrieval"},
    "Arch": {"name": "RecModel"},
    "DataLoader": {"Eval": {"Query": {"dataset": {"transform_ops": OPS}}, "Gallery": {"dataset": {}}}},
}


def completed(**changes):
    config = copy.deepcopy({**CONFIG, **changes})
    complete_infer(config)
    return config.get("Infer")


def test_the_transforms_are_those_of_the_queries():
    assert completed() == {"transforms": [*OPS, {"ToCHWImage": None}], "PostProcess": {"name": "Embedding"}}
    alone = {"Eval": {"dataset": {"transform_ops": [*OPS, "ToCHWImage"]}}}
    assert completed(DataLoader=alone)["transforms"] == [*OPS, "ToCHWImage"]
    decoded = [{"DecodeImage": {"channel_first": True}}]
    assert completed(DataLoader={"Eval": {"dataset": {"transform_ops": decoded}}})["transforms"] == decoded


def test_what_is_stated_stays():
    stated = {"transforms": [], "PostProcess": {"name": "Topk"}, "batch_size": 3}
    assert completed(Infer=stated) == stated
    assert completed(Infer={"infer_imgs": "x"})["infer_imgs"] == "x"


def test_other_configs_stay_as_they_are():
    assert completed(Arch={"name": "ResNet50"}) is None
    assert completed(DataLoader={}) == {"PostProcess": {"name": "Embedding"}}


def test_a_loaded_config_is_completed(write_config):
    config = load_config(write_config(CONFIG), ["Infer.infer_imgs=a.jpg"])
    assert config["Infer"]["infer_imgs"] == "a.jpg"
    assert config["Infer"]["transforms"][-1] == {"ToCHWImage": None}
    changed = load_config(write_config(CONFIG), ["DataLoader.Eval.Query.dataset.transform_ops.1.ResizeImage.size=48"])
    assert changed["Infer"]["transforms"][1] == {"ResizeImage": {"size": 48}}
    with pytest.raises(UserError, match=r"unknown key 'Querry' in DataLoader.Eval \(did you mean 'Query'\?\)"):
        load_config(write_config(CONFIG), ["DataLoader.Eval.Querry.dataset=null"])


def test_which_task_a_config_is_of():
    assert is_recognition(CONFIG)
    assert is_retrieval(CONFIG)
    assert not is_recognition({"Arch": {"name": "ResNet50"}})
    assert not is_retrieval({"Global": {}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"re_ranking": True}, r"Global\.re_ranking: expected False: "),
        ({"feature_binarize": "round"}, r"Global\.feature_binarize: expected null: .* found 'round'"),
        ({"retrieval_feature_from": "neck"}, "expected features or backbone, found 'neck'"),
    ],
)
def test_retrievals_that_are_not_here_are_refused(settings, message):
    check_retrieval({"Global": settings})  # which is not evaluated by a retrieval
    check_retrieval({"Global": {"eval_mode": "retrieval", **dict.fromkeys(settings)}})
    with pytest.raises(UserError, match=message):
        check_retrieval({"Global": {"eval_mode": "retrieval", **settings}})
