"""whole_infer: weights and exported models come by their address, and what cannot be had or measured is said."""

import re
from pathlib import Path

import paddle
import pytest
import yaml

from ppcls_lite.arch import build_model, pretrained
from ppcls_lite.utils.safe_load import load_arrays
from steps import read_steps
from tests.chain.test_driver_real import tiny  # noqa: F401
from tests.helpers.configs import random_weights, save_arrays
from tests.helpers.file_server import FileServer
from tests.helpers.preparation import pack
from tests.helpers.shell import ROOT, bash
from tools.tables.series import is_own, read_series

CONFIGS = sorted(path.parent.name for path in (ROOT / "test_tipc/configs").glob("*/train_infer_python.txt"))
AWAITED = {f"CenterNet_{name}" for name in ("MobileNetV1_x1_0", "MobileNetV3_large_x1_0")}
WEIGHTS = b"\x80weights."
REASON = "these are images of toys: an accuracy on ImageNet cannot be measured"


@pytest.fixture
def server():
    with FileServer(WEIGHTS).running() as running:
        yield running


@pytest.fixture
def infer(chain):
    """Run the chain in the mode whole_infer, after a change of its lines `key=value`."""

    def infer(*options, pretrained_model_url=None, infer_model="../inference/", **environment):
        chain.set("pretrained_model_url", pretrained_model_url or "null").set("infer_model", infer_model)
        return chain.run(*options, mode="whole_infer", **environment)

    return infer


def test_weights_by_their_address(chain, infer, server):
    for _ in range(2):
        run = infer(pretrained_model_url=f"{server.address}/dygraph/net_pretrained.pdparams?v=1#x")
        assert run.status == 0, run.out + run.err
    assert server.requests == [("/dygraph/net_pretrained.pdparams?v=1", None)]
    assert (chain.tree / "pretrain_models/net_pretrained.pdparams").read_bytes() == WEIGHTS
    arguments = [call[1] for call in chain.calls("export")]
    assert all("Global.pretrained_model=pretrain_models/net_pretrained" in words for words in arguments)
    assert "pretrain_models/net_pretrained.pdparams" in (run.folder / "inputs.sha256").read_text()


def test_weights_that_cannot_be_had_fail_in_one_line_and_by_hand_they_can(chain, infer):
    address = "http://127.0.0.1:9/dygraph/hand_pretrained.pdparams"
    run = infer(pretrained_model_url=address)
    assert run.status == 1
    assert run.results == {"prepare": "failed"}
    (error,) = [line for line in run.err.splitlines() if line.startswith("error: ")]
    assert re.fullmatch(
        rf"error: cannot download {address} \(.*\); you can also fetch it elsewhere and put it at "
        r"pretrain_models/hand_pretrained.pdparams",
        error,
    )
    assert chain.calls() == []
    (chain.tree / "pretrain_models").mkdir(exist_ok=True)
    (chain.tree / "pretrain_models/hand_pretrained.pdparams").write_bytes(b"mine")
    run = infer(pretrained_model_url=address)
    assert run.status == 0, run.out + run.err


def test_an_address_is_asked_at_the_mirror(infer, server):
    address = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/mirrored_pretrained.pdparams"
    run = infer(pretrained_model_url=address, TIPC_MIRROR=f"{server.address}/copy")
    assert run.status == 0, run.out + run.err
    assert server.requests == [("/copy/dygraph/mirrored_pretrained.pdparams", None)]


@pytest.mark.parametrize("line", ["infer_model", "pretrained_model_url"])
def test_an_exported_model_by_its_address(chain, infer, server, tmp_path, line):
    server.body = pack(tmp_path / "a.tar", f"{line}_infer/", f"{line}_infer/inference.pdmodel").read_bytes()
    chain.set("eval", "null").set("infer_export", "False").set("norm_export", "null")
    lines = {"infer_model": f"../{line}_infer/", line: f"{server.address}/{line}_infer.tar"}
    run = infer(**lines)
    assert run.status == 0, run.out + run.err
    assert f"Global.inference_model_dir=../{line}_infer" in [word.rstrip("/") for word in chain.arguments("infer")]
    assert (chain.tree / f"{line}_infer/inference.pdmodel").read_text() == "x"
    assert f"{line}_infer/inference.pdmodel" in (run.folder / "inputs.sha256").read_text()


def test_an_archive_that_leaves_its_folder_is_refused(chain, infer, server, tmp_path):
    server.body = pack(tmp_path / "a.tar", "evil_infer/x", "../evil").read_bytes()
    chain.set("eval", "null").set("infer_export", "False").set("norm_export", "null")
    run = infer(infer_model=f"{server.address}/evil_infer.tar")
    assert run.status == 1
    assert "lies outside the folder: expected relative paths; delete pretrain_models/evil_infer.tar" in run.err
    assert not (chain.tree / "evil_infer").exists()
    assert chain.calls() == []


