"""Networks against the official facts (names, shapes, counts, FLOPs, logits), feature maps, and export.

The facts in `fixtures/arch/` were measured on the official implementation with the weights of
`ppcls_lite/benchmark/filled.py`; those of ResNet50 and PPHGNet on PaddleClas d178931fc, which gave ResNet50_vd's bit by
bit too.
"""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import ARCH, build_backbone, build_model
from ppcls_lite.arch.backbone import Backbone, default_indices
from ppcls_lite.arch.features import size_of_features
from ppcls_lite.arch.network import Network
from ppcls_lite.arch.resnet import ResNet
from ppcls_lite.arch.resnet_vd import PooledConvBN
from ppcls_lite.arch.summary import count_flops, count_parameters, summarize
from ppcls_lite.benchmark import filled
from ppcls_lite.utils.errors import UserError
from tests.helpers.recognition import features_of
from tests.helpers.scripts import FIXTURES, ROOT

DATA = FIXTURES / "arch"
OFFICIAL = json.loads(gzip.decompress((DATA / "official.json.gz").read_bytes()))
GOLDEN = np.load(DATA / "golden.npz")
SMALL = "MobileNetV1_x0_25"  # the cheapest network to build

LISTING = """\
idx: 2 shape [1, 16, 320, 320]
idx: 3 shape [1, 24, 160, 160]
idx: 4 shape [1, 24, 160, 160]
idx: 5 shape [1, 40, 80, 80]
idx: 6 shape [1, 40, 80, 80]
idx: 7 shape [1, 40, 80, 80]
idx: 8 shape [1, 80, 40, 40]
idx: 9 shape [1, 80, 40, 40]
idx: 10 shape [1, 80, 40, 40]
idx: 11 shape [1, 80, 40, 40]
idx: 12 shape [1, 112, 40, 40]
idx: 13 shape [1, 112, 40, 40]
idx: 14 shape [1, 160, 20, 20]
idx: 15 shape [1, 160, 20, 20]
idx: 16 shape [1, 160, 20, 20]
"""


def entries(model):
    return [f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in model.state_dict().items()]


def first_difference(found, expected):
    """None, or a sentence about the first entry that differs in name, shape or order."""
    for number, pair in enumerate(zip(found, expected)):
        if pair[0] != pair[1]:
            return f"entry {number}: found '{pair[0]}', expected '{pair[1]}'"
    if len(found) != len(expected):
        longer = max(found, expected, key=len)
        return f"found {len(found)} entries, expected {len(expected)}; '{longer[min(len(found), len(expected))]}'"
    return None


def logits_of(model, image):
    model.eval()
    with paddle.no_grad():
        return model(paddle.to_tensor(image)).numpy()


def relative_error(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="module", params=ARCH.names())
def network(request):
    """(name, network), built once for all the tests that look at it."""
    return request.param, build_model(request.param)


# ---- the official facts


def test_every_official_network_is_registered():
    assert set(OFFICIAL) <= set(ARCH.names())
    assert len(OFFICIAL) == 19


def test_state_dict_is_the_official_one(network):
    name, model = network
    if name in OFFICIAL:
        assert first_difference(entries(model), OFFICIAL[name]["state_dict"]) is None


def test_parameter_counts_are_official(network):
    name, model = network
    if name in OFFICIAL:
        official = OFFICIAL[name]
        assert count_parameters(model) == (official["params_all"], official["params_trainable"])


def test_flops_are_official_and_leave_no_trace(network):
    name, model = network
    if name in OFFICIAL and OFFICIAL[name]["paddle_flops_224"]:
        assert count_flops(model, 224) == OFFICIAL[name]["paddle_flops_224"]
        assert entries(model) == OFFICIAL[name]["state_dict"]


