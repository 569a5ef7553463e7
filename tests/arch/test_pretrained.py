"""Weights files: loading, other class counts, and downloads from a real server that cuts, omits and changes files."""

import functools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppcls_lite.arch import build_model, download, pretrained
from ppcls_lite.utils.errors import UserError

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


class Server(BaseHTTPRequestHandler):
    """Serves `body`; cuts the connection after `cut_at` bytes while `cuts` lasts; notes the required ranges."""

    body, cuts, cut_at, tag, ranges = b"", 0, 0, '"one"', ()

    def do_GET(self):
        cls = type(self)
        ranged = self.headers.get("Range")
        cls.ranges = (*cls.ranges, ranged)
        if self.path.endswith("absent.pdparams"):
            self.send_error(404)
            return
        start = int(ranged[6:-1]) if ranged and self.headers.get("If-Range") == cls.tag else 0
        rest = cls.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", cls.tag)
        self.end_headers()
        if cls.cuts > 0:
            cls.cuts -= 1
            rest = rest[: cls.cut_at]
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(weights):
    Server.body, Server.cuts, Server.cut_at, Server.tag, Server.ranges = weights[0].read_bytes(), 0, 0, '"one"', ()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture
def cached(tmp_path, monkeypatch, server):
    """A function that downloads SMALL's weights from the server, into the folder that it returns a file of."""
    monkeypatch.setenv("PPCLS_LITE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(pretrained, "_SERVER", server)
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    return functools.partial(build_model, SMALL, pretrained=True)


def cache_file(tmp_path):
    return tmp_path / "home" / "weights" / f"{SMALL}_pretrained.pdparams"


def test_download_once(cached, tmp_path):
    cached()
    cached()
    assert len(Server.ranges) == 1
    assert cache_file(tmp_path).read_bytes() == Server.body
    assert not list(cache_file(tmp_path).parent.glob("*.part*"))


def test_cut_connection_is_resumed(cached, tmp_path):
    Server.cuts, Server.cut_at = 2, 1000
    cached()
    assert Server.ranges == (None, "bytes=1000-", "bytes=2000-")
    assert cache_file(tmp_path).read_bytes() == Server.body


def test_part_of_another_file_is_not_continued(cached, tmp_path):
    part = Path(f"{cache_file(tmp_path)}.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 500)
    Path(f"{part}.etag").write_text('"zero"')
    cached()
    assert Server.ranges == ("bytes=500-",)
    assert cache_file(tmp_path).read_bytes() == Server.body


def test_always_cut(cached, tmp_path):
    Server.cuts, Server.cut_at = 99, 10
    with pytest.raises(UserError, match=r"after 40 of .* bytes.*put it at .*weights/MobileNetV1_x0_25"):
        cached()
    assert not cache_file(tmp_path).exists()


def test_changed_file_is_not_used(cached, tmp_path):
    cached()
    cache_file(tmp_path).write_bytes(Server.body[:-1] + b"!")
    with pytest.raises(UserError, match=r"SHA-256 is .* delete both"):
        cached()


def test_file_put_there_by_hand(cached, tmp_path):
    cache_file(tmp_path).parent.mkdir(parents=True)
    cache_file(tmp_path).write_bytes(Server.body)
    cached()
    assert Server.ranges == ()
    assert Path(f"{cache_file(tmp_path)}.sha256").exists()


def test_absent_on_the_server(server, tmp_path):
    with pytest.raises(UserError, match=r"absent.pdparams \(the server answers 404.*put it at"):
        download.fetch(f"{server}/absent.pdparams", tmp_path)


def test_off_line(tmp_path):
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/a.pdparams \(.*put it at .*a.pdparams"):
        download.fetch("http://127.0.0.1:9/a.pdparams", tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's always-full device")
def test_full_disk(server, tmp_path):
    (tmp_path / "full.pdparams.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot keep .*full.pdparams \(No space left"):
        download.fetch(f"{server}/full.pdparams", tmp_path)
    assert not (tmp_path / "full.pdparams").exists()
