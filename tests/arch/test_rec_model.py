"""RecModel: what it returns, its names, the sizes that it finds, what it begins with, and what it refuses."""

import copy
import logging

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls_lite.arch import ARCH, RECOGNIZERS, build_model
from ppcls_lite.arch.features import size_of_features
from ppcls_lite.arch.from_config import build_network, load_network, network_to_train
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.summary import count_flops, count_parameters, summarize, summary_of
from ppcls_lite.benchmark import filled
from ppcls_lite.slim.pact import quanters
from ppcls_lite.utils.distilled import class_count
from ppcls_lite.utils.errors import UserError
from tests.helpers.configs import save_arrays
from tests.helpers.recognition import features_of

SMALL = "MobileNetV1_x0_25"
STOP = {"name": "flatten"}
CONFIG = {
    "Global": {},
    "Arch": {
        "name": "RecModel",
        "infer_output_key": "features",
        "infer_add_softmax": False,
        "Backbone": {"name": SMALL, "pretrained": False},
        "BackboneStopLayer": STOP,
        "Neck": {"name": "FC", "embedding_size": 256, "class_num": 16},
        "Head": {"name": "ArcMargin", "embedding_size": 16, "class_num": 5, "margin": 0.15, "scale": 30},
    },
}


def config_of(**changes):
    """`CONFIG` with these sections of Arch; None takes one out."""
    config = copy.deepcopy(CONFIG)
    config["Arch"].update(changes)
    config["Arch"] = {key: value for key, value in config["Arch"].items() if value is not None}
    return config


def build(**changes):
    return build_network(config_of(**changes))


def save(model, path):
    return str(save_arrays({name: tensor.numpy() for name, tensor in model.state_dict().items()}, path))


IMAGES, LABELS = paddle.to_tensor(filled.image(32, 4)), paddle.to_tensor([0, 1, 4, 4])


# ---- what it returns


def test_outputs_of_training_and_of_evaluation():
    model = build()
    trained = model(IMAGES, LABELS)
    assert {key: value.shape for key, value in trained.items()} == {
        "backbone": [4, 256],
        "features": [4, 16],
        "logits": [4, 5],
    }
    assert float(trained["logits"].abs().max()) > 1.5  # scaled
    model.eval()
    assert float(model(IMAGES, LABELS)["logits"].abs().max()) <= 1 + 1e-6
    assert (model(IMAGES, LABELS)["logits"] == model(IMAGES)["logits"]).all()


@pytest.mark.parametrize("head", ["ArcMargin", "CosMargin", "CircleMargin", "FC"])
@pytest.mark.parametrize("neck", ["FC", "BNNeck", None])
def test_every_part_learns(neck, head):
    options = {"FC": {"class_num": 16}, "BNNeck": {}, None: None}[neck]
    margin = {"margin": 0.25, "scale": 32} if head == "CircleMargin" else {}
    model = build(Neck=neck and {"name": neck, **options}, Head={"name": head, "class_num": 5, **margin})
    outputs = model(IMAGES, LABELS)
    assert outputs["features"].shape == [4, 16 if neck == "FC" else 256]
    if neck is None:
        assert (outputs["features"] == outputs["backbone"]).all()
    nn.functional.cross_entropy(outputs["logits"], LABELS).backward()
    unmoved = [p.name for p in model.parameters() if not p.stop_gradient and (p.grad is None or not p.grad.any())]
    assert not unmoved


def test_a_traced_training_has_the_same_logits_and_gradients():
    """As with Global.to_static: True."""
    model = build()
    results = []
    for network in (model, paddle.jit.to_static(model)):
        model.clear_gradients()
        logits = network(IMAGES, LABELS)["logits"]
        nn.functional.cross_entropy(logits, LABELS).backward()
        results.append((logits.numpy(), model.backbone.conv.conv.weight.grad.numpy()))
    for plain, traced in zip(*results):
        assert np.abs(plain - traced).max() <= 1e-4 * np.abs(plain).max() > 0


def test_a_head_on_the_backbone_and_no_head():
    model = build(head_feature_from="backbone", Head={"name": "CosMargin", "class_num": 5})
    assert model.head.weight.shape == [256, 5]
    model.eval()
    outputs = model(IMAGES)
    assert (outputs["logits"] == model.head(outputs["backbone"])).all()
    assert list(build(Head=None)(IMAGES, LABELS)) == ["backbone", "features"]


def test_without_a_stop_layer_the_features_are_those_of_the_classifier():
    model = build(BackboneStopLayer=None, Neck=None, Backbone={"name": SMALL, "class_num": 16})
    plain = build_model(SMALL, class_num=16)
    plain.set_state_dict(model.backbone.state_dict())
    model.eval(), plain.eval()
    assert (model(IMAGES)["features"] == plain(IMAGES)).all()
    assert model.head.weight.shape == [16, 5]