def test_weights_that_were_exchanged_between_two_stages_are_seen(chain, infer):
    path = chain.tree / "pretrain_models/folder_net"
    path.mkdir(parents=True)
    (path / "fc.weight").write_bytes(b"one")  # a folder with a file for each variable
    assert infer("--stop_stage", "4", pretrained_model_url="pretrain_models/folder_net").status == 0
    (path / "fc.weight").write_bytes(b"two")
    run = infer("--stage", "4", pretrained_model_url="pretrain_models/folder_net")
    assert run.status == 1
    assert "changed: pretrain_models/folder_net/fc.weight" in run.out
    seen = {step.name: step.facts.get("weights") for step in read_steps(run.folder / "steps.tsv")}
    assert seen["export"] not in (seen["evaluate"], None)


# ---- what is evaluated


@pytest.fixture
def replaced(chain):
    """A YAML file of the evaluation whose folder of data replaces another one, and the file that says so."""
    data = chain.tree / "dataset/toys"
    data.mkdir(parents=True, exist_ok=True)
    (chain.folder / "eval.yaml").write_text("Eval:\n  image_root: ./dataset/toys/\n")
    chain.set("eval", f"{chain.programs}/eval.py -c {chain.folder}/eval.yaml")
    marker = data / "test_tipc_replaced.txt"
    marker.write_text(REASON + "\n")
    return marker


def test_replaced_data_are_not_evaluated(chain, infer, replaced, server):
    address = f"{server.address}/net_pretrained.pdparams"
    run = infer(pretrained_model_url=address)
    assert run.status == 0, run.out + run.err
    assert ("evaluate", "skipped", REASON) in run.steps
    assert chain.calls("eval") == []
    assert chain.run().results["evaluate"] == "passed"  # a training on them is judged on them
    replaced.unlink()
    assert infer(pretrained_model_url=address).results["evaluate"] == "passed"


# ---- a real network, from its address to equal predictions


def test_a_real_chain_from_an_address(chain, tiny, tmp_path):  # noqa: F811
    """Filled weights under an official name; the images are in the place of others, so nothing is evaluated."""
    body = save_arrays(random_weights("MobileNetV3_small_x0_35", 6), tmp_path / "w.pdparams").read_bytes()
    content = yaml.safe_load(tiny.read_text())
    data = chain.tree / "dataset/ImageNet"
    (data / "test_tipc_replaced.txt").parent.mkdir(parents=True)
    (data / "test_tipc_replaced.txt").write_text(REASON + "\n")
    for part in ("Train", "Eval"):
        section = content["DataLoader"][part]["dataset"]
        section["image_root"] = "./dataset/ImageNet/"
        for name in ("train", "val"):
            if not (data / name).exists():
                (data / name).symlink_to(ROOT / "lite_data" / name)
    path = tmp_path / "net.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    for field, script in (("eval", "eval"), ("norm_export", "export_model")):
        chain.set(field, f"tools/{script}.py -c {path}")
    chain.set("inference", "python/predict_cls.py -c configs/inference_cls.yaml")
    with FileServer(body).running() as server:
        server.md5, server.cuts, server.cut_at = True, 1, len(body) // 2
        chain.set("pretrained_model_url", f"{server.address}/MobileNetV3_small_x0_35_pretrained.pdparams")
        run = chain.run(mode="whole_infer")
    assert run.status == 0, run.out + run.err
    assert "and all predictions agree" in run.out
    assert ("evaluate", "skipped", REASON) in run.steps
    assert run.results["agree"] == run.results["agree observed"] == "passed"


# ---- the shipped configs


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_has_weights_that_are_there_or_an_official_address(name):
    text = (ROOT / f"test_tipc/configs/{name}/train_infer_python.txt").read_text()
    (value,) = re.findall(r"(?m)^(?:pretrained_model_url|train_model):(.*)$", text)
    if value.startswith("https://"):
        with paddle.LazyGuard():
            model = build_model(name)
        official = {pretrained.weights_url(model, name, kind) for kind in (False, True, *["stage2"] * model.ssld_only)}
        assert value in official
        images = re.search(r"(?m)^-o Global.infer_imgs:(.*)$", text)[1]
        assert "whole_infer=../test_images" in images
    else:
        path = ROOT / value
        there = path.exists() or Path(f"{path}.pdparams").exists()
        if not there and is_own(name, read_series()):
            pytest.skip("a network of a reader's own, whose weights are not trained yet")
        assert there == (name not in AWAITED), "weights that have come are not awaited any more"
        assert not there or load_arrays(path)
    ask = 'cd "$0"; read_config "$1"; weights_for_whole_infer; config_declares data'
    run = bash(ask, f"test_tipc/configs/{name}/train_infer_python.txt", MODE="whole_infer")
    weights, *data = run.out.split()
    assert weights == value.removeprefix("./") or weights == f"pretrain_models/{value.rpartition('/')[2]}"
    assert "test_tipc/prepare_data.sh" in data, "nobody would make the data that are evaluated"


def test_no_file_of_weights_is_above_25_mb():
    files = [path for path in (ROOT / "pretrain_models").rglob("*") if path.is_file()]
    ours = [path for path in files if not path.name.endswith("_pretrained.pdparams")]
    assert len(ours) >= 3
    assert [path for path in ours if path.stat().st_size > 25e6] == []
