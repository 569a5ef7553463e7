"""What was exported, and how it is used, must be what the training config says: every difference is named."""

import shutil

import pytest
import yaml

from ppcls_lite.utils.config import parse_args, parse_words
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import ROOT, assert_one_line, results_of

PREDICTION = ROOT / "deploy/configs/inference_cls.yaml"
DETECTION = ROOT / "deploy/configs/inference_det.yaml"


def compare(run_here, config, folder, *options):
    return run_here("tools/compare_engines.py", "-c", config, "--inference_model_dir", folder, *options)


def edited(folder, target, change):
    """A copy of the exported model in `folder` whose inference.yml went through `change`."""
    shutil.copytree(folder, target)
    path = target / "inference.yml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return target


def setter(*keys, value):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


OPS = ("PreProcess", "transform_ops")
FAULTS = {
    "its form": (setter("Global", value=[1, 2]), "Global: expected a mapping, found [1, 2]"),
    "the network": (
        setter("Global", "model_name", value="ResNet50"),
        "Global.model_name is 'ResNet50', and Arch.name of the training config is 'MobileNetV3_small_x0_35'",
    ),
    "the shape": (
        setter("Global", "image_shape", value=[3, 36, 32]),
        "Global.image_shape is [3, 36, 32], and Global.image_shape of the training config is [3, 32, 32]",
    ),
    "the channels' order": (
        setter(*OPS, 0, "DecodeImage", "to_rgb", value=False),
        "PreProcess.transform_ops[0].DecodeImage.to_rgb is False, and Infer.transforms[0].DecodeImage.to_rgb of the "
        "training config is True",
    ),
    "a size": (
        setter(*OPS, 1, "ResizeImage", "resize_short", value=35),
        "PreProcess.transform_ops[1].ResizeImage.resize_short is 35, and",
    ),
    "a mean": (
        setter(*OPS, 3, "NormalizeImage", "mean", value=[0.486, 0.456, 0.406]),
        "PreProcess.transform_ops[3].NormalizeImage.mean is [0.486, 0.456, 0.406], and",
    ),
    "the scale": (
        setter(*OPS, 3, "NormalizeImage", "scale", value="1.0/256.0"),
        "PreProcess.transform_ops[3].NormalizeImage.scale is '1.0/256.0', and",
    ),
    "an option that was added": (
        setter(*OPS, 1, "ResizeImage", "interpolation", value="nearest"),
        "PreProcess.transform_ops[1].ResizeImage.interpolation is 'nearest', and",
    ),
    "another transform": (
        setter(*OPS, 2, value={"ResizeImage": {"size": 32}}),
        "PreProcess.transform_ops[2] is 'ResizeImage', and Infer.transforms[2] of the training config is 'CropImage'",
    ),
    "a transform less": (
        lambda content: content["PreProcess"]["transform_ops"].pop(),
        "PreProcess.transform_ops is 'DecodeImage, ResizeImage, CropImage, NormalizeImage', and",
    ),
    "topk": (setter("PostProcess", "topk", value=2), "PostProcess.topk is 2, and Infer.PostProcess.topk of the"),
    "no names": (setter("PostProcess", "class_id_map_file", value=None), "class 0 is None there and 'red' in the"),
    "a transform that does not exist": (setter(*OPS, 2, value={"Crop": None}), "unknown transform 'Crop'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_edited_inference_yml_is_refused(exported, run_here, tmp_path, fault):
    change, message = FAULTS[fault]
    folder = edited(exported.model, tmp_path / "model", change)
    outcome = compare(run_here, exported.config, folder)
    place = [] if "does not exist" in fault else [f"error: {folder / 'inference.yml'}: "]
    assert_one_line(outcome, *place, message)
    assert "agrees" not in outcome.out


def test_a_threshold_that_hides_all_boxes_is_refused(exported_detector, run_here, tmp_path):
    config, model = exported_detector
    assert compare(run_here, config, model, "--inference_config", DETECTION).status == 0
    folder = edited(model, tmp_path / "model", setter("PostProcess", "threshold", value=0.99))
    outcome = compare(run_here, config, folder, "--inference_config", DETECTION)
    assert_one_line(outcome, f"{folder}/inference.yml: PostProcess.threshold is 0.99, and", "training config is 0.2")


def test_harmless_spellings_are_not_a_difference(exported, run_here, tmp_path):
    def change(content):
        ops = content["PreProcess"]["transform_ops"]
        ops[0] = "DecodeImage"
        ops[1]["ResizeImage"].update(size=None, interpolation=None)
        ops[3]["NormalizeImage"]["scale"] = 1 / 255
        ops[4] = {"ToCHWImage": {}}
        content["PostProcess"].pop("topk")

    folder = edited(exported.model, tmp_path / "model", change)
    outcome = compare(run_here, exported.config, folder)
    assert outcome.status == 0, outcome
    edited(exported.model, tmp_path / "b", lambda content: content["PreProcess"]["transform_ops"].pop(0))
    assert compare(run_here, exported.config, tmp_path / "b").status == 0


def test_a_model_of_other_tools_is_compared_when_the_prediction_config_states_all(exported, run_here, tmp_path):
    folder = shutil.copytree(exported.model, tmp_path / "model")
    own = yaml.safe_load((folder / "inference.yml").read_text())
    (folder / "inference.yml").unlink()
    assert_one_line(compare(run_here, exported.config, folder), "inference.yml: missing, and the prediction config has")
    prediction = yaml.safe_load(PREDICTION.read_text())
    prediction.update(PreProcess=own["PreProcess"], PostProcess=own["PostProcess"])
    prediction["PostProcess"]["class_id_map_file"] = str(folder / "label_list.txt")
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump(prediction))
    outcome = compare(run_here, exported.config, folder, "--inference_config", path)
    assert outcome.status == 0, outcome


# ---- the words of the inference command


@pytest.fixture
def place(tmp_path):
    """A folder for an inference command, with its config."""
    folder = tmp_path / "deploy"
    folder.mkdir()
    shutil.copy(PREDICTION, folder / "inference_cls.yaml")
    return folder


@pytest.mark.parametrize("spelling", [["-c", "{}"], ["--config", "{}"], ["--config={}"], ["-c{}"], ["--conf", "{}"]])
def test_the_config_is_found_as_the_command_finds_it(exported, run_here, place, spelling):
    words = [word.format("inference_cls.yaml") for word in spelling]
    options = ["--inference_folder", place, "--inference_command", *words]
    outcome = compare(run_here, exported.config, exported.model, *options)
    assert outcome.status == 0, outcome
    own = yaml.safe_load((exported.model / "inference.yml").read_text())
    own["PreProcess"]["transform_ops"][1]["ResizeImage"]["resize_short"] = 40
    content = yaml.safe_load(PREDICTION.read_text())
    content["PreProcess"] = own["PreProcess"]
    (place / "inference_cls.yaml").write_text(yaml.safe_dump(content))
    outcome = compare(run_here, exported.config, exported.model, *options)
    assert_one_line(outcome, f"{place}/inference_cls.yaml: PreProcess.transform_ops[1].ResizeImage.resize_short is 40")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("PreProcess.transform_ops=[{ResizeImage: {size: 32}}, {ToCHWImage: }]", "PreProcess.transform_ops[0].Resize"),
        ("PostProcess.topk=1", "PostProcess.topk is 1, and Infer.PostProcess.topk of the training config is 5"),
        ("PostProcess.class_id_map_file=names.txt", "class 0 is 'one' there and 'red' in the training config's"),
        ("PostProcess.class_id_map_file=none.txt", "deploy/none.txt: class_id_map_file cannot be read"),
        ("PostProcess.name=DetectionBoxes", "its predictions need Topk, but the prediction config has DetectionBoxes"),
        ("PostProcess.tpk=1", "unknown key 'tpk' in PostProcess (did you mean 'topk'?)"),
        ("Global.cpu_num_threads=0", "Global.cpu_num_threads: expected a whole number"),
    ],
)
def test_the_options_of_the_inference_command_count(exported, run_here, place, change, message):
    (place / "names.txt").write_text("0 one\n1 two\n2 three\n")
    words = ["-o", "Global.batch_size=2", "-c", "inference_cls.yaml", "-o", change]
    options = ["--inference_folder", place, "--inference_command", *words]
    assert_one_line(compare(run_here, exported.config, exported.model, *options), message)