def test_the_stopped_backbone_gives_what_the_classifier_takes():
    model, plain = build(), build_model(SMALL)
    plain.set_state_dict(model.backbone.state_dict())
    model.eval(), plain.eval()
    assert (model(IMAGES)["backbone"] == features_of(plain, IMAGES)).all()


@pytest.mark.parametrize("name", ["flatten_0", "avg_pool", "adaptive_avg_pool2d_0"])
def test_other_names_of_the_same_layer(name):
    assert build(BackboneStopLayer={"name": name, "output_dim": 256}).feature_size == 16


@pytest.mark.parametrize(
    "name", ["MixNet_S", "ShuffleNetV2_x0_25", "MobileNetV3_small_x0_35", "ResNet18", "PPHGNetV2_B0"]
)
def test_every_family_can_be_stopped(name):
    """And loses nothing but its classifier."""
    model = build(Backbone={"name": name}, Neck={"name": "FC", "class_num": 16})
    plain = build_model(name)
    left = [f"backbone.{entry}" for entry in plain.state_dict() if not entry.startswith(f"{plain.classifier}.")]
    assert [entry for entry in model.state_dict() if entry.startswith("backbone.")] == left
    model.eval()
    assert model(IMAGES)["backbone"].shape == [4, size_of_features(plain)] == [4, model.neck.embedding_size]


def test_names_are_paddleclas():
    assert list(build().state_dict())[-3:] == ["neck.fc.weight", "neck.fc.bias", "head.weight"]
    names = list(build(Neck={"name": "BNNeck"}, Head={"name": "FC", "class_num": 5}).state_dict())
    assert names[-6:-4] == ["neck.feat_bn.weight", "neck.feat_bn.bias"]
    assert names[-2:] == ["head.fc.weight", "head.fc.bias"]
    assert "backbone.blocks.0.depthwise_conv.conv.weight" in names


def test_mobilefacenet_needs_no_stop_layer():
    options = {"name": "MobileFaceNet", "input_size": 32, "feature_dim": 24}
    for stop in (None, STOP):
        model = build(Backbone=options, BackboneStopLayer=stop, Neck=None, Head={"name": "ArcMargin", "class_num": 5})
        assert model(IMAGES, LABELS)["features"].shape == [4, 24]


def test_a_network_without_a_trunk_is_a_backbone_with_its_classifier_only(monkeypatch):
    class Plain(nn.Layer):
        def __init__(self, class_num=1000):
            super().__init__()
            self.last = nn.Linear(3, class_num)

        def forward(self, x):
            return self.last(x.mean(axis=[2, 3]))

    class OldForm(Network):
        def __init__(self, class_num=1000):
            super().__init__()
            self.fc = nn.Linear(3, class_num)

        def head(self, x):
            return self.fc(x.mean(axis=[2, 3]))

    for cls in (Plain, OldForm):
        monkeypatch.setitem(ARCH._entries, cls.__name__, cls)
        options = {"name": cls.__name__, "class_num": 8}
        model = build(Backbone=options, BackboneStopLayer=None, Neck=None, Head={"name": "FC", "class_num": 5})
        assert model(IMAGES)["features"].shape == [4, 8]
    with pytest.raises(
        UserError, match=r"Arch.BackboneStopLayer: Plain is no Network of arch.network: remove the section"
    ):
        build(Backbone={"name": "Plain"})
    with pytest.raises(UserError, match=r"Arch.BackboneStopLayer.name: OldForm: has no features .* no `embed`"):
        build(Backbone={"name": "OldForm"})


# ---- the deployed form


def test_deployed_features_have_length_one_and_zeros_stay_zeros():
    model = build()
    deployed = model.deployed()
    deployed.eval()
    features = deployed(IMAGES).numpy().astype(np.float64)
    assert features.shape == (4, 16)
    assert np.abs(np.sqrt((features**2).sum(axis=1)) - 1).max() < 1e-6
    assert not [name for name in deployed.state_dict() if "head" in name]
    assert deployed.input_specs([3, 32, 32])[0].name == "x"
    for parameter in deployed.neck.parameters():
        parameter.set_value(paddle.zeros_like(parameter))
    assert (deployed(IMAGES).numpy() == 0).all()


def test_the_backbones_features_can_be_deployed():
    deployed = build(infer_output_key="backbone").deployed()
    deployed.eval()
    assert deployed(IMAGES).shape == [4, 256]


