"""A recognizer exported: its form, its `inference.yml`, and its features bit by bit, in both formats."""

import copy

import numpy as np
import paddle
import pytest
import yaml

from ppcls_lite.arch.from_config import build_network, load_network
from ppcls_lite.infer.engines import EngineOptions, available_engines, create_engine
from ppcls_lite.utils import paddle_version
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.safe_load import load_arrays
from tests.helpers.configs import NETWORK, random_arrays, save_arrays
from tests.helpers.scripts import assert_one_line, run_process

EXPORT = "tools/export_model.py"
IMAGES = np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)
HEAD = {"name": "ArcMargin", "class_num": 3}
ARCHS = {
    "a linear neck": {
        "Backbone": {"name": NETWORK},
        "BackboneStopLayer": {"name": "flatten"},
        "Neck": {"name": "FC", "class_num": 24},
    },
    "a batch norm": {
        "Backbone": {"name": NETWORK},
        "BackboneStopLayer": {"name": "flatten"},
        "Neck": {"name": "BNNeck"},
    },
    "no neck": {"Backbone": {"name": "MobileFaceNet", "input_size": 32, "feature_dim": 24}},
    "zeros": {
        "Backbone": {"name": NETWORK},
        "BackboneStopLayer": {"name": "flatten"},
        "Neck": {"name": "FC", "class_num": 24, "bias_attr": False},
    },
}


@pytest.fixture(scope="module")
def rec_config(_tiny_config):
    """A config of a recognition as PaddleClas's: without Infer, with Eval.Query."""
    content = copy.deepcopy(_tiny_config)
    content["DataLoader"]["Eval"] = {"Query": content["DataLoader"]["Eval"]}
    del content["Infer"]
    content["Global"]["eval_mode"] = "retrieval"
    return content


@pytest.fixture(scope="module")
def exports(rec_config, tmp_path_factory):
    """`exports(arch, format)`: (path of the config, folder of the exported model), each made once."""
    made = {}

    def export(arch, form):
        if (arch, form) not in made:
            folder = tmp_path_factory.mktemp("rec")
            content = copy.deepcopy(rec_config)
            content["Arch"] = {"name": "RecModel", **ARCHS[arch], "Head": HEAD}
            arrays = random_arrays(build_network(content))
            if arch == "zeros":
                arrays["neck.fc.weight"][:] = 0
            weights = save_arrays(arrays, folder / "weights.pdparams")
            settings = {"save_inference_dir": str(folder / "model"), "export_format": form}
            content["Global"].update(pretrained_model=str(weights), **settings)
            path = folder / "config.yaml"
            path.write_text(yaml.safe_dump(content, sort_keys=False))
            outcome = run_process(EXPORT, "-c", path)
            assert outcome.status == 0, outcome.err
            made[arch, form] = path, folder / "model"
        return made[arch, form]

    return export


def formats():
    return ["pdmodel", "json"] if paddle_version.number() >= (3, 0) else ["pdmodel"]


def trained(path):
    """The features of the trained network, computed as in a command."""
    paddle.base.core.set_num_threads(1)
    network = load_network(load_config(path)).deployed()
    network.eval()
    with paddle.no_grad():
        return network(paddle.to_tensor(IMAGES)).numpy()


def exported(model, name="paddle", options=None):
    with create_engine(name, model, options or EngineOptions().strict()) as engine:
        return engine.run(IMAGES)


@pytest.mark.parametrize("form", formats())
@pytest.mark.parametrize("arch", [name for name in ARCHS if name != "zeros"])
def test_exported_features_are_the_trained_ones_bit_by_bit(exports, arch, form):
    path, model = exports(arch, form)
    found, expected = exported(model), trained(path)
    assert (found == expected).all()
    lengths = np.sqrt((found.astype(np.float64) ** 2).sum(axis=1))
    assert np.abs(lengths - 1).max() < 1e-6
    assert np.abs(found[0] - found[1]).max() > 1e-3  # they are not all the same


