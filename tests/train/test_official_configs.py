"""Every official training config of the networks here builds: network, loss, optimizer, schedule, data, metrics."""

import functools
import tarfile
from importlib.util import find_spec

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import from_config, registry
from ppcls_lite.train import loop
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import FIXTURES

ARCHIVE = FIXTURES / "paddleclas/ImageNet.tar.gz"
with tarfile.open(ARCHIVE) as _archive:
    TEXTS = {
        name.rpartition("/")[2]: _archive.extractfile(name).read() for name in _archive.getnames() if ".yaml" in name
    }

# four channels, of which the last is empty, and the layout NHWC: for NVIDIA DALI and Tensor Cores only
REFUSED = ("ResNet50_amp_O1_ultra.yaml", "ResNet50_amp_O2_ultra.yaml")
OF_ANOTHER_PART = ("PPHGNet_", "PPHGNetV2_B4_ssld_")  # teachers, and distillation from them


@functools.cache
def _network(name):
    with paddle.utils.unique_name.guard():
        return registry.build_model(name=name, class_num=1000)


@pytest.fixture
def official(tmp_path, tiny_data, monkeypatch):
    """`official(name)` is the config as its file says, with other paths and without a download."""

    def load(name, *overrides):
        (tmp_path / name).write_bytes(TEXTS[name])
        paths = [f"Global.output_dir={tmp_path}/out"]
        for part, listed in (("Train", "train"), ("Eval", "val")):
            place = f"DataLoader.{part}"
            paths += [f"{place}.dataset.image_root={tiny_data}", f"{place}.loader.num_workers=0"]
            paths += [f"{place}.dataset.cls_label_path={tiny_data}/{listed}_list.txt"]
        return load_config(tmp_path / name, [*paths, *overrides])

    # several configs name one network, and some take a second to build; nothing here changes one
    monkeypatch.setattr(from_config, "build_model", lambda name, **options: _network(name))
    return load


def test_all_of_them_are_here():
    assert len(TEXTS) == 43 + 2
    families = ("MobileNetV1", "MobileNetV3", "ShuffleNetV2", "MixNet", "ResNet50", "PPHGNet_", "PPHGNetV2")
    assert {family: sum(name.startswith(family) for name in TEXTS) for family in families} == {
        "MobileNetV1": 4,
        "MobileNetV3": 12,
        "ShuffleNetV2": 7,
        "MixNet": 3,
        "ResNet50": 7,
        "PPHGNet_": 3,
        "PPHGNetV2": 9,
    }


@pytest.mark.parametrize("name", [name for name in sorted(TEXTS) if name not in REFUSED])
def test_it_builds(name, official, tmp_path, monkeypatch):
    config = official(name)
    distilled = config["Arch"]["name"] == "DistillationModel"
    known = find_spec("ppcls_lite.arch.distillation") if distilled else config["Arch"]["name"] in registry.ARCH
    if name.startswith(OF_ANOTHER_PART) and not known:
        pytest.skip(f"{config['Arch']['name']} is not a network here")
    if distilled:
        monkeypatch.undo()
        paddle.save(_network("PPHGNet_small").state_dict(), str(tmp_path / "teacher.pdparams"))
        config = official(name)
        config["Arch"]["models"][0]["Teacher"].update(pretrained=str(tmp_path / "teacher"), use_ssld=False)
        config["Arch"]["models"][1]["Student"].update(pretrained=False)
    trainer = loop.Trainer(config, "cpu")
    optimizer, schedule = config["Optimizer"], config["Optimizer"]["lr"]
    ((built, _, rate),) = trainer.optimizers.scopes
    assert type(built).__name__ == optimizer["name"]
    assert built._regularization_coeff == pytest.approx(optimizer["regularizer"]["coeff"])
    updates = trainer.updates.per_epoch
    warm = int(schedule.get("warmup_epoch", 0)) * updates
    assert rate(warm) == pytest.approx(schedule["learning_rate"])
    assert rate(config["Global"]["epochs"] * updates - 1) < schedule["learning_rate"] / 100
    assert [term[0] for term in trainer.loss.terms] == [next(iter(loss)) for loss in config["Loss"]["Train"]]
    assert (trainer.amp.required, trainer.amp.name) == (config["AMP"]["use_amp"], "FP32")
    assert trainer.amp.scale == 128
    assert trainer.evaluator.metric.topk == [1, 5]
    image, label = trainer.loader.dataset[(0, 0)][:2]
    assert (np.asarray(image).shape, int(label)) == ((3, 224, 224), 0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_for_another_layout_is_refused(name, official, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"image_shape|input_image_channel|data_format"):
        loop.Trainer(official(name), "cpu")


def test_a_fault_in_one_would_be_seen(official):
    faults = ("Optimizer.momentum=much", "Optimizer.name=Momentun", "Optimizer.lr.name=Cosin", "AMP.level=O3")
    data = "DataLoader.Train.dataset.transform_ops"
    faults += (
        f"{data}.3.TimmAutoAugment.config_str=rand-q7",
        f"{data}.5.RandomErasing.sl=2",
        "Metric.Eval.0.TopkAcc.topk=[]",
    )
    faults += ("Loss.Train.0.CELoss.epsilon=2", "Global.update_freq=0", "EMA.decay=2")
    for fault in faults:
        with pytest.raises(UserError):
            loop.Trainer(official("PPHGNetV2_B0.yaml", fault), "cpu")
