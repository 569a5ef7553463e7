"""Configs: reading, overriding, and one clear line for each way to get them wrong; numbers without `eval`."""

import pytest

from ppcls_lite.utils.arithmetic import number
from ppcls_lite.utils.config import load_config, parse_value, read_yaml, require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import find_file
from ppcls_lite.utils.schema import DEPLOY
from tests.helpers.scripts import ROOT

OFFICIAL = "ppcls/configs/ImageNet/MobileNetV3/MobileNetV3_small_x1_0.yaml"  # as PaddleClas's documents name it
SERVING = ROOT / "deploy/configs/inference_cls.yaml"


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def overridden(text, schema_path=OFFICIAL, **schema):
    """The config's value at the key of the override `text`."""
    key = text.partition("=")[0].split(".")
    node = load_config(schema_path, [text], **schema)
    for part in key:
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


# ---- what a config says


def test_official_path_is_found_here():
    config = load_config(OFFICIAL)
    assert config["Arch"] == {"name": "MobileNetV3_small_x1_0", "class_num": 1000}
    assert config["Optimizer"]["lr"] == {"name": "Cosine", "learning_rate": 1.3, "warmup_epoch": 5.0}
    labels = find_file("ppcls/utils/imagenet1k_label_list.txt")
    assert labels.is_file()
    assert str(find_file("ppcls/no/such/file")) == "ppcls/no/such/file"


def test_official_path_is_found_from_another_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_file(OFFICIAL) == ROOT / OFFICIAL.replace("ppcls/", "ppcls_lite/")
    twin = tmp_path / "ppcls/utils"  # the user's own file comes first
    twin.mkdir(parents=True)
    (twin / "imagenet1k_label_list.txt").write_text("0 mine\n")
    assert find_file("ppcls/utils/imagenet1k_label_list.txt").read_text() == "0 mine\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Global.epochs=2", 2),
        ("Global.device=gpu:1", "gpu:1"),
        ("Global.eval_during_train=false", False),
        ("Global.eval_during_train=TRUE", True),
        ("Global.output_dir=out put/a=b: c", "out put/a=b: c"),
        ("Global.output_dir=2022", "2022"),
        ("Global.pretrained_model=null", None),
        ("Global.pretrained_model=None", None),
        ("Global.pretrained_model=", None),
        ("Global.image_shape=[3, 64, 64]", [3, 64, 64]),
        ("Global.seed=7", 7),
        ("Optimizer.lr.learning_rate=1e-3", 0.001),
        ("Optimizer.lr.learning_rate=1", 1.0),
        ("Optimizer.regularizer.coeff=.5E-4", 5e-5),
        ("Arch.pretrained=True", True),
        ("Arch.pretrained=weights/best model", "weights/best model"),
        ("DataLoader.Train.sampler.batch_size=4", 4),
        ("DataLoader.Train.dataset.transform_ops.1.RandCropImage.size=64", 64),
        ("DataLoader.Train.dataset.transform_ops.3.NormalizeImage.scale=1.0/255.0", "1.0/255.0"),
        ("Infer.transforms.2.CropImage.size=[32, 48]", [32, 48]),
        ("Loss.Train.0.CELoss.epsilon=0", 0),
        ("Infer.PostProcess.class_id_map_file=my labels.txt", "my labels.txt"),
        ("Metric.Train.0.TopkAcc.topk=[1, 2]", [1, 2]),
    ],
)
def test_override(text, value):
    found = overridden(text)
    assert found == value
    assert type(found) is type(value)


def test_the_last_override_wins_and_others_stay():
    config = load_config(OFFICIAL, ["Global.epochs=2", "Global.epochs=3"])
    assert config["Global"]["epochs"] == 3
    assert config["Global"]["save_interval"] == 1


def test_override_makes_a_section_that_is_absent_or_null():
    assert load_config(OFFICIAL, ["AMP.use_amp=True"])["AMP"] == {"use_amp": True}
    config = load_config(SERVING, ["PreProcess.transform_ops=[{ResizeImage: {size: 8}}]"], DEPLOY)
    assert config["PreProcess"]["transform_ops"] == [{"ResizeImage": {"size": 8}}]


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("a: b: c", "a: b: c"), ("2024-13-45", "2024-13-45")])
def test_parse_value_never_raises(text, value):
    assert parse_value(text) == value