def test_size_and_cost_are_counted():
    model = build()
    everything, trained = count_parameters(model)
    plain = count_parameters(build_model(SMALL))[0] - 257 * 1000
    assert everything == plain + 257 * 16 + 16 * 5
    assert trained < everything
    summary = summary_of("small", model.deployed(), 32)
    assert summary.params_m == (everything - 16 * 5) / 1e6
    assert summary.flops_m == count_flops(model, 32) / 1e6 > 0  # paddle.flops does not count a margin
    assert summarize("RecModel", 32, **{k: v for k, v in CONFIG["Arch"].items() if k != "name"})[1:] == summary[1:]


# ---- what it begins with


def test_the_backbone_takes_a_classifiers_weights(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("ppcls_lite"), "propagate", True)
    source = filled.fill(build_model(SMALL, class_num=3))
    path = save(source, tmp_path / "classifier.pdparams")
    model = build(Backbone={"name": SMALL, "pretrained": path})
    assert all((tensor == source.state_dict()[name]).all() for name, tensor in model.backbone.state_dict().items())
    assert "not used" not in caplog.text
    assert "left as initialised" not in caplog.text
    model = build(BackboneStopLayer=None, Neck=None, Backbone={"name": SMALL, "pretrained": path, "class_num": 16})
    assert (model.backbone.conv.conv.weight == source.conv.conv.weight).all()
    assert "the classifier is left as initialised" in caplog.text
    other = save(build_model("MobileNetV1_x0_5"), tmp_path / "other.pdparams")
    with pytest.raises(UserError, match=r"these are not weights of this network: entry 'conv.conv.weight' has shape"):
        build(Backbone={"name": SMALL, "pretrained": other})


def test_weights_of_mobilefacenet_are_loaded(tmp_path):
    options = {"name": "MobileFaceNet_128", "input_size": 32, "num_features": 16}
    source = build(Backbone=options, BackboneStopLayer=None, Neck=None).backbone
    path = save(source, tmp_path / "face.pdparams")
    model = build(Backbone={**options, "pretrained": path}, BackboneStopLayer=None, Neck=None)
    assert (model.backbone.conv1.conv.weight == source.conv1.conv.weight).all()
    with pytest.raises(UserError, match="there are no official weights of MobileFaceNet_128"):
        build(Backbone={**options, "pretrained": True}, BackboneStopLayer=None, Neck=None)


def test_another_head_in_the_weights_is_left_out(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("ppcls_lite"), "propagate", True)
    source = build(Head={"name": "FC", "class_num": 9})
    config = config_of()
    config["Global"]["pretrained_model"] = save(source, tmp_path / "w.pdparams")
    model = network_to_train(config)
    assert (model.neck.fc.weight == source.neck.fc.weight).all()
    assert model.head.weight.shape == [16, 5]
    assert "the head is left as initialised: expected {'head.weight': [16, 5]}, found {'head.fc.weight'" in caplog.text
    caplog.clear()
    config["Arch"]["Head"] = {"name": "FC", "class_num": 9}
    assert (network_to_train(config).head.fc.weight == source.head.fc.weight).all()
    assert (load_network(config).head.fc.weight == source.head.fc.weight).all()
    assert "head" not in caplog.text
    config["Arch"]["Neck"]["class_num"] = 12
    with pytest.raises(UserError, match=r"neck.fc.weight is \[256, 16\], expected \[256, 12\]"):
        network_to_train(config)


@pytest.mark.parametrize("slim", [{"prune": {"name": "fpgm", "pruned_ratio": 0.4}}, {"quant": {"name": "pact"}}])
def test_slim_forms_are_trained_and_loaded(slim, tmp_path):
    config = config_of(Backbone={"name": "MobileNetV3_small_x0_35"}, Neck={"name": "FC", "class_num": 16})
    plain = build_network(config)
    config["Global"]["pretrained_model"] = save(plain, tmp_path / "plain.pdparams")
    config["Slim"] = slim
    config["Arch"]["Head"]["class_num"] = 6  # another head than that of the weights
    model = network_to_train(config)
    model(IMAGES, LABELS)["logits"].sum().backward()
    if "prune" in slim:
        assert count_parameters(model.backbone)[0] < count_parameters(plain.backbone)[0]
    else:
        assert quanters(model)
    config["Global"]["pretrained_model"] = save(model, tmp_path / "slim.pdparams")
    model.eval()
    assert (load_network(config)(IMAGES)["features"] == model(IMAGES)["features"]).all()
    config["Arch"]["Head"]["class_num"] = 4
    assert (load_network(config, needs_head=False)(IMAGES)["features"] == model(IMAGES)["features"]).all()


# ---- what it refuses


def test_the_classes_are_those_of_the_head():
    assert class_count(CONFIG) == 5
    assert class_count({"Global": {"class_num": 7}, "Arch": {"name": SMALL, "Head": {"class_num": 5}}}) == 7
    with pytest.raises(UserError, match=r"Arch.Head.class_num: expected a whole number of at least 1, found 0"):
        class_count(config_of(Head={"name": "FC", "class_num": 0}))


