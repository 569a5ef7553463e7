"""InsightFace's checkpoints, one file per parameter, in both directions."""

import json
import re

import numpy as np
import paddle
import pytest

from ppcls_lite.arch.from_config import build_network
from ppcls_lite.utils.errors import UserError
from tools.insightface import checkpoint, translate

CONFIG = translate.model_config("MobileFaceNet_128", 128)
HEAD = {"name": "ArcMargin", "embedding_size": 128, "class_num": 5}


@pytest.fixture(scope="module")
def arrays():
    """The state of a RecModel with other numbers than a new network has."""
    paddle.seed(3)
    network = build_network({**CONFIG, "Arch": {**CONFIG["Arch"], "Head": HEAD}})
    rng = np.random.default_rng(3)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return {name: (array + rng.uniform(0, 0.1, array.shape)).astype(np.float32) for name, array in state.items()}


@pytest.fixture
def folder(arrays, tmp_path):
    checkpoint.write_checkpoint(tmp_path / "net/3", arrays, 3)
    return tmp_path / "net/3"


def test_names_are_those_of_paddle(arrays):
    """As InsightFace's own network names its parameters where it is the first that a process builds."""
    entries = [name[len("backbone.") :] for name in arrays if name.startswith("backbone.")]
    names = checkpoint.parameter_names(entries)
    assert len(names) == len(set(names.values())) == 283
    assert [names[entry] for entry in entries[:6]] == [
        "create_parameter_0.w_0",
        "create_parameter_1.w_0",
        "create_parameter_2.w_0",
        "batch_norm2d_0.w_1",
        "batch_norm2d_0.w_2",
        "p_re_lu_0.w_0",
    ]
    assert names["blocks.0.conv.0.weight"] == "create_parameter_6.w_0"
    assert names["blocks.14.conv.5._weight"] == "p_re_lu_31.w_0"
    assert names["linear7.conv.weight"] == "create_parameter_144.w_0"
    assert names["linear1.bn.bias"] == "create_parameter_149.w_0"
    assert names["linear1.bn._variance"] == "batch_norm2d_49.w_2"


def test_what_is_written_is_read(arrays, folder):
    network = checkpoint.build_backbone(CONFIG, folder)
    for name, tensor in network.state_dict().items():
        assert np.array_equal(tensor.numpy(), arrays[name]), name
    assert np.array_equal(checkpoint.read_head(folder), arrays["head.weight"])
    meta = json.loads((folder / "meta.json").read_text())
    assert (meta["epoch"], meta["num_classes"], meta["embedding_size"]) == (3, 5, 128)
    loaded = paddle.load(str(folder / "create_parameter_0.w_0.pdparam"), return_numpy=True)
    assert np.array_equal(loaded, arrays["backbone.conv1.conv.weight"])  # as InsightFace reads it


def test_counters_may_begin_anywhere(arrays, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.glob("*.pdparam"):
        name = re.sub(r"_(\d+)\.w_", lambda found: f"_{int(found[1]) + 150}.w_", path.name)
        (other / name).write_bytes(path.read_bytes())
    network = checkpoint.build_backbone(CONFIG, other)
    assert np.array_equal(
        network.state_dict()["backbone.conv1.conv.weight"].numpy(), arrays["backbone.conv1.conv.weight"]
    )


def test_heads_of_several_gpus_are_put_together(arrays, folder):
    whole = arrays["head.weight"]
    for rank, part in enumerate((whole[:, :3], whole[:, 3:])):
        paddle.save(paddle.to_tensor(part), str(folder / f"dist@fc@rank@{rank:05d}.w.pdparam"))
    assert np.array_equal(checkpoint.read_head(folder), whole)
    for path in folder.glob("dist@*"):
        path.unlink()
    with pytest.raises(UserError, match="there is no dist@fc@rank@00000"):
        checkpoint.read_head(folder)


@pytest.mark.parametrize("prefix", ["backbone.", ""])
def test_weights_files_are_read_too(prefix, arrays, tmp_path):
    ours = {
        prefix + name[len("backbone.") :]: paddle.to_tensor(array)
        for name, array in arrays.items()
        if name.startswith("backbone.")
    }
    paddle.save(ours, str(tmp_path / "best_model.pdparams"))
    for path in (tmp_path / "best_model", tmp_path / "best_model.pdparams"):
        network = checkpoint.build_backbone(CONFIG, str(path))
        assert np.array_equal(
            network.state_dict()["backbone.linear1.bn.bias"].numpy(), arrays["backbone.linear1.bn.bias"]
        )


def fault_of(folder, config=CONFIG):
    with pytest.raises(UserError) as found:
        checkpoint.build_backbone(config, folder)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_faults_are_named(arrays, folder, tmp_path):
    assert "no such weights file" in fault_of(str(tmp_path / "none"))
    assert "linear1" in fault_of(folder, translate.model_config("MobileFaceNet_128", 64))
    path = folder / "create_parameter_7.w_0.pdparam"
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    assert f"{path}: not a Paddle weights file, or a damaged one" in fault_of(folder)
    path.write_bytes(b"cos\nsystem\n(S'touch made'\ntR.")
    assert "refused" in fault_of(folder)
    paddle.save(paddle.to_tensor(np.full(128, np.nan, np.float32)), str(path))
    assert "nan or infinite" in fault_of(folder)
    path.unlink()
    assert "expected 283 files of a MobileFaceNet's parameters, found 282" in fault_of(folder)
    path.write_bytes(content)
    (folder / "batch_norm2d_3.w_2.pdparam").rename(folder / "batch_norm2d_3.w_1.pdparam")
    assert "282" in fault_of(folder)


def test_an_older_folder_is_replaced(arrays, folder):
    (folder / "left.pdopt").touch()
    checkpoint.write_checkpoint(folder, arrays, 4)
    assert not (folder / "left.pdopt").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["3"]
