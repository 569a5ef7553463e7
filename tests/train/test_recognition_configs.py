"""Recognition configs made of the pieces that PaddleClas's have: network, losses, sampler, optimizer and metrics build.

The pieces are facts of its configs for products, cartoon faces and persons; the data set is a tiny one.
"""

import copy

import paddle
import pytest

from ppcls_lite.train.loop import Trainer
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError

STOP, CLASSES = {"name": "flatten"}, 3
FC_512 = {"name": "FC", "embedding_size": 2048, "class_num": 512}
FROM_BACKBONE = {"normalize_feature": False, "feature_from": "backbone"}
UNIFORM = {"initializer": {"name": "KaimingUniform", "fan_in": 12288}}
PK = {"name": "PKSampler", "sample_per_id": 2, "drop_last": False, "shuffle": True}
IDENTITIES = {"name": "DistributedRandomIdentitySampler", "num_instances": 2, "drop_last": False, "shuffle": True}
PLAIN = {"name": "DistributedBatchSampler", "drop_last": False, "shuffle": True}
STEPS = {"name": "MultiStepDecay", "learning_rate": 0.01, "milestones": [30, 60], "gamma": 0.5}
DECAY = {"name": "L2", "coeff": 0.0005}


def momentum(rate, **more):
    return {"name": "Momentum", "momentum": 0.9, "lr": rate, **more}


def arc(size):
    return {"name": "ArcMargin", "embedding_size": size, "class_num": CLASSES, "margin": 0.15, "scale": 30}


STRONG = {
    "arch": {
        "Backbone": {"name": "ResNet50", "pretrained": False, "stem_act": None},
        "BackboneStopLayer": STOP,
        "Head": {
            "name": "FC",
            "embedding_size": 2048,
            "class_num": CLASSES,
            "weight_attr": UNIFORM,
            "bias_attr": UNIFORM,
        },
    },
    "losses": [{"CELoss": {"weight": 1.0}}, {"TripletLossV2": {"weight": 1.0, "margin": 0.3, **FROM_BACKBONE}}],
    "sampler": IDENTITIES,
    "optimizer": {
        "name": "Adam",
        "lr": {
            "name": "Piecewise",
            "decay_epochs": [40, 70],
            "values": [0.00035, 0.000035, 0.0000035],
            "by_epoch": True,
            "last_epoch": 0,
        },
        "regularizer": DECAY,
    },
    "settings": {"eval_mode": "retrieval", "retrieval_feature_from": "backbone", "re_ranking": False},
}
BN_NECK = {
    "name": "BNNeck",
    "num_features": 2048,
    "weight_attr": {"initializer": {"name": "Constant", "value": 1.0}},
    "bias_attr": {"initializer": {"name": "Constant", "value": 0.0}, "learning_rate": 1.0e-20},
}
PRODUCTS = {
    "arch": {
        "Backbone": {"name": "ResNet50_vd", "pretrained": False},
        "BackboneStopLayer": STOP,
        "Neck": FC_512,
        "Head": arc(512),
    },
    "losses": [{"CELoss": {"weight": 1.0}}, {"TripletLossV2": {"weight": 1.0, "margin": 0.5}}],
    "sampler": PK,
    "optimizer": momentum({**STEPS, "verbose": False, "last_epoch": -1}, regularizer=DECAY),
    "settings": {"eval_mode": "retrieval"},
}
PIECES = {
    "products by margin and triplets": PRODUCTS,
    "products by scores": {
        "arch": {
            "Backbone": {"name": "ResNet50_vd"},
            "BackboneStopLayer": STOP,
            "Neck": FC_512,
            "Head": {"name": "FC", "embedding_size": 512, "class_num": CLASSES},
        },
        "losses": [{"CELoss": {"weight": 1.0}}],
        "sampler": PLAIN,
        "optimizer": momentum({"name": "Cosine", "learning_rate": 0.05}, regularizer=DECAY),
        "settings": {"eval_mode": "classification"},
    },
    "the classifier's output": {
        "arch": {
            "Backbone": {"name": "MobileNetV3_large_x1_0", "class_num": 512},
            "Head": {"name": "FC", "class_num": CLASSES, "embedding_size": 512},
            "infer_add_softmax": "false",
        },
        "losses": [{"CELoss": {"weight": 1.0, "epsilon": 0.1}}],
        "sampler": PLAIN,
        "optimizer": momentum({"name": "Piecewise", "learning_rate": 0.1, "decay_epochs": [50], "values": [0.1, 0.01]}),
        "settings": {"feature_normalize": False, "feature_binarize": "round"},
    },
    "a small one": {
        "arch": {
            "Backbone": {"name": "MobileNetV1", "pretrained": False},
            "BackboneStopLayer": STOP,
            "Neck": {"name": "FC", "embedding_size": 1024, "class_num": 512},
            "Head": arc(512),
        },
        "losses": [{"CELoss": {"weight": 1.0}}, {"TripletLossV2": {"weight": 1.0, "margin": 0.5}}],
        "sampler": IDENTITIES,
        "optimizer": momentum({**STEPS, "verbose": False, "last_epoch": -1}, regularizer=DECAY),
        "settings": {"eval_mode": "retrieval"},
    },
    "cartoon faces": {
        "arch": {
            "Backbone": {"name": "ResNet50"},
            "BackboneStopLayer": {**STOP, "output_dim": 2048},
            "Head": {"name": "FC", "class_num": CLASSES, "embedding_size": 2048},
        },
        "losses": [{"CELoss": {"weight": 1.0}}],
        "sampler": PLAIN,
        "optimizer": momentum({"name": "Cosine", "learning_rate": 0.1}),
        "settings": {"eval_mode": "retrieval", "feature_normalize": True},
        "dataset": "ICartoonDataset",
    },
    "persons": STRONG,
    "persons with a batch norm": {**STRONG, "arch": {**STRONG["arch"], "Neck": BN_NECK}},
    "persons with centres": {
        **STRONG,
        "losses": [
            *STRONG["losses"],
            {"CenterLoss": {"weight": 0.0005, "num_classes": CLASSES, "feat_dim": 2048, "feature_from": "backbone"}},
        ],
        "optimizer": [
            {"Adam": {"scope": "RecModel", "lr": STRONG["optimizer"]["lr"], "regularizer": DECAY}},
            {"SGD": {"scope": "CenterLoss", "lr": {"name": "Constant", "learning_rate": 1000.0}}},
        ],
    },
}


