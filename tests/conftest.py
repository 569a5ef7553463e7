"""Fixtures of all tests: a tiny data set, a config for it, weights with distinct outputs, scripts to run."""

import copy
import importlib.util
import os
import signal
import sys

import cv2
import numpy as np
import pytest
import yaml

from ppcls_lite.infer.engines.base import say_once
from ppcls_lite.utils import errors, paddle_version
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.machine import speed_up_mkl
from tests.helpers.configs import (
    NAMES,
    NETWORK,
    NORMALIZE,
    Exported,
    global_section,
    loader_section,
    random_weights,
    save_arrays,
    write_label_list,
)
from tests.helpers.detection import detector_weights, make_config, write_set
from tests.helpers.recognition import make_rec_config, recognizer_weights, write_rec_set
from tests.helpers.scripts import ROOT, Outcome, run_process
from tests.helpers.service import Service

LONGEST_ID = 60  # characters of a parameter in the name of a test

speed_up_mkl()  # as the entry scripts do: the last bits of a sum depend on it

# `nohup` and `&` make a process ignore signals, and its children inherit that; they do not inherit a handler
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_make_parametrize_id(val):
    """The beginning of a long text, which would fill pages in a test's name; None: as pytest names it."""
    if not isinstance(val, (str, bytes)) or len(val) <= LONGEST_ID:
        return None
    return ascii(val[: LONGEST_ID - 3]).lstrip("b")[1:-1] + "..."