# ---- overrides that cannot be meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Global.epoch=2", "unknown key 'epoch' in Global .did you mean 'epochs'"),
        ("Globl.epochs=2", "unknown key 'Globl' in .*did you mean 'Global'"),
        ("Optimizer.lr.lerning_rate=1", "did you mean 'learning_rate'"),
        ("DataLoader.Train.sampler.batchsize=1", "did you mean 'batch_size'"),
        ("Global.eval_during_train=Fasle", "expected True or False, found 'Fasle' .did you mean 'False'"),
        ("Arch.pretrained=Ture", "expected True or False or a text, found 'Ture' .did you mean 'True'"),
        ("Global.epochs=two", "expected a whole number, found 'two'"),
        ("Global.epochs=2.5", "expected a whole number, found 2.5"),
        ("Global.epochs=True", "expected a whole number, found True"),
        ("Global.image_shape=3", "expected a list, found 3"),
        ("Optimizer.lr.learning_rate=fast", "expected a number, found 'fast'"),
        ("Global.epochs", "expected KEY=VALUE"),
        ("=2", "expected KEY=VALUE"),
        ("Loss.Train.1.CELoss.epsilon=0", "expected a list index from 0 to 0, found '1'"),
        ("Loss.Train.CELoss.epsilon=0", "expected a list index from 0 to 0, found 'CELoss'"),
        ("Loss.Train.-1=0", "expected a list index from 0 to 0, found '-1'"),
        ("Loss.Train.²=0", "expected a list index from 0 to 0, found '²'"),
        ("Global.epochs.more=2", "'Global.epochs' is the value 360, which has no key 'more'"),
    ],
)
def test_wrong_override(text, message):
    with pytest.raises(UserError, match=message) as raised:
        load_config(OFFICIAL, [text])
    assert "\n" not in str(raised.value)


def test_wrong_override_of_a_prediction_config():
    with pytest.raises(UserError, match="expected True or False, found 'Fasle'"):
        load_config(SERVING, ["Global.use_gpu=Fasle"], DEPLOY)
    with pytest.raises(UserError, match="did you mean 'use_gpu'"):
        load_config(SERVING, ["Global.use_gpus=True"], DEPLOY)


# ---- files that cannot be meant


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected sections such as Global, found an empty file"),
        (b"# nothing\n", "found an empty file"),
        (b"- 1\n- 2\n", "expected sections such as Global, found list"),
        (b"Global:\n  epochs: 1\n  epochs: 2\n", r":3: not valid YAML: key 'epochs' occurs twice"),
        (b"Global:\n  epochs: [1, 2\nArch:\n", r":3: not valid YAML"),
        (b"Global:\n\tepochs: 1\n", r":2: not valid YAML"),
        (b"Global:\n  epochs: 1\n  name: caf\xe9\n", r":3: not UTF-8 text \(byte 0xe9\)"),
        (b"Global: {epochs: 1}\x00", "not valid YAML"),
        (b"Global:\n  output_dir: 2024-13-45\n", "not valid YAML: month must be"),
        (b"Global: " + b"[" * 5000, "not valid YAML"),
        (b"Global:\n  output_dir: !!python/object/apply:os.system [true]\n", r":2: not valid YAML"),
        (b"Globl:\n  epochs: 1\n", "unknown section 'Globl' .did you mean 'Global'"),
        (b"Global: 3\n", "Global: expected a mapping, found 3"),
        (b"Global:\n", "'Global' is missing"),
        (b"Global: {}\n", "'Arch' is missing"),
        (b"Arch:\n  name: x\n", "'Global' is missing"),
        (b"Global:\n  epochs: many\n", "Global.epochs: expected a whole number, found 'many'"),
        (b"Global:\n  eval_during_train: Fasle\n", "expected True or False, found 'Fasle' .did you mean 'False'"),
        (b"Global: {}\nArch:\n  pretrained: Ture\n", "found 'Ture' .did you mean 'True'"),
    ],
)
def test_wrong_file(tmp_path, content, message):
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        load_config(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such config file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="expected a YAML file, found a folder"):
        load_config(tmp_path)


def test_forgiven(tmp_path):
    path = tmp_path / "windows.yaml"
    lines = ["Global:", "  epochs: 3", "Arch: {name: x}", "Optimizer:", "  lr:", "    learning_rate: 1e-3", ""]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    config = load_config(path)
    assert config == {"Global": {"epochs": 3}, "Arch": {"name": "x"}, "Optimizer": {"lr": {"learning_rate": 0.001}}}
    assert read_yaml(path)["Optimizer"]["lr"]["learning_rate"] == "1e-3"  # what YAML 1.1 makes of it


def test_require():
    assert require({"A": {"b": 0}}, "A.b") == 0
    with pytest.raises(UserError, match=r"c\.yaml: 'A\.c' is missing"):
        require({"A": {"b": 0}}, "A.c", "c.yaml")


