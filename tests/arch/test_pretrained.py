"""Weights of networks: from a file, for other class counts, and from a server (tests/utils/test_download.py)."""

import functools

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import build_model, pretrained
from ppcls_lite.utils.errors import UserError
from tests.helpers.file_server import FileServer

SMALL = "MobileNetV1_x0_25"  # the cheapest network to build


# ---- weights from a file


@pytest.fixture
def weights(tmp_path):
    """(path of a .pdparams file of SMALL, its state dict as arrays)."""
    model = build_model(SMALL)
    path = tmp_path / "weights.pdparams"
    paddle.save(model.state_dict(), str(path))
    return path, {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def test_weights_file_fills_everything(weights):
    path, arrays = weights
    state = build_model(SMALL, pretrained=str(path)).state_dict()
    assert all((state[name].numpy() == array).all() for name, array in arrays.items())


def test_other_class_count_keeps_its_own_head(weights, caplog, monkeypatch):
    path, arrays = weights
    monkeypatch.setattr(pretrained.logger, "propagate", True)  # caplog listens at the root
    model = build_model(SMALL, class_num=5, pretrained=str(path))
    state = model.state_dict()
    assert all((state[name].numpy() == array).all() for name, array in arrays.items() if "fc." not in name)
    assert state["fc.weight"].shape == [256, 5]
    assert "left as initialised: fc.weight has shape [256, 1000], expected [256, 5]" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("blocks.3.depthwise_conv.bn._mean"), "bn._mean' is not in the file"),
        (lambda arrays: arrays.update({"conv.conv.weight": np.zeros([4, 3, 3, 3], "float32")}), r"\[4, 3, 3, 3\]"),
    ],
)
def test_weights_of_another_network(weights, tmp_path, change, message):
    arrays = dict(weights[1])
    change(arrays)
    path = tmp_path / "other.pdparams"
    paddle.save({name: paddle.to_tensor(array) for name, array in arrays.items()}, str(path))
    with pytest.raises(UserError, match=message):
        build_model(SMALL, pretrained=str(path))


def test_no_weights():
    with pytest.raises(UserError, match="no_such_file"):
        build_model(SMALL, pretrained="no_such_file")
    with pytest.raises(UserError, match=r"Arch.pretrained.*found 3"):
        build_model(SMALL, pretrained=3)


# ---- weights from the server


@pytest.mark.parametrize(
    ("name", "use_ssld", "end"),
    [
        ("MobileNetV1_x1_0", False, "dygraph/legendary_models/MobileNetV1_pretrained.pdparams"),
        ("MobileNetV3_small_x1_0", True, "dygraph/legendary_models/MobileNetV3_small_x1_0_ssld_pretrained.pdparams"),
        ("ResNet50", False, "dygraph/legendary_models/ResNet50_pretrained.pdparams"),
        ("ShuffleNetV2_x1_0", False, "dygraph/ShuffleNetV2_x1_0_pretrained.pdparams"),
        ("PPHGNetV2_B0", False, "dygraph/legendary_models/PPHGNetV2_B0_ssld_stage1_pretrained.pdparams"),
        ("PPHGNetV2_B0", True, "dygraph/legendary_models/PPHGNetV2_B0_ssld_stage1_pretrained.pdparams"),
        ("PPHGNetV2_B0", "stage2", "dygraph/legendary_models/PPHGNetV2_B0_ssld_pretrained.pdparams"),
    ],
)
def test_addresses(name, use_ssld, end):
    assert pretrained.weights_url(build_model(name), name, use_ssld).endswith(f"bcebos.com/{end}")


def test_ssld_must_be_known():
    with pytest.raises(UserError, match=r"use_ssld.*stage3"):
        pretrained.weights_url(build_model(SMALL), SMALL, "stage3")


@pytest.fixture
def cached(tmp_path, monkeypatch, weights):
    """(function that downloads SMALL's weights from a server, the server); the file comes to `cache_file(tmp_path)`."""
    monkeypatch.setenv("PPCLS_LITE_HOME", str(tmp_path / "home"))
    with FileServer(weights[0].read_bytes()).running() as server:
        monkeypatch.setattr(pretrained, "_SERVER", server.address)
        yield functools.partial(build_model, SMALL, pretrained=True), server


def cache_file(tmp_path):
    return tmp_path / "home" / "weights" / f"{SMALL}_pretrained.pdparams"


def test_official_weights_are_downloaded_once_and_fill_the_network(cached, weights, tmp_path):
    build, server = cached
    for _ in range(2):
        state = build().state_dict()
        assert all((state[name].numpy() == array).all() for name, array in weights[1].items())
    assert [path for path, _ in server.requests] == [f"/dygraph/legendary_models/{SMALL}_pretrained.pdparams"]
    assert cache_file(tmp_path).read_bytes() == server.body


def test_weights_of_a_persons_own_address(cached, weights, tmp_path):
    _, server = cached
    build_model(SMALL, pretrained=f"{server.address}/mine.pdparams")
    assert cache_file(tmp_path).with_name("mine.pdparams").read_bytes() == server.body


def test_a_download_that_fails_is_one_line_of_the_user(cached, tmp_path):
    build, server = cached
    server.content_type = "text/html"
    with pytest.raises(UserError, match=rf"cannot download .*a web page.*put it at {cache_file(tmp_path)}"):
        build()