@pytest.fixture(autouse=True)
def _separate_log():
    """Restore the logger, so that no test writes to the closed screen of an earlier one."""
    handlers, propagate = list(logger.handlers), logger.propagate
    say_once.cache_clear()
    yield
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def run_here(monkeypatch, capsys):
    """`run_here(script, *options)` runs an entry script in this process, where Paddle is already loaded."""

    def run(script, *options):
        spec = importlib.util.spec_from_file_location("script_under_test", ROOT / script)
        module = importlib.util.module_from_spec(spec)
        environment = dict(os.environ)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [script, *map(str, options)])
        monkeypatch.setattr(errors, "leave", sys.exit)
        capsys.readouterr()
        if "paddle" in sys.modules:  # as in a fresh process: the last bits of a sum depend on the threads
            sys.modules["paddle"].base.core.set_num_threads(1)
        try:
            with pytest.raises(SystemExit) as ended:
                module.run_main(module.main)
        finally:
            os.environ.clear()
            os.environ.update(environment)
        captured = capsys.readouterr()
        return Outcome(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A folder of 14 training and 7 validation images of 3 classes, with lists and label names."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(7)
    for part, count in (("train", 14), ("val", 7)):
        lines = []
        for index in range(count):
            label = index % len(NAMES)
            image = rng.integers(0, 120, (40, 44, 3), dtype=np.uint8)
            image[..., 2 - label] += 130  # OpenCV keeps blue first
            cv2.imwrite(str(folder / f"{part}_{index}.png"), image)
            lines.append(f"{part}_{index}.png {label}\n")
        (folder / f"{part}_list.txt").write_text("".join(lines))
    write_label_list(folder, NAMES)
    return folder


def _loader(folder, part, ops, batch_size, shuffle):
    dataset = {
        "name": "ImageNetDataset",
        "image_root": str(folder),
        "cls_label_path": str(folder / f"{part}_list.txt"),
        "transform_ops": ops,
    }
    return loader_section(dataset, batch_size, shuffle)


@pytest.fixture(scope="session")
def _tiny_config(tiny_data):
    decode, normalize = {"DecodeImage": {"to_rgb": True, "channel_first": False}}, {"NormalizeImage": NORMALIZE}
    still = [decode, {"ResizeImage": {"resize_short": 36}}, {"CropImage": {"size": 32}}, normalize]
    moving = [decode, {"RandCropImage": {"size": 32}}, {"RandFlipImage": {"flip_code": 1}}, normalize]
    losses = {"Train": [{"CELoss": {"weight": 1.0, "epsilon": 0.1}}], "Eval": [{"CELoss": {"weight": 1.0}}]}
    return {
        "Global": global_section(32, eval_interval=1),
        "Arch": {"name": NETWORK, "class_num": 3},
        "Loss": losses,
        "Optimizer": {
            "name": "Momentum",
            "momentum": 0.9,
            "lr": {"name": "Cosine", "learning_rate": 0.01, "warmup_epoch": 1},
            "regularizer": {"name": "L2", "coeff": 2e-5},
        },
        "DataLoader": {
            "Train": _loader(tiny_data, "train", moving, 4, True),
            "Eval": _loader(tiny_data, "val", still, 3, False),
        },
        "Infer": {
            "infer_imgs": str(ROOT / "test_images"),
            "batch_size": 10,
            "transforms": [*still, {"ToCHWImage": None}],
            "PostProcess": {"name": "Topk", "topk": 5, "class_id_map_file": str(tiny_data / "label_list.txt")},
        },
        "Metric": {"Train": [{"TopkAcc": {"topk": [1, 5]}}], "Eval": [{"TopkAcc": {"topk": [1, 5]}}]},
    }


@pytest.fixture
def config(_tiny_config, tmp_path):
    """A new copy of a complete training config for `tiny_data`, with its output in `tmp_path/out`."""
    fresh = copy.deepcopy(_tiny_config)
    fresh["Global"]["output_dir"] = str(tmp_path / "out")
    fresh["Global"]["save_inference_dir"] = str(tmp_path / "inference")
    return fresh


@pytest.fixture
def write_config(tmp_path):
    """`write_config(config, name="config.yaml")` writes a mapping as YAML and returns its path."""

    def write(content, name="config.yaml"):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def exported(_tiny_config, tmp_path_factory):
    """An `Exported`, made once by tools/export_model.py."""
    folder = tmp_path_factory.mktemp("exported")
    content = copy.deepcopy(_tiny_config)
    content["Global"]["pretrained_model"] = str(save_arrays(random_weights(), folder / "weights.pdparams"))
    content["Global"]["save_inference_dir"] = str(folder / "model")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    outcome = run_process("tools/export_model.py", "-c", path)
    assert outcome.status == 0, outcome.err
    return Exported(path, folder / "weights.pdparams", folder / "model")


@pytest.fixture(scope="session")
def exported_json(exported, tmp_path_factory):
    """The folder of the `exported` network in the format json; skipped where Paddle does not have it."""
    if paddle_version.number() < (3, 0):
        pytest.skip("Paddle 2 does not have the format json")
    folder = tmp_path_factory.mktemp("exported_json") / "model"
    options = ["-o", f"Global.save_inference_dir={folder}", "-o", "Global.export_format=json"]
    outcome = run_process("tools/export_model.py", "-c", exported.config, *options)
    assert outcome.status == 0, outcome.err
    return folder


@pytest.fixture(scope="session")
def converted(exported, tmp_path_factory):
    """The folder of the `exported` model, converted for Paddle Serving's server."""
    folder = tmp_path_factory.mktemp("converted")
    places = ["--serving_server", folder / "server", "--serving_client", folder / "client"]
    outcome = run_process("deploy/paddleserving/convert.py", "--dirname", exported.model, *places)
    assert outcome.status == 0, outcome.err
    return folder / "server"


@pytest.fixture(scope="session")
def service(converted, tmp_path_factory):
    """One real server, shared by all tests that do not change it."""
    running = Service(tmp_path_factory.mktemp("service"), converted)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def det_set(tmp_path_factory):
    """The folder of a tiny detection set."""
    return write_set(tmp_path_factory.mktemp("det") / "set")


@pytest.fixture
def det_config(det_set, tmp_path):
    """A new training config of a detector for `det_set`, with its output in `tmp_path/out`."""
    fresh = make_config(det_set)
    fresh["Global"]["output_dir"] = str(tmp_path / "out")
    return fresh


def _exported(content, arrays, folder):
    """(path of the config, folder of the model) of the config `content` with the weights {name: ndarray}."""
    weights = save_arrays(arrays, folder / "weights.pdparams")
    content["Global"].update(pretrained_model=str(weights), save_inference_dir=str(folder / "model"))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    outcome = run_process("tools/export_model.py", "-c", path)
    assert outcome.status == 0, outcome.err
    return path, folder / "model"


@pytest.fixture(scope="session")
def exported_detector(det_set, tmp_path_factory):
    """(path of the config, folder of the exported model), made once by tools/export_model.py."""
    content = make_config(det_set)
    return _exported(content, detector_weights(content), tmp_path_factory.mktemp("exported_det"))


@pytest.fixture(scope="session")
def rec_set(tmp_path_factory):
    """The folder of a tiny set of identities."""
    return write_rec_set(tmp_path_factory.mktemp("rec") / "set")


@pytest.fixture(scope="session")
def exported_recognizer(rec_set, tmp_path_factory):
    """(path of the config, folder of the exported model), made once by tools/export_model.py."""
    content = make_rec_config(rec_set)
    return _exported(content, recognizer_weights(content), tmp_path_factory.mktemp("exported_rec"))
