"""Shared ground of the tests: a tiny data set, a config on it, weights with distinct outputs, scripts to run."""

import copy
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import yaml

from ppcls_lite.utils import errors
from ppcls_lite.utils.log import logger

ROOT = Path(__file__).resolve().parents[1]
NETWORK = "MobileNetV3_small_x0_35"  # the fastest one with dropout
NAMES = ("red", "green", "blue")
NORMALIZE = {"scale": "1.0/255.0", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "order": ""}

# `nohup` and `&` ignore signals, and what is ignored stays so in every child; a handler ends with the process
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


class Outcome(NamedTuple):
    """How a script ended."""

    status: int
    out: str
    err: str


def run_process(script, *options, cwd=ROOT, timeout=120, **environment):
    """Run an entry script of this repository in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, options)],
        cwd=cwd,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(autouse=True)
def log_of_its_own():
    """No test writes to the screen of an earlier one, which is closed."""
    handlers, propagate = list(logger.handlers), logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def run_here(monkeypatch, capsys):
    """`run_here(script, *options)` runs an entry script inside this process, where Paddle is loaded already."""

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


def assert_one_line(outcome, *expected):
    """The script ended with status 1 and exactly one line of error, which holds the `expected` texts."""
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert outcome.status == 1, outcome
    assert "Traceback" not in outcome.err + outcome.out
    assert len(errors) == 1, outcome.err
    for text in expected:
        assert text in errors[0]


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


def write_label_list(folder, names):
    (folder / "label_list.txt").write_text("".join(f"{label} {name}\n" for label, name in enumerate(names)))


def loader_section(dataset, batch_size, shuffle):
    """A part of a config's `DataLoader` for its `dataset`, read in the process itself."""
    sampler = {"name": "DistributedBatchSampler", "batch_size": batch_size, "drop_last": False, "shuffle": shuffle}
    return {"dataset": dataset, "sampler": sampler, "loader": {"num_workers": 0, "use_shared_memory": True}}


def global_section(side, eval_interval):
    """A config's `Global` for a short training on the CPU with images of `side` pixels."""
    return {
        "checkpoints": None,
        "pretrained_model": None,
        "device": "cpu",
        "save_interval": 2,
        "eval_during_train": True,
        "eval_interval": eval_interval,
        "epochs": 4,
        "print_batch_step": 2,
        "seed": 5,
        "image_shape": [3, side, side],
    }


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
    """A fresh copy of a whole training config on `tiny_data`, output in `tmp_path/out`."""
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


def random_weights(network=NETWORK, class_num=3, seed=3):
    """{name: array} that make outputs differ clearly from image to image, as trained weights do."""
    from ppcls_lite.arch import build_model

    return random_arrays(build_model(network, class_num=class_num), seed)


def random_arrays(model, seed=3):
    """`random_weights` for a network that is built already."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, tensor in model.state_dict().items():
        shape = tensor.shape
        if name.endswith("_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            value = rng.normal(size=shape) * np.sqrt(2 / max(np.prod(shape[1:]) if len(shape) == 4 else shape[0], 1))
        elif name.endswith("weight"):
            value = rng.uniform(0.8, 1.2, shape)
        else:
            value = rng.normal(size=shape) * 0.1
        arrays[name] = value.astype(np.float32)
    return arrays


def save_arrays(arrays, path):
    """Write named arrays as Paddle writes a state dict; returns `path`."""
    import paddle

    paddle.save({name: paddle.to_tensor(array) for name, array in arrays.items()}, str(path))
    return path


class Exported(NamedTuple):
    """A training config (path), the weights that fill its network, and the folder of the exported model."""

    config: Path
    weights: Path
    model: Path


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
def converted(exported, tmp_path_factory):
    """The folder of the `exported` model as Paddle Serving wants it."""
    folder = tmp_path_factory.mktemp("converted")
    places = ["--serving_server", folder / "server", "--serving_client", folder / "client"]
    outcome = run_process("deploy/paddleserving/convert.py", "--dirname", exported.model, *places)
    assert outcome.status == 0, outcome.err
    return folder / "server"


@pytest.fixture(scope="session")
def service(converted, tmp_path_factory):
    """One real server for all tests that leave it as it is."""
    from service import Service

    running = Service(tmp_path_factory.mktemp("service"), converted)
    yield running
    assert running.stop() == 0


def read_in_every_mode(name):
    """What the driver's own functions make of a chain's config: a line `<mode> <model> <export command>` a mode."""
    script = (
        'source test_tipc/common_func.sh; source test_tipc/config_dialects.sh; for MODE in "${MODES[@]}"; do '
        f"(read_config test_tipc/configs/{name}/train_infer_python.txt && name_config && "
        "{ choose_trainer norm_train || [[ $MODE == whole_infer ]]; } && "
        'echo "$MODE $MODEL ${VALUE[norm_export]}") || exit 1; done'
    )
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="session")
def det_set(tmp_path_factory):
    """The folder of a tiny detection set."""
    from detection import write_set  # which needs this file

    return write_set(tmp_path_factory.mktemp("det") / "set")


@pytest.fixture
def det_config(det_set, tmp_path):
    """A fresh training config of a detector on `det_set`, output in `tmp_path/out`."""
    from detection import make_config

    fresh = make_config(det_set)
    fresh["Global"]["output_dir"] = str(tmp_path / "out")
    return fresh


@pytest.fixture(scope="session")
def exported_detector(det_set, tmp_path_factory):
    """(config path, folder of the exported model), made once by tools/export_model.py."""
    from detection import detector_weights, make_config

    folder = tmp_path_factory.mktemp("exported_det")
    content = make_config(det_set)
    weights = save_arrays(detector_weights(content), folder / "weights.pdparams")
    content["Global"].update(pretrained_model=str(weights), save_inference_dir=str(folder / "model"))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    outcome = run_process("tools/export_model.py", "-c", path)
    assert outcome.status == 0, outcome.err
    return path, folder / "model"
