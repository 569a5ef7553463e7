"""PaddleClas's `PostProcess` in its two forms, and its post-processings by threshold."""

import numpy as np
import pytest
import yaml

from ppcls_lite.infer.model.config import NAME, choose_processing
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.postprocess_forms import flatten_overrides, flatten_postprocess
from ppcls_lite.utils.schema import DEPLOY
from tests.helpers.scripts import FIXTURES, ROOT

OFFICIAL = FIXTURES / "paddleclas"
OUR_OWN = ROOT / "deploy/configs/inference_cls.yaml"
NESTED = {"main_indicator": "Topk", "Topk": {"topk": 5}, "SavePreLabel": {"save_dir": "./pre_label/"}}


def flat(section):
    config = {"PostProcess": section}
    flatten_postprocess(config, "x.yaml")
    return config["PostProcess"]


# ---- two forms


@pytest.mark.parametrize(
    ("file", "section"),
    [
        ("inference_cls_2021_06_13", {"name": "Topk", "topk": 5}),
        ("inference_cls_2021_06_18", {"name": "Topk", "topk": 5}),
        ("inference_cls_2022_08_31", {"name": "Topk", "topk": 5}),
        (
            "inference_person_exists",
            {"name": "ThreshOutput", "threshold": 0.5, "label_0": "nobody", "label_1": "someone"},
        ),
        ("inference_cls_multilabel", {"name": "MultiLabelThreshOutput", "threshold": 0.5, "delimiter": " "}),
    ],
)
def test_official_files(file, section):
    post = load_config(OFFICIAL / f"{file}.yaml", schema=DEPLOY)["PostProcess"]
    names = post.pop("class_id_map_file", "")
    assert post == section
    assert names.startswith("../ppcls/utils/") or file == "inference_person_exists"


@pytest.mark.parametrize("section", [None, {}, {"name": "Topk", "topk": 3}, {"topk": None}, 3])
def test_the_flat_form_stays(section):
    assert flat(section) == section


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ({"Topk": {"topk": 2}}, {"name": "Topk", "topk": 2}),  # the only one
        ({"Topk": None}, {"name": "Topk"}),
        ({**NESTED, "topk": 2}, {"name": "Topk", "topk": 5}),
        ({"name": "Topk", "Topk": {"topk": 2}}, {"name": "Topk", "topk": 2}),
    ],
)
def test_the_nested_form_becomes_flat(section, found):
    assert flat(section) == found


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({**NESTED, "main_indicator": "Topkk"}, r"found Topkk \(did you mean 'Topk'\?\)"),
        (
            {**NESTED, "main_indicator": None},
            "x.yaml: PostProcess.main_indicator: expected one of Topk, SavePreLabel, found",
        ),
        ({"main_indicator": "Topk", "Topk": 5}, "x.yaml: PostProcess.Topk: expected a mapping of options, found 5"),
    ],
)
def test_a_nested_form_that_cannot_be_meant(section, message):
    with pytest.raises(UserError, match=message):
        flat(section)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PostProcess.Topk.topk=3", "PostProcess.topk=3"),
        ("PostProcess.Topk.class_id_map_file=a=b.txt", "PostProcess.class_id_map_file=a=b.txt"),
        ("PostProcess.main_indicator=Topk", "PostProcess.name=Topk"),
        ("PostProcess.topk=3", "PostProcess.topk=3"),
        ("Global.batch_size=3", "Global.batch_size=3"),
        ("PostProcess", "PostProcess"),
    ],
)
def test_options_of_the_command_line(text, found):
    assert flatten_overrides([text], {"PostProcess": {"name": "Topk"}}, []) == [found]


@pytest.mark.parametrize("config", [OUR_OWN, OFFICIAL / "inference_cls_2022_08_31.yaml"], ids=["ours", "theirs"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PostProcess.Topk.tpk=3", "did you mean 'topk'"),
        ("PostProcess.Topk.topk=many", "expected a whole number, found 'many'"),
        ("PostProcess.main_indicator=ThreshOutput", "only Topk, the main_indicator of the config, is run"),
        ("PostProcess.Topkk.topk=3", "unknown key 'Topkk' in PostProcess"),
    ],
)
def test_wrong_options_of_the_command_line(config, text, message):
    with pytest.raises(UserError, match=message):
        load_config(config, [text], DEPLOY)


def test_what_is_not_run_cannot_be_demanded():
    text = "PostProcess.SavePreLabel.save_dir=x"
    with pytest.raises(UserError, match=f"-o {text}: only Topk, the main_indicator of the config, is run"):
        load_config(OFFICIAL / "inference_cls_2022_08_31.yaml", [text], DEPLOY)


# ---- beside a model