def test_the_engine_of_the_inference_command_is_compared(exported, run_here, place):
    words = ["-c", "inference_cls.yaml", "-o"]
    options = ["--inference_folder", place, "--inference_command", *words]
    outcome = compare(run_here, exported.config, exported.model, *options, "Global.engine=training_export")
    assert outcome.status == 0, outcome
    lines = [line.partition(":")[0] for line in results_of(outcome)[-3:]]
    assert lines == ["strict", "usual_onednn", "training_export"]
    auto = compare(run_here, exported.config, exported.model, *options, "Global.engine=auto")
    assert [line.partition(":")[0] for line in results_of(auto)[-2:]] == ["strict", "usual_onednn"]
    unknown = compare(run_here, exported.config, exported.model, *options, "Global.engine=onedn")
    assert_one_line(unknown, "Global.engine: unknown engine 'onedn' (did you mean 'onednn'?)")


def test_the_names_may_be_those_of_the_command(exported, run_here, place):
    shutil.copy(exported.model / "label_list.txt", place / "names.txt")
    words = ["-c", "inference_cls.yaml", "-o", "PostProcess.class_id_map_file=names.txt"]
    options = ["--inference_folder", place, "--inference_command", *words]
    outcome = compare(run_here, exported.config, exported.model, *options)
    assert outcome.status == 0, outcome


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--inference_command"], "--inference_command: the following arguments are required: -c/--config"),
        (["--inference_command", "-c"], "--inference_command: argument -c/--config: expected one argument"),
        (["--inference_command", "-c", PREDICTION, "more"], "--inference_command: unrecognized arguments: more"),
        (["--inference_command", "--help"], "--inference_command: the following arguments are required"),
        (["--inference_command", "-c", "none.yaml"], "none.yaml: no such config file"),
        (["--inference_folder", "none", "--inference_command", "-c", "a"], "--inference_folder: expected a folder"),
        (["--inference_folder", "deploy"], "--inference_folder: expected together with --inference_command"),
        (
            ["--inference_config", PREDICTION, "--inference_command", "-c", PREDICTION],
            "expected one of them, found both",
        ),
    ],
    ids=str,
)
def test_a_wrong_command_is_one_line(exported, run_here, options, message):
    assert_one_line(compare(run_here, exported.config, exported.model, *options), message)


def test_words_are_read_by_the_parser_of_the_scripts():
    words = ["-o", "a=1", "--config", "x.yaml", "--override", "b=2"]
    assert vars(parse_words(words, "here")) == vars(parse_args("", words))
    with pytest.raises(UserError, match=r"^here: unrecognized arguments: -h$"):
        parse_words(["-c", "x", "-h"], "here")