def test_trunk_tells_its_channels_and_strides(network):
    """Also a forward pass of every network, at a size that the official MixNet would refuse."""
    name, model = network
    if name not in OFFICIAL and not getattr(model, "trunk", None):
        pytest.skip("a network without a trunk: it is no backbone")
    size = 64
    nodes = [node for node in model.trunk if node.index is not None]
    indices = [node.index for node in nodes]
    assert indices == list(range(indices[0], indices[0] + len(indices))), name
    backbone = Backbone(model, indices)
    backbone.eval()
    with paddle.no_grad():
        maps = backbone(paddle.zeros([1, 3, size, size]))
        model.eval()
        assert model.head(maps[-1]).shape == [1, 1000]
    found = [list(feature.shape) for feature in maps]
    assert found == [[1, node.channels, size // node.stride, size // node.stride] for node in nodes]
    if name in OFFICIAL or {4, 8, 16, 32} <= {node.stride for node in nodes}:
        usual = [node for node in nodes if node.index in default_indices(model.trunk)]
        assert [node.stride for node in usual] == [4, 8, 16, 32]


def test_features_are_what_the_classifier_takes(network):
    name, model = network
    if not isinstance(model, Network):
        pytest.skip("a network without features of its own")
    model.eval()
    image = paddle.to_tensor(filled.image(32, 2))
    with paddle.no_grad():
        features = features_of(model, image)
        assert features.shape == [2, size_of_features(model)], name
        assert (getattr(model, model.classifier)(features) == model(image)).all(), name
    if name in OFFICIAL:
        assert model.hidden_layer == hasattr(model, "last_conv"), name


@pytest.mark.parametrize("name", sorted(GOLDEN.files))
def test_logits_are_official(name):
    model, image = filled.fill(build_model(name)), filled.image(224)
    logits = logits_of(model, image)
    error = relative_error(logits[0], GOLDEN[name])
    # a MixNet with filled weights magnifies the last bit of its input, and processors differ in the last bit of a sum
    assert error < 1e-4 or error < min(1e-3, 5 * last_bit(model, image, logits))


def last_bit(model, image, logits):
    """How far the logits move when each number of the image takes the next larger one."""
    return relative_error(logits_of(model, np.nextafter(image, np.float32(np.inf)))[0], logits[0])


# ---- those checks see what they are for


def test_a_wrong_entry_is_named():
    official = OFFICIAL["MobileNetV3_small_x1_0"]["state_dict"]
    renamed = [entry.replace("mid_se.conv2", "mid_se.conv3") for entry in official]
    assert "entry 17: found 'blocks.0.mid_se.conv3.weight 16x4x1x1'" in first_difference(renamed, official)
    assert "expected 214" in first_difference(official[:-1], official)
    assert first_difference(official[1::-1] + official[2:], official).startswith("entry 0:")
    wider = entries(build_model("MobileNetV3_small_x1_25"))
    assert first_difference(wider, official).startswith("entry ")


@pytest.mark.parametrize(
    "fault",
    ["slope of the gate", "epsilon", "no scaling in dropout", "activation of the last convolution"],
)
def test_wrong_details_change_the_logits(fault, monkeypatch):
    name = "MobileNetV3_small_x1_0"
    model = filled.fill(build_model(name))
    if fault == "slope of the gate":
        right = paddle.nn.functional.hardsigmoid
        monkeypatch.setattr(
            paddle.nn.functional, "hardsigmoid", lambda x, slope, offset: right(x, slope=1 / 6, offset=offset)
        )
    elif fault == "epsilon":
        for layer in model.sublayers():
            if isinstance(layer, paddle.nn.BatchNorm2D):
                layer._epsilon = 1e-3
    elif fault == "no scaling in dropout":
        model.dropout.mode = "upscale_in_train"
    else:
        model.hardswish = paddle.nn.ReLU()
    assert relative_error(logits_of(model, filled.image(224))[0], GOLDEN[name]) > 1e-4


@pytest.mark.parametrize("fault", ["a pool in the shortcut", "the stride in the first convolution"])
def test_wrong_blocks_change_the_logits(fault, monkeypatch):
    """Both leave all names and shapes as they are: the first is the vd form, the second the paper's."""
    if fault == "a pool in the shortcut":
        monkeypatch.setattr(ResNet, "downsample", PooledConvBN)
    model = filled.fill(build_model("ResNet50"))
    if fault == "the stride in the first convolution":
        for block in (model.blocks[number] for number in (3, 7, 13)):
            block.conv0.conv._stride, block.conv1.conv._stride = block.conv1.conv._stride, block.conv0.conv._stride
    assert relative_error(logits_of(model, filled.image(224))[0], GOLDEN["ResNet50"]) > 1e-4


def test_a_stem_without_activation():
    """PaddleClas's `stem_act: null`, of a stem of one convolution and of one of three."""
    for name in ("ResNet18", "ResNet18_vd"):
        plain, linear = filled.fill(build_model(name)), filled.fill(build_model(name, stem_act=None))
        assert entries(plain) == entries(linear)
        plain.eval(), linear.eval()
        image = paddle.to_tensor(filled.image(32))
        assert (plain.stem(image) >= 0).all()
        assert (linear.stem(image) < 0).any()
    for layer in plain.stem:
        layer.act = None
    assert (plain(image) == linear(image)).all()
    with pytest.raises(UserError, match=r"Arch.stem_act: expected one of 'relu', found 'rleu' \(did you mean 'relu'"):
        build_model("ResNet18", stem_act="rleu")


def test_published_sizes_of_pphgnet():
    """The figures that PaddleClas states: 14.75, 24.38 and 71.62 million."""
    counts = [OFFICIAL[f"PPHGNet_{size}"]["params_all"] for size in ("tiny", "small", "base")]
    assert [f"{count / 1e6:.2f}" for count in counts] == ["14.75", "24.38", "71.62"]
    assert build_model("PPHGNet_base").dropout.p == 0.2


# ---- the registry


def test_two_networks_cannot_share_a_name():
    def MixNet_S():
        pass

    with pytest.raises(ValueError, match=r"MixNet_S.*twice"):
        ARCH.register(MixNet_S)


def test_unknown_name_and_option():
    with pytest.raises(UserError, match="did you mean 'PPHGNetV2_B4'"):
        build_model("PPHGNetV2B4")
    with pytest.raises(UserError, match="dropuot_prob"):
        build_model("MobileNetV3_small_x0_35", dropuot_prob=0.1)


@pytest.mark.parametrize("rates", [[1.0], [1, 1, 1, 1, "1"], [1.0] * 6, 0.5])
def test_wrong_learning_rate_factors(rates):
    with pytest.raises(UserError, match=r"Arch.lr_mult_list: expected 5 numbers, .* found"):
        build_model("PPHGNetV2_B0", lr_mult_list=rates)


def test_paddleclas_name_without_suffix():
    assert entries(build_model("MobileNetV1")) == OFFICIAL["MobileNetV1_x1_0"]["state_dict"]


@pytest.mark.parametrize("name", [SMALL, "ShuffleNetV2_x0_25", "MixNet_S"])
def test_class_count_changes_the_classifier_only(name):
    ten, thousand = build_model(name, class_num=10), build_model(name)
    changed = [a for a, b in zip(entries(ten), entries(thousand)) if a != b]
    assert [entry.split(".")[0] for entry in changed] == [ten.classifier] * 2
    assert logits_of(ten, filled.image(32, 2)).shape == (2, 10)


def test_exempt_and_slowed_parameters():
    rates = {p.name: p.optimize_attr["learning_rate"] for p in build_model("PPHGNetV2_B0").parameters()}
    assert set(rates.values()) == {1.0, 0.01}  # the affine blocks learn slowly
    slow = build_model("ResNet18_vd", lr_mult_list=[0.1, 0.2, 0.3, 0.4, 0.5])
    assert slow.blocks[7].conv0.conv.weight.optimize_attr["learning_rate"] == 0.5
    block = build_model("MobileNetV3_small_x0_35").blocks[0].expand_conv
    assert block.bn.weight.regularizer._coeff == 0.0
    assert block.conv.weight.regularizer is None


# ---- feature maps


def test_listing_of_the_document():
    command = [sys.executable, "tools/print_features.py", "-m", "MobileNetV3_large_x1_0", "--size", "640"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == LISTING


def test_default_maps_of_the_document():
    backbone = build_backbone("MobileNetV3_large_x1_0")
    assert backbone.out_indices == [4, 7, 13, 16]
    assert backbone.channels == [24, 40, 112, 160]
    assert backbone.strides == [4, 8, 16, 32]


def test_backbone_keeps_official_names_and_values():
    model = filled.fill(build_model("PPHGNetV2_B0"))
    backbone = Backbone(model, [1, 3])
    names = list(backbone.state_dict())
    assert names == [name for name in model.state_dict() if name.startswith(("stem.", "stages.0.", "stages.1."))]
    image = paddle.to_tensor(filled.image(64))
    model.eval()
    with paddle.no_grad():
        stem = model.stem(image)
        first, second = backbone(image)
    assert (first == stem).all()
    assert second.shape[1] == backbone.channels[1] == 256


@pytest.mark.parametrize("indices", [[], [0], [4, 4], [7, 4], [99]])
def test_impossible_maps(indices):
    with pytest.raises(UserError, match="out_indices: expected ascending"):
        build_backbone(SMALL, indices)


def test_summary_is_in_millions():
    summary = summarize("MixNet_S")
    assert (round(summary.params_m, 3), round(summary.flops_m, 3)) == (4.167, 252.977)


# ---- export


EXPORT = """
import sys, numpy as np, paddle
from paddle import inference
from ppcls_lite.arch import build_model
folder = sys.argv[1]
image = np.random.RandomState(0).normal(0, 1, (2, 3, 64, 64)).astype("float32")
for name in sys.argv[2:]:
    model = build_model(name); model.eval()
    with paddle.no_grad():
        expected = model(paddle.to_tensor(image)).numpy()
    spec = [paddle.static.InputSpec([None, 3, 64, 64], "float32")]
    paddle.jit.save(paddle.jit.to_static(model, input_spec=spec), f"{folder}/{name}")
    config = inference.Config(f"{folder}/{name}.pdmodel", f"{folder}/{name}.pdiparams")
    config.disable_gpu(); config.switch_ir_optim(False); config.disable_glog_info()
    getattr(config, "disable_mkldnn", lambda: None)()
    predictor = inference.create_predictor(config)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(image)
    predictor.run()
    found = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    assert expected.std() > 0 and (found == expected).all(), name
"""


def test_exported_networks_agree_bitwise(tmp_path):
    """In a process of its own: the format of the export is chosen before Paddle is imported."""
    names = ["MobileNetV3_small_x0_35", "ShuffleNetV2_x0_25", "MixNet_S", "PPHGNetV2_B0", "ResNet18_vd", "ResNet18"]
    names.append("PPHGNet_tiny")
    environ = {**os.environ, "FLAGS_enable_pir_api": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", EXPORT, str(tmp_path), *names]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_flops_are_counted_where_numpy_ends_a_conversion(monkeypatch):
    """NumPy 2.4 raises for int() of an array of one number, which paddle.flops relies on."""
    from ppcls_lite.arch import summary

    expected = summary.summarize("MobileNetV3_small_x0_35", 32)

    def refuse(tensor):
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")

    monkeypatch.setattr(summary.paddle.Tensor, "__int__", refuse)
    with pytest.raises(TypeError):
        summary.paddle.flops(summary.build_model("MobileNetV3_small_x0_35"), [1, 3, 32, 32])
    monkeypatch.setattr(summary, "_numpy_refuses", lambda: True)
    assert summary.summarize("MobileNetV3_small_x0_35", 32) == expected
    assert summary.paddle.Tensor.__int__ is refuse  # it is as it was