def in_force(tmp_path, own, stated):
    """The `PostProcess` section in force for a model with its own section, and a prediction config's."""
    for name in ("inference.pdmodel", "inference.pdiparams"):
        (tmp_path / name).touch()
    content = {"PreProcess": {"transform_ops": [{"ToCHWImage": None}]}, "PostProcess": own}
    (tmp_path / NAME).write_text(yaml.safe_dump(content))
    return choose_processing(tmp_path, {"PostProcess": stated})[1]


def test_a_file_of_paddleclas_beside_the_model(tmp_path):
    """As its export_model.py writes it for PaddleX: nested, with the names in it."""
    post = in_force(tmp_path, {"Topk": {"topk": 5, "label_list": ["a", "b"]}}, {"name": "Topk", "topk": None})
    assert post == {"name": "Topk", "topk": 5, "label_list": ["a", "b"]}
    assert build_postprocess(post)(np.array([[0.25, 0.75]], np.float32))[0]["label_names"] == ["b", "a"]


@pytest.mark.parametrize(
    ("own", "stated", "found"),
    [
        ({"name": "ThreshOutput", "threshold": 0.5}, {"name": "Topk"}, {"name": "ThreshOutput", "threshold": 0.5}),
        ({"name": "ThreshOutput", "threshold": 0.5}, {"name": "Topk", "topk": 2}, {"name": "Topk", "topk": 2}),
        ({"name": "Topk", "topk": 2}, {"name": "Topk", "topk": 1}, {"name": "Topk", "topk": 1}),
        ({"name": "Topk", "label_list": ["a"]}, {"class_id_map_file": "x"}, {"name": "Topk", "class_id_map_file": "x"}),
        ({"name": "Topk", "topk": 2}, {"threshold": 0.1}, {"name": "Topk", "topk": 2, "threshold": 0.1}),
    ],
)
def test_which_post_processing_is_in_force(tmp_path, own, stated, found):
    assert in_force(tmp_path, own, stated) == found


def test_another_post_processing_keeps_the_names(tmp_path):
    own = {"name": "Topk", "topk": 2, "class_id_map_file": "label_list.txt"}
    post = in_force(tmp_path, own, {"name": "ThreshOutput", "threshold": 0.1})
    assert post == {"name": "ThreshOutput", "threshold": 0.1, "class_id_map_file": f"{tmp_path}/label_list.txt"}


# ---- by threshold


def results(section, *rows):
    """[(class ids, scores, names)] of probabilities."""
    found = build_postprocess(section)(np.array(rows, np.float32))
    return [(result["class_ids"], result["scores"], result["label_names"]) for result in found]


def test_threshold_of_two_classes():
    section = {"name": "ThreshOutput", "threshold": 0.9, "label_0": "nobody", "label_1": "someone"}
    assert results(section, [0.25, 0.75], [0.0625, 0.9375]) == [([0], [0.25], ["nobody"]), ([1], [0.9375], ["someone"])]
    assert results({"name": "ThreshOutput", "threshold": 0.75}, [0.25, 0.75]) == [([1], [0.75], ["1"])]


def test_threshold_of_more_classes(tmp_path):
    section = {"name": "ThreshOutput", "threshold": 0.5, "default_label_index": 2}
    assert results(section, [0.25, 0.75, 0], [0.5, 0.25, 0.25]) == [([1], [0.75], []), ([2], [0.25], [])]
    (tmp_path / "names.txt").write_text("0,a\n1,b\n2,c\n")
    section.update(class_id_map_file=str(tmp_path / "names.txt"), delimiter=",")
    assert [names for _, _, names in results(section, [0.25, 0.75, 0], [0.5, 0.25, 0.25])] == [["b"], ["c"]]


def test_several_labels_or_none():
    section = {"name": "MultiLabelThreshOutput", "threshold": 0.5, "label_list": ["a", "b", "c"]}
    assert results(section, [0.75, 0.25, 0.5], [0, 0.25, 0]) == [([0, 2], [0.75, 0.5], ["a", "c"]), ([], [], [])]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"threshold": 2}, "PostProcess.threshold: expected a number from 0 to 1, found 2"),
        ({"default_label_index": 3}, "PostProcess.default_label_index: expected a class below 3, found 3"),
        ({"default_label_index": -1}, "PostProcess.default_label_index: expected a whole number of at least 0"),
        ({"label_list": ["a", "b"]}, "label_list: class_id_map_file: expected names of the network's 3 classes"),
        ({"label0": "a"}, r"PostProcess: unknown key 'label0' \(did you mean 'label_0'\?\)"),
    ],
)
def test_wrong_thresholds(section, message):
    with pytest.raises(UserError, match=message):
        results({"name": "ThreshOutput", **section}, [0.25, 0.75, 0])
