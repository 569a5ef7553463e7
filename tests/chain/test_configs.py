"""The shipped configs: what PaddleClas's recipes say, everything in them can be built, and each network has a chain."""

import copy
import re

import paddle
import pytest

from ppcls_lite.arch import build_model
from ppcls_lite.arch.registry import canonical_name
from ppcls_lite.data.batch_ops import build_batch_op
from ppcls_lite.data.image_lists import read_list
from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.train.losses import WeightedLosses
from ppcls_lite.train.metrics import build_metric
from ppcls_lite.train.optimizer import build_optimizer, build_schedule
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import find_file
from tests.helpers.configs import random_weights, read_in_every_mode, save_arrays
from tests.helpers.scripts import ROOT, assert_one_line, run_process

CONFIGS = ROOT / "ppcls_lite/configs"
EVERY = sorted(path.relative_to(CONFIGS / "ImageNet").as_posix()[:-5] for path in CONFIGS.glob("ImageNet/*/*.yaml"))
RECIPES = [name for name in EVERY if "istill" not in name and "_ssld_" not in name]  # the rest: test_distillation.py
LITE = [path.stem for path in sorted(CONFIGS.glob("*.yaml"))]
CHAINS = ROOT / "test_tipc/configs"
STEPS = [0.1, 0.01, 0.001, 0.0001]
HGNET = ["RandCropImage", "RandFlipImage", "TimmAutoAugment", "RandomErasing"]
PLAIN = ["RandCropImage", "RandFlipImage"]
V1 = (120, "Piecewise", 0.1, 0, 64, 3e-5, 0, PLAIN, 256)
# PaddleClas, ppcls/configs/ImageNet/: epochs, schedule, rate, warm-up epochs, batch of one card, L2, label smoothing,
# augmentation, shorter side for evaluation
OFFICIAL = {
    "MobileNetV1/MobileNetV1": V1,
    "MobileNetV1/MobileNetV1_x1_0": V1,
    "MobileNetV3/MobileNetV3_large_x1_0": (360, "Cosine", 0.65, 5, 256, 2e-5, 0.1, [*PLAIN, "AutoAugment"], 256),
    "MobileNetV3/MobileNetV3_small_x1_0": (360, "Cosine", 1.3, 5, 512, 2e-5, 0.1, PLAIN, 256),
    "ShuffleNet/ShuffleNetV2_x1_0": (240, "Cosine", 0.5, 5, 256, 4e-5, 0, PLAIN, 256),
    "MixNet/MixNet_S": (120, "Piecewise", 0.1, 0, 64, 1e-4, 0, PLAIN, 256),
    "MixNet/MixNet_M": (120, "Piecewise", 0.1, 0, 64, 1e-4, 0, PLAIN, 256),
    "MixNet/MixNet_L": (120, "Piecewise", 0.1, 0, 64, 1e-4, 0, PLAIN, 256),
    "ResNet/ResNet50": (120, "Piecewise", 0.1, 0, 64, 1e-4, 0, PLAIN, 256),
    "ResNet/ResNet50_vd": (200, "Cosine", 0.1, 0, 64, 7e-5, 0.1, [*PLAIN, "MixupOperator"], 256),
    **{f"PPHGNetV2/PPHGNetV2_B{n}": (200, "Cosine", 0.5, 5, 128, 2e-5, 0.1, HGNET, 232) for n in range(7)},
}
NETWORKS = sorted({canonical_name(recipe.split("/")[1]) for recipe in OFFICIAL})
MIXED = [*HGNET, "OpSampler"]
# further networks and widths, which the documents do not ask for
OFFICIAL |= {
    **{f"MobileNetV1/MobileNetV1_{width}": V1 for width in ("x0_25", "x0_5", "x0_75")},
    **{
        f"MobileNetV3/MobileNetV3_{size}_{width}": (360, "Cosine", 1.3, 5, 512, decay, 0.1, PLAIN, 256)
        for size, decays in (("small", (1e-5, 1e-5, 2e-5, 2e-5)), ("large", (2e-5, 2e-5, 2e-5, 4e-5)))
        for width, decay in zip(("x0_35", "x0_5", "x0_75", "x1_25"), decays)
    },
    **{
        f"ShuffleNet/ShuffleNetV2_{width}": (240, "Cosine", 0.5, 5, 256, decay, 0, PLAIN, 256)
        for width, decay in (("x0_25", 3e-5), ("x0_33", 3e-5), ("x0_5", 3e-5), ("swish", 4e-5))
    },
    **{f"ShuffleNet/ShuffleNetV2_{w}": (240, "Cosine", 0.25, 5, 128, 4e-5, 0, PLAIN, 256) for w in ("x1_5", "x2_0")},
    "PPHGNet/PPHGNet_tiny": (600, "Cosine", 0.5, 5, 128, 4e-5, 0.1, MIXED, 232),
    **{f"PPHGNet/PPHGNet_{size}": (600, "Cosine", 0.5, 5, 128, 4e-5, 0.1, MIXED, 236) for size in ("small", "base")},
}
CHAINED = sorted({canonical_name(recipe.split("/")[1]) for recipe in OFFICIAL} - {"PPHGNet_base"})
FIXED = ("DecodeImage", "NormalizeImage")  # no augmentation


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def option(entries, name):
    """The options of the entry `name` in a config's list of one-key mappings."""
    return next(entry[name] for entry in entries if name in entry)