@pytest.fixture
def build(config, write_config):
    """`build(pieces, *overrides)`: the Trainer of a config of these pieces."""

    def build(pieces, *overrides):
        content = copy.deepcopy({**config, "Optimizer": pieces["optimizer"]})
        content["Arch"] = {"name": "RecModel", "infer_output_key": "features", **copy.deepcopy(pieces["arch"])}
        content["Loss"]["Train"] = pieces["losses"]
        content["Global"].update(pieces["settings"])
        data = content["DataLoader"]
        data["Train"]["sampler"] = {"batch_size": 4, **pieces["sampler"]}
        data["Train"]["dataset"]["name"] = pieces.get("dataset", "ImageNetDataset")
        del content["Infer"]
        if pieces["settings"].get("eval_mode") == "retrieval":
            data["Eval"] = {"Query": data["Eval"], "Gallery": copy.deepcopy(data["Eval"])}
            content["Metric"] = {"Eval": [{"Recallk": {"topk": [1, 5]}}, {"mAP": {}}]}
        with paddle.utils.unique_name.guard():
            return Trainer(load_config(write_config(content), overrides), "cpu")

    return build


@pytest.mark.parametrize("name", PIECES)
def test_it_builds(build, name):
    trainer = build(PIECES[name])
    assert [loss for loss, _, _ in trainer.loss.terms] == [next(iter(loss)) for loss in PIECES[name]["losses"]]
    assert trainer.model.head.class_num == CLASSES
    assert trainer.evaluator.metric


def test_one_of_them_trains(build):
    trainer = build(PIECES["a small one"])
    before = trainer.model.head.weight.numpy()
    trainer.run_epoch(1)
    assert (trainer.model.head.weight.numpy() != before).any()


UNKNOWN = [
    ({"Backbone": {"name": "ResNet50_last_stage_stride1"}}, r"Arch\.Backbone\.name: unknown network 'ResNet50_last"),
    ({"Backbone": {"name": "PPLCNet_x2_5"}}, r"Arch\.Backbone\.name: unknown network 'PPLCNet_x2_5'"),
    ({"Neck": {"name": "VehicleNeck", "in_channels": 2048}}, r"Arch\.Neck\.name: unknown neck 'VehicleNeck'"),
    ({"Neck": {"name": "Tanh"}}, r"Arch\.Neck\.name: unknown neck 'Tanh'; known: BNNeck, FC"),
    ({"Head": {"name": "AdaMargin"}}, r"Arch\.Head\.name: unknown head 'AdaMargin' \(did you mean 'ArcMargin'\?\)"),
    ({"losses": [{"SupConLoss": {"weight": 1.0, "views": 2}}]}, r"Loss\.Train\[0\]: unknown loss 'SupConLoss'"),
]


@pytest.mark.parametrize(("change", "message"), UNKNOWN)
def test_pieces_that_are_not_here_are_one_line(build, change, message):
    pieces = copy.deepcopy(PIECES["a small one"])
    (pieces if "losses" in change else pieces["arch"]).update(change)
    with pytest.raises(UserError, match=message) as raised:
        build(pieces)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("Global.re_ranking=True", r"Global\.re_ranking: expected False"),
        ("Global.feature_binarize=round", r"Global\.feature_binarize: expected null"),
    ],
)
def test_searches_that_are_not_here_are_one_line(build, override, message):
    with pytest.raises(UserError, match=message):
        build(PIECES["a small one"], override)


def test_a_list_of_optimizers_is_read_from_a_file(write_config):
    content = {"Global": {}, "Arch": {"name": "RecModel"}, "Optimizer": [{"SGD": {"lr": {"learning_rate": 0.1}}}]}
    assert load_config(write_config(content))["Optimizer"] == content["Optimizer"]
    assert "Optimizer" not in load_config(write_config({**content, "Optimizer": None}))
    changed = load_config(write_config(content), ["Optimizer.0.SGD.lr.learning_rate=0.2"])
    assert changed["Optimizer"][0]["SGD"]["lr"]["learning_rate"] == 0.2
