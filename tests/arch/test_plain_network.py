"""A network that is no `Network`: any layer with logits is trained, exported and served; what needs a trunk says so."""

import paddle
import pytest
from paddle import nn

from ppcls_lite.arch import ARCH, build_backbone, build_model
from ppcls_lite.arch.backbone import Backbone, trunk_of
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.registry import DETECTORS
from ppcls_lite.utils.errors import UserError
from tests.helpers.configs import save_arrays
from tests.helpers.scripts import assert_one_line

NAME = "PlainNet"


class PlainNet(nn.Layer):
    def __init__(self, class_num=1000, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2D(3, width, 3, 2), nn.BatchNorm2D(width), nn.ReLU(), nn.AdaptiveAvgPool2D(1))
        self.last = nn.Linear(width, class_num)

    def forward(self, x):
        return self.last(paddle.flatten(self.body(x), 1))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(ARCH._entries, NAME, PlainNet)


def test_what_needs_feature_maps_is_refused_in_one_line(run_here):
    message = "PlainNet has no feature maps to choose from"
    assert_one_line(run_here("tools/print_features.py", "-m", NAME), message)
    with pytest.raises(UserError, match=message):
        build_backbone(NAME)
    with pytest.raises(UserError, match=message):
        DETECTORS.build("CenterNet", {"class_num": 3, "Backbone": {"name": NAME}}, "Arch")


def test_a_trunk_without_maps_or_of_other_strides_is_refused():
    network = Network()
    with pytest.raises(UserError, match="Network has no feature maps"):
        trunk_of(network)
    network.conv = nn.Conv2D(3, 4, 3, 2)
    network.follow(network.conv, 4, stride=2, index=1)
    with pytest.raises(UserError, match="no map of stride 4, but of 2: choose yourself"):
        Backbone(network)
    assert Backbone(network, [1]).strides == [2]


def test_there_are_no_official_weights_of_it():
    with pytest.raises(UserError, match="no official weights of PlainNet: expected false, the path"):
        build_model(NAME, pretrained=True)


def test_weights_of_another_class_count_leave_its_last_layer(tmp_path):
    source = build_model(NAME, class_num=5)
    path = save_arrays({key: value.numpy() for key, value in source.state_dict().items()}, tmp_path / "w.pdparams")
    model = build_model(NAME, class_num=3, pretrained=str(path))
    assert model.last.weight.shape == [4, 3]
    assert (model.body[0].weight.numpy() == source.body[0].weight.numpy()).all()


def test_an_unknown_option_names_those_that_there_are():
    with pytest.raises(UserError, match=r"PlainNet: no option 'widht' \(did you mean 'width'\?\)"):
        build_model(NAME, widht=8)


def test_it_is_trained_evaluated_and_predicts(config, write_config, run_here, tmp_path):
    config["Arch"] = {"name": NAME, "class_num": 3}
    config["Global"].update(epochs=1, eval_interval=1)
    path = write_config(config)
    trained = run_here("tools/train.py", "-c", path)
    assert trained.status == 0, trained.err
    weights = f"Global.pretrained_model={tmp_path}/out/best_model"
    evaluated = run_here("tools/eval.py", "-c", path, "-o", weights, "-o", "Arch.width=4")
    assert evaluated.status == 0, evaluated.err
    predicted = run_here("tools/infer.py", "-c", path, "-o", weights)
    assert predicted.status == 0, predicted.err
    assert "chelsea.jpg" in predicted.out