def build_everything(config):
    """Build whatever a training, an evaluation and a prediction build, but for the data and the network."""
    train, evaluation = (config["DataLoader"][part]["dataset"] for part in ("Train", "Eval"))
    build_transforms(train["transform_ops"], "DataLoader.Train")
    build_batch_op(train.get("batch_transform_ops"), "DataLoader.Train", class_num=config["Arch"]["class_num"])
    build_transforms(evaluation["transform_ops"], "DataLoader.Eval")
    build_transforms(config["Infer"]["transforms"], "Infer.transforms")
    for part in ("Train", "Eval"):
        WeightedLosses(config["Loss"][part], f"Loss.{part}")
        build_metric(config["Metric"][part], f"Metric.{part}")
    build_optimizer(config["Optimizer"], paddle.nn.Linear(2, 2).parameters())
    rate = build_schedule(config["Optimizer"]["lr"], config["Global"]["epochs"], steps_per_epoch=10)
    assert rate(10 * config["Global"]["epochs"] - 1) < config["Optimizer"]["lr"]["learning_rate"]


# ---- recipes


def test_there_is_a_recipe_for_every_network_of_the_documents():
    assert sorted(OFFICIAL) == RECIPES
    assert len(NETWORKS) == 16


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_says_what_the_official_one_says(recipe):
    config = load_config(f"ppcls/configs/ImageNet/{recipe}.yaml")  # as official documents name it
    epochs, schedule, rate, warmup, batch, l2, smoothing, augmentation, short = OFFICIAL[recipe]
    train, evaluation = config["DataLoader"]["Train"], config["DataLoader"]["Eval"]
    lr = config["Optimizer"]["lr"]
    assert config["Arch"]["name"] == canonical_name(recipe.split("/")[1])
    assert config["Arch"]["class_num"] == 1000
    assert config["Global"]["epochs"] == epochs
    assert (lr["name"], lr["learning_rate"], lr.get("warmup_epoch", 0)) == (schedule, rate, warmup)
    assert schedule == "Cosine" or (lr["values"], lr["decay_epochs"]) == (STEPS, [30, 60, 90])
    assert config["Optimizer"]["regularizer"] == {"name": "L2", "coeff": l2}
    assert (config["Optimizer"]["name"], config["Optimizer"]["momentum"]) == ("Momentum", 0.9)
    assert train["sampler"]["batch_size"] == batch
    assert option(config["Loss"]["Train"], "CELoss").get("epsilon", 0) == smoothing
    ops = train["dataset"]["transform_ops"] + train["dataset"].get("batch_transform_ops", [])
    assert [name for entry in ops for name in entry if name not in FIXED] == augmentation
    for ops in (evaluation["dataset"]["transform_ops"], config["Infer"]["transforms"]):
        assert option(ops, "ResizeImage")["resize_short"] == short
        assert option(ops, "CropImage")["size"] == 224
    assert config["Global"]["image_shape"] == [3, 224, 224]
    for part in (train, evaluation):
        assert part["dataset"]["image_root"] == "./dataset/ILSVRC2012/"


@pytest.mark.parametrize("recipe", [f"ImageNet/{recipe}" for recipe in RECIPES] + LITE)
def test_everything_in_a_config_can_be_built(recipe):
    config = load_config(f"ppcls_lite/configs/{recipe}.yaml")
    build_everything(config)
    assert find_file(config["Infer"]["PostProcess"]["class_id_map_file"]).is_file() or recipe == "digits"
    probe = build_transforms(config["Infer"]["transforms"])(paddle.zeros([60, 80, 3], "uint8").numpy())
    assert list(probe.shape) == config["Global"]["image_shape"]
    with paddle.LazyGuard():  # the structure, without its numbers: those of PPHGNetV2_B6 alone take 3 s
        model = build_model(**{**config["Arch"], "pretrained": False})
    assert list(model.state_dict().values())[-1].shape[-1] == config["Arch"]["class_num"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transform_ops", [{"RandCropImag": {"size": 224}}]),
        ("transform_ops", [{"RandCropImage": {"siz": 224}}]),
        ("batch_transform_ops", [{"MixupOperator": {"alpha": -1}}]),
    ],
)
def test_a_wrong_recipe_would_be_seen(key, value):
    config = copy.deepcopy(load_config("ppcls_lite/configs/ImageNet/ResNet/ResNet50_vd.yaml"))
    config["DataLoader"]["Train"]["dataset"][key] = value
    with pytest.raises(UserError, match=r"DataLoader\.Train"):
        build_everything(config)