# ---- numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.0/255.0", 1 / 255), (" 2 ", 2), ("-(1 + 2) * 3 - 4", -13), ("1e-3", 0.001), (7, 7), (0.5, 0.5), ("0x10", 16)],
)
def test_number(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    "hostile",
    [
        "__import__('os').system('true')",
        "().__class__",
        "9**9**9",
        "1 << 999",
        "1 if 1 else 2",
        "lambda: 1",
        "[1][0]",
        "'a' * 9",
        "x",
        "True",
        "1j",
        "",
        "1/0",
        "1e999",
        "1e308 * 10",
        "1e308 * 10 - 1e308 * 10",
        "1" * 101,
        "(" * 99,
        "-" * 99,
        "1 2",
        "1\x00",
        "1; 2",
        "٣²",
        True,
        None,
        [1],
        float("nan"),
        float("inf"),
    ],
)
def test_no_number(hostile):
    with pytest.raises(UserError, match="Scale: expected a number or a sum such as") as raised:
        number(hostile, "Scale")
    assert "\n" not in str(raised.value)


def test_huge_whole_number_is_not_a_float():
    with pytest.raises(UserError, match="expected a number"):
        number(10**400)


# ---- sections replaced and keys taken out


def test_a_section_is_replaced():
    text = "Optimizer={name: AdamW, weight_decay: 0.05, lr: {name: Cosine, learning_rate: 1e-3, warmup_epoch: 2}}"
    assert load_config(OFFICIAL, [text])["Optimizer"] == {
        "name": "AdamW",
        "weight_decay": 0.05,
        "lr": {"name": "Cosine", "learning_rate": 0.001, "warmup_epoch": 2.0},
    }


def test_later_overrides_change_what_earlier_ones_set():
    changes = ["Optimizer.lr={learning_rate: 1}", "Optimizer.lr.learning_rate=2", "Arch={name: X}"]
    config = load_config(OFFICIAL, changes)
    assert config["Optimizer"]["lr"] == {"learning_rate": 2.0}
    assert config["Arch"] == {"name": "X"}


@pytest.mark.parametrize("text", ["~Optimizer.regularizer", "Optimizer.regularizer=null"])
def test_a_section_is_taken_out(text):
    assert "regularizer" not in load_config(OFFICIAL, [text])["Optimizer"]


def test_a_key_and_an_entry_of_a_list_are_taken_out():
    ops = "DataLoader.Train.dataset.transform_ops"
    before = load_config(OFFICIAL)["DataLoader"]["Train"]["dataset"]["transform_ops"]
    config = load_config(OFFICIAL, ["~Optimizer.momentum", f"~{ops}.2", f"~{ops}.1"])
    assert "momentum" not in config["Optimizer"]
    assert config["DataLoader"]["Train"]["dataset"]["transform_ops"] == [before[0], *before[3:]]


def test_options_of_a_network_can_be_set():
    assert load_config(OFFICIAL, ["Arch.scale=2"])["Arch"]["scale"] == 2
    assert load_config(OFFICIAL, ["Arch={name: X, scale: 2}"])["Arch"] == {"name": "X", "scale": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~Optimizer.momentun", "-o ~Optimizer.momentun: unknown key 'momentun' in Optimizer .did you mean 'momentum'"),
        ("~Optimizer.clip_norm", "-o ~Optimizer.clip_norm: there is no 'clip_norm' in Optimizer; there is: name, "),
        ("~Optimizer.momentum=0.9", "-o ~Optimizer.momentum=: expected ~KEY without a value"),
        ("~", "-o ~: expected ~KEY without a value"),
        ("~EMA", "-o ~EMA: there is no 'EMA' in .*MobileNetV3_small_x1_0.yaml"),
        ("~Optimizer.momentum.x", "'Optimizer.momentum' is the value 0.9, which has no key 'x'"),
        ("~DataLoader.Train.dataset.transform_ops.9", "expected a list index from 0 to 3, found '9'"),
        ("Optimizer={name: AdamW", "-o Optimizer: not valid YAML: .*: '{name: AdamW'"),
        ("Optimizer={name: A, name: B}", "-o Optimizer: not valid YAML: key 'name' occurs twice"),
        ("Optimizer={nmae: A}", "-o Optimizer: unknown key 'nmae' in Optimizer .did you mean 'name'"),
        ("Optimizer={lr: {learning_rat: 1}}", "unknown key 'learning_rat' in Optimizer.lr .did you mean"),
        ("Optimizer={lr: {learning_rate: fast}}", "Optimizer.lr.learning_rate: expected a number, found 'fast'"),
        ("Optimizer=AdamW", "-o Optimizer: expected a mapping or a list, found 'AdamW'"),
        ("Arch.nmae=X", "-o Arch.nmae: unknown key 'nmae' in Arch .did you mean 'name'"),
    ],
)
def test_wrong_sections_and_removals(text, message):
    with pytest.raises(UserError, match=message) as raised:
        load_config(OFFICIAL, [text])
    assert "\n" not in str(raised.value)