FACE = {"name": "MobileFaceNet"}
WRONG = [
    (
        {"Backbone": {"name": "ResNet50_last_stage_stride1"}},
        "Arch.Backbone.name: unknown network 'ResNet50_last_stage_st",
    ),
    ({"Backbone": {"name": "MobileFacenet"}}, r"unknown network 'MobileFacenet' \(did you mean 'MobileFaceNet'\?\)"),
    ({"Backbone": {"pretrained": True}}, "Arch.Backbone: expected a mapping with a name, found"),
    ({"Backbone": {"name": SMALL, "dropuot": 1}}, "unexpected keyword argument 'dropuot'"),
    ({"Backbone": {**FACE, "input_size": 50}}, "Arch.Backbone.input_size: expected a multiple of 16, found 50"),
    (
        {"BackboneStopLayer": {"name": "flaten"}},
        "Arch.BackboneStopLayer.name: expected one of flatten, .* found 'flaten'",
    ),
    (
        {"BackboneStopLayer": {"name": "flatten", "output_dim": 9}},
        "BackboneStopLayer.output_dim: expected 256, found 9",
    ),
    (
        {"Backbone": {"name": "MobileFaceNet"}, "BackboneStopLayer": {"name": "foo"}},
        "Arch.BackboneStopLayer.name: expected one of flatten, .* found 'foo'",
    ),
    ({"Head": {"name": "ArcMargin", "class_num": 1}}, "Arch.Head.class_num: expected a whole number of at least 2"),
    ({"BackboneStopLayer": {"name": "flatten", "dim": 9}}, "Arch.BackboneStopLayer: no option 'dim'"),
    (
        {"Backbone": {"name": "MobileNetV3_small_x0_35"}, "BackboneStopLayer": {"name": "avg_pool"}},
        "Arch.BackboneStopLayer.name: MobileNetV3 has a hidden layer behind avg_pool: expected flatten",
    ),
    ({"Neck": {"name": "VehicleNeck"}}, "Arch.Neck.name: unknown neck 'VehicleNeck'.*known: BNNeck, FC"),
    (
        {"Neck": {"name": "FC", "embedding_size": 512, "class_num": 8}},
        "Arch.Neck.embedding_size: expected 256, the feat",
    ),
    ({"Neck": {"name": "FC"}}, "Arch.Neck.class_num: is missing"),
    (
        {"Neck": {"name": "FC", "clas_num": 8, "class_num": 8}},
        r"Arch.Neck: FC: no option 'clas_num' \(did you mean 'cl",
    ),
    ({"Neck": {"name": "FC", "class_num": -1}}, "Arch.Neck.class_num: expected a whole number of at least 1, found -1"),
    ({"Neck": {"name": "BNNeck", "num_features": 12}}, "Arch.Neck.num_features: expected 256, the features that it"),
    ({"Neck": {"name": "BNNeck", "bias_attr": 3}}, "Arch.Neck.bias_attr: expected a mapping such as"),
    ({"Head": {"name": "AdaMargin"}}, r"unknown head 'AdaMargin' \(did you mean 'ArcMargin'\?\)"),
    ({"Head": {"name": "ArcMargin"}}, "Arch.Head.class_num: is missing"),
    (
        {"Head": {"name": "ArcMargin", "class_num": 3, "embedding_size": 8}},
        "Arch.Head.embedding_size: expected 16, the",
    ),
    ({"Head": {"name": "ArcMargin", "class_num": 3, "margn": 8}}, r"Arch.Head: ArcMargin: no option 'margn' \(did you"),
    (
        {"Head": {"name": "ArcMargin", "class_num": 3, "margin": 8}},
        "Arch.Head.margin: expected a number from 0 to pi/2",
    ),
    ({"Head": {"class_num": 3}}, "Arch.Head: expected a mapping with a name"),
    ({"infer_output_key": "logits"}, "Arch.infer_output_key: expected one of 'features', 'backbone', found 'logits'"),
    ({"infer_add_softmax": True}, "Arch.infer_add_softmax: expected False"),
    ({"head_feature_from": "nek"}, r"Arch.head_feature_from: expected one of .* \(did you mean 'neck'\?\)"),
    ({"Hed": {}}, r"Arch: RecModel: no option 'Hed' \(did you mean 'Head'\?\)"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_wrong_sections(changes, message):
    with pytest.raises(UserError, match=message) as raised:
        build(**changes)
    assert "\n" not in str(raised.value)


def test_paddleclas_spellings_of_nothing():
    assert build(infer_add_softmax="false", Backbone={"name": SMALL, "class_num": None}).output == "features"
    assert build(infer_output_key=None).output == "features"
    assert RECOGNIZERS.names() == ["RecModel"]