def test_small_image_variants_differ_from_lite_data_in_size_and_length_only():
    base = load_config("ppcls_lite/configs/lite_data.yaml")
    for size in (64, 32):
        config = load_config(f"ppcls_lite/configs/lite_data_{size}.yaml")
        assert config["Loss"] == base["Loss"]
        assert config["Metric"] == base["Metric"]
        for part in ("Train", "Eval"):
            names = [list(entry) for entry in config["DataLoader"][part]["dataset"]["transform_ops"]]
            assert names == [list(entry) for entry in base["DataLoader"][part]["dataset"]["transform_ops"]]
            for key in ("image_root", "cls_label_path"):
                assert config["DataLoader"][part]["dataset"][key] == base["DataLoader"][part]["dataset"][key]


def test_pphgnetv2_recipe_fine_tunes_from_the_official_weights(tmp_path):
    """As "2.3.2 Fine-tuning from ImageNet weights" of PaddleClas's PP-HGNetV2 document does it."""
    cache = tmp_path / "home/weights"
    cache.mkdir(parents=True)
    arrays = random_weights("PPHGNetV2_B0", 1000)
    save_arrays(arrays, cache / "PPHGNetV2_B0_ssld_stage1_pretrained.pdparams")
    few = tmp_path / "few.txt"
    few.write_text("".join((ROOT / "lite_data/train_list.txt").read_text().splitlines(keepends=True)[::36]))
    options = {
        "Global.epochs": 1,
        "Global.output_dir": tmp_path / "out",
        "Global.device": "cpu",
        "Global.eval_during_train": False,
        "Optimizer.lr.learning_rate": 0.05,
        "Arch.class_num": 6,
        "DataLoader.Train.dataset.image_root": ROOT / "lite_data",
        "DataLoader.Train.dataset.cls_label_path": few,
        "DataLoader.Train.sampler.batch_size": 4,
        "DataLoader.Train.loader.num_workers": 0,
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    recipe = "ppcls/configs/ImageNet/PPHGNetV2/PPHGNetV2_B0.yaml"
    outcome = run_process("tools/train.py", "-c", recipe, *words, PPCLS_LITE_HOME=str(tmp_path / "home"))
    # the warm-up's first rate is 0: one step moves nothing, and what was loaded is what is saved
    assert_one_line(outcome, "the training changed none of its 191 trainable parameters")
    assert "classifier is left as initialised" in outcome.out + outcome.err
    trained = paddle.load(str(tmp_path / "out/latest.pdparams"))
    assert trained["fc.weight"].shape[-1] == 6
    name = next(name for name in arrays if name.endswith("conv.weight"))
    assert (trained[name].numpy() == arrays[name]).all()


# ---- chains


def chain(name):
    """{key: [values]} of a chain's config."""
    found = {}
    for line in (CHAINS / name / "train_infer_python.txt").read_text().splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key, []).append(value)
    return found


def lite(value):
    """The `lite_train=` part of a value."""
    return value.partition("lite_train=")[2].partition("|")[0]


def test_there_is_a_chain_for_every_network():
    assert set(CHAINED) <= {path.parent.name for path in CHAINS.glob("*/train_infer_python.txt")}


@pytest.mark.parametrize("name", CHAINED)
def test_chain_trains_long_enough_to_judge_the_loss(name):
    found = chain(name)
    assert found["model_name"] == [name]
    batch = int(lite(found["-o DataLoader.Train.sampler.batch_size"][0]))
    images = len(read_list(str(ROOT / "lite_data/train_list.txt")))
    assert int(lite(found["-o Global.epochs"][0])) * -(-images // batch) >= 100
    commands = [found[key][0] for key in ("norm_train", "eval", "norm_export")]
    assert len({re.search(r"-c (\S+)", lite(command))[1] for command in commands}) == 1
    for command in commands:
        for path in re.findall(r"-c ([^ |]+)", command):
            assert (ROOT / path).is_file(), path
        assert set(re.findall(r"Arch.name=([^ |]+)", command)) == {name}
    assert {"0", "-1"} <= set(found["gpu_list"][0].split("|"))


@pytest.mark.parametrize("name", CHAINED)
def test_chain_can_be_read_in_every_mode(name):
    lines = read_in_every_mode(name)
    assert len(lines) == 4
    assert all(f" {name} tools/export_model.py -c ppcls_lite/configs/" in line for line in lines)