def test_features_of_zeros_are_no_nan(exports):
    path, model = exports("zeros", "pdmodel")
    assert (exported(model) == 0).all()
    assert (trained(path) == 0).all()


@pytest.mark.parametrize("name", ["onednn", "onnxruntime", "openvino"])
def test_other_engines_agree(exports, name):
    path, model = exports("a linear neck", "pdmodel")
    if reason := available_engines(None, model)[name]:
        pytest.skip(reason)
    options = EngineOptions(ir_optim=name == "onednn", cpu_num_threads=1)
    assert np.abs(exported(model, name, options) - trained(path)).max() < 1e-5
    assert (exported(exports("zeros", "pdmodel")[1], name, options) == 0).all()


def test_what_the_query_has_is_what_the_model_has(exports, rec_config):
    _, model = exports("no neck", "pdmodel")
    own = yaml.safe_load((model / "inference.yml").read_text())
    ops = rec_config["DataLoader"]["Eval"]["Query"]["dataset"]["transform_ops"]
    assert own["PreProcess"]["transform_ops"] == [*ops, {"ToCHWImage": None}]
    assert own["PostProcess"] == {"name": "Embedding"}
    assert (own["Global"]["model_name"], own["Global"]["image_shape"]) == ("RecModel", [3, 32, 32])
    assert not (model / "label_list.txt").exists()


def test_the_head_is_not_in_the_file(exports):
    """Neither its weights: a file without them has no room for the identities of the training."""
    path, model = exports("a linear neck", "pdmodel")
    arrays = load_network(load_config(path)).state_dict()
    expected = 4 * sum(int(array.size) for name, array in arrays.items() if not name.startswith("head."))
    assert expected <= (model / "inference.pdiparams").stat().st_size < expected + 100 * len(arrays)


def test_weights_alone_are_exported_with_the_head(exports, tmp_path, run_here):
    path, _ = exports("a linear neck", "pdmodel")
    outcome = run_here(EXPORT, "-c", path, "--persistable", "--o", tmp_path / "again")
    assert outcome.status == 0, outcome.err
    assert load_arrays(tmp_path / "again").keys() == load_network(load_config(path)).state_dict().keys()


def test_a_head_of_other_identities_changes_no_embedding(exports, tmp_path, run_here):
    path, model = exports("a linear neck", "pdmodel")
    other, folder = ("-o", "Arch.Head.class_num=8"), tmp_path / "model"
    outcome = run_process(EXPORT, "-c", path, *other, "-o", f"Global.save_inference_dir={folder}")
    assert outcome.status == 0, outcome.err
    left = "the head is left as initialised: expected {'head.weight': [24, 8]}, found {'head.weight': [24, 3]}"
    assert left in outcome.out
    assert (folder / "inference.pdiparams").read_bytes() == (model / "inference.pdiparams").read_bytes()
    judged = ("tools/eval.py", "-c", path, "-o", "Metric.Eval=[Recallk: {topk: [1]}]")
    plain, found = (run_here(*judged, *words) for words in ((), other))
    assert left in found.out, found.err
    assert left not in plain.out
    assert found.out.partition("[Eval]")[2] == plain.out.partition("[Eval]")[2] != ""
    refused = run_process(EXPORT, "-c", path, *other, "--persistable", "--o", tmp_path / "again")
    assert_one_line(refused, "head.weight is [24, 3], expected [24, 8]")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "Global.image_shape=[3, 48, 48]",
            "Global.image_shape is [3, 48, 48], but Infer.transforms make images of [3, 32",
        ),
        ("Infer.PostProcess={name: Topk}", "Infer.PostProcess.name: expected Embedding for RecModel, found 'Topk'"),
        ("~DataLoader.Eval.Query.dataset.transform_ops", "'Infer.transforms' is missing"),
        ("Global.pretrained_model=null", "Global.pretrained_model: no weights given"),
    ],
)
def test_what_cannot_be_exported_is_one_line(exports, run_here, override, message):
    path, _ = exports("no neck", "pdmodel")
    assert_one_line(run_here(EXPORT, "-c", path, "-o", override), message)
