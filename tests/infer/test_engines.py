"""Every engine behind one interface: each registered one is either tested here or has a reason why it cannot run."""

import logging
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ppcls_lite.infer.engines import EngineOptions, auto, available_engines, create_engine, paddle_inference, tensorrt
from ppcls_lite.infer.engines.base import ENGINES, Engine
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from tests.helpers.scripts import LIMIT, ROOT, assert_one_line

NAMES = ENGINES.names()
CPU_ENGINES = ["onednn", "openvino", "paddle", "training", "training_export"]
IMAGES = np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)
STRICT = EngineOptions().strict()


@pytest.fixture
def model_of(exported):
    """What `create_engine` takes for an engine: the exported folder, or the training config."""
    config = load_config(exported.config)
    return lambda name: exported.model if ENGINES.get(name).takes_export else config


@pytest.fixture
def expected(model_of):
    """The training engine's probabilities for IMAGES."""
    with create_engine("training", model_of("training"), STRICT) as engine:
        return engine.run(IMAGES)


# ---- the table of engines


def test_registered_engines():
    assert set(CPU_ENGINES) | {"auto", "gpu", "onnxruntime", "tensorrt"} == set(NAMES)
    assert all(ENGINES.get(name).name == name and ENGINES.get(name).__doc__ for name in NAMES)
    assert [name for name in NAMES if ENGINES.get(name).exact] == ["paddle", "training", "training_export"]


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="engine 'paddle' is registered twice"):
        ENGINES.register(Engine, "paddle")


def test_the_table_needs_no_paddle():
    code = "import sys; import ppcls_lite.infer.engines; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=LIMIT).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_engine_agrees_or_says_why_not(name, model_of, expected):
    reason = available_engines()[name]
    if reason:
        assert name not in CPU_ENGINES
        with pytest.raises(UserError, match=f"^engine {name}: {re.escape(reason)}$"):
            create_engine(name, model_of(name))
        return
    # oneDNN comes by the IR passes
    options = replace(STRICT, engine=name, ir_optim=name == "onednn")
    with create_engine(name, model_of(name), options) as engine:
        scores = engine.run(IMAGES)
        one = np.concatenate([engine.run(IMAGES[i : i + 1]) for i in range(len(IMAGES))])  # another batch size
        assert engine.input_names == ["x"]
        assert re.match(r"(Paddle|ONNX Runtime) \d+\.\d+", engine.version)
        assert (engine.device, engine.threads) == ("cpu", 1)
    assert (scores.dtype, scores.shape) == (np.float32, (5, 3))
    assert np.abs(scores - expected).max() <= 1e-4
    assert np.abs(one - expected).max() <= 1e-4
    assert expected.std(axis=0).max() > 0.01  # the weights do tell these images apart
    if ENGINES.get(name).exact:
        assert (scores == expected).all()


def test_openvino_computes_by_itself(model_of, monkeypatch, tmp_path):
    """With IR passes off Paddle would leave OpenVINO out; and no copy of the model is left in the working directory."""
    monkeypatch.chdir(tmp_path)
    plain = create_engine("paddle", model_of("paddle"), STRICT).run(IMAGES)
    with create_engine("openvino", model_of("openvino"), STRICT) as engine:
        assert (engine.run(IMAGES) != plain).any()
    assert list(tmp_path.iterdir()) == []


# ---- the choice by options


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ({}, "onednn"),
        ({"enable_mkldnn": False}, "paddle"),
        ({"use_gpu": True}, "gpu"),
        ({"use_gpu": True, "use_tensorrt": True}, "tensorrt"),
        ({"engine": "openvino", "use_gpu": True}, "openvino"),
        ({"engine": None, "enable_mkldnn": None}, "onednn"),
    ],
)
def test_old_keys_name_an_engine(section, name):
    assert EngineOptions.from_config(section).engine_name == name


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"use_tensorrt": True}, "Global.use_tensorrt=True: TensorRT needs Global.use_gpu=True"),
        ({"use_fp16": True, "use_int8": True}, "expected at most one of them to be True"),
        ({"engine": "openvin"}, r"Global.engine: unknown engine 'openvin' \(did you mean 'openvino'\?\)"),
        ({"engine": "tensorrt"}, "engine tensorrt: this Paddle is the CPU build"),
        ({"engine": "gpu"}, "engine gpu: this Paddle is the CPU build"),
    ],
)
def test_wrong_options(section, message, exported):
    with pytest.raises(UserError, match=message) as caught:
        create_engine(None, exported.model, EngineOptions.from_config(section))
    assert caught.value.status == (77 if "CPU build" in message else 1)


def test_precision():
    assert [replace(EngineOptions(), **{key: True}).precision for key in ("use_fp16", "use_int8", "ir_optim")] == [
        "fp16",
        "int8",
        "fp32",
    ]


def test_int8_needs_a_quantised_model(exported, tmp_path):
    files = find_model(exported.model)
    with pytest.raises(UserError, match="needs a quantised model, and there is no quantisation operator"):
        tensorrt.check_quantised(files)
    content = files.structure.read_bytes()
    assert b"quantize" in content  # every model lists the versions of all operators, which means nothing
    planted = files._replace(structure=tmp_path / "inference.pdmodel")
    planted.structure.write_bytes(content.replace(b"\x1a\nhard_swish", b"\x1a\nquantize_x"))
    tensorrt.check_quantised(planted)


@pytest.mark.parametrize("options", [EngineOptions(), EngineOptions(use_fp16=True, batch_size=8)])
def test_tensorrt_is_configured_as_paddle_expects(exported, monkeypatch, options):
    """As far as a CPU can tell: the CPU build takes every argument, and then reports that it has no TensorRT."""
    import paddle
    from paddle import inference

    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle can use a GPU")
    monkeypatch.setattr(paddle_inference, "why_no_gpu", lambda paddle: "")
    engine = object.__new__(tensorrt.TensorRTEngine)
    engine.model, engine.options = find_model(exported.model), options
    with pytest.raises(RuntimeError, match="compile with TENSORRT first"):
        engine.configure(inference.Config(*map(str, engine.model)), inference)


def test_engine_of_the_prediction_config(exported, run_here):
    options = ["-c", ROOT / "deploy/configs/inference_cls.yaml", "-o", f"Global.inference_model_dir={exported.model}"]
    options += ["-o", f"Global.infer_imgs={ROOT}/test_images", "-o", "Global.benchmark=True"]
    usual = run_here("deploy/python/predict_cls.py", *options)
    other = run_here("deploy/python/predict_cls.py", *options, "-o", "Global.engine=openvino")
    assert "engine: onednn" in usual.out
    assert "engine: openvino" in other.out
    assert usual.out.splitlines()[:5] == other.out.splitlines()[:5]
    wrong = run_here("deploy/python/predict_cls.py", *options, "-o", "Global.engine=openvin")
    assert_one_line(wrong, "unknown engine 'openvin' (did you mean 'openvino'?)")


# ---- auto


class Quick(Engine):
    """An engine that answers at once, with the plain engine's scores after `change`."""

    change = staticmethod(lambda scores: scores)

    def __init__(self, model, options=None):
        super().__init__(model, options)
        self.input_names = ["x"]
        self.plain = create_engine("paddle", model, options)
        self.kept = {}

    def compute(self, images):
        key = images.tobytes()
        if key not in self.kept:
            self.kept[key] = self.change(self.plain.run(images))
        return self.kept[key]


def plant(monkeypatch, change):
    monkeypatch.setitem(ENGINES._entries, "openvino", type("Planted", (Quick,), {"change": staticmethod(change)}))


def swapped(scores):
    return scores[:, ::-1].copy()


def broken(scores):
    return np.full_like(scores, np.nan)


def test_auto_takes_the_fastest_that_agrees(exported, monkeypatch, caplog):
    monkeypatch.setattr(auto.logger, "propagate", True)
    plant(monkeypatch, lambda scores: scores)
    with caplog.at_level(logging.INFO, "ppcls_lite"), create_engine("auto", exported.model, EngineOptions()) as engine:
        assert isinstance(engine.chosen, Quick)
        assert engine.run(IMAGES).shape == (5, 3)
    (line,) = [record.getMessage() for record in caplog.records if "engine auto" in record.getMessage()]
    assert re.search(r"took openvino 0\.\d\d ms \(differs by 0\), the fastest that agrees at batch size 1 of ", line)
    assert "of [3, 32, 32]; " in line
    assert all(re.search(rf"\b{name}\b", line) for name in NAMES if name not in ("auto", "training", "training_export"))


@pytest.mark.parametrize("change", [lambda scores: scores + np.float32(2e-4), swapped, broken, lambda s: s[:, :2]])
def test_auto_leaves_out_engines_that_disagree(exported, monkeypatch, change):
    plant(monkeypatch, change)
    with create_engine("auto", exported.model) as engine:
        assert engine.name in ("onednn", "onnxruntime", "paddle")
        (trial,) = [trial for trial in engine.trials if trial.name == "openvino"]
        assert trial.why_not.startswith("differs from the plain engine by ")
        assert not trial.usable


def test_auto_goes_on_after_an_engine_that_cannot_load(exported, monkeypatch):
    def fail(model, options):
        raise UserError("no libraries")

    fail.why_not = lambda options, model: ""
    monkeypatch.setitem(ENGINES._entries, "openvino", fail)
    with create_engine("auto", exported.model) as engine:
        assert [trial.why_not for trial in engine.trials if trial.name == "openvino"] == ["no libraries"]


def test_auto_does_not_hide_a_broken_model(tmp_path):
    for name in ("inference.pdmodel", "inference.pdiparams"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"Paddle Inference cannot load it: inference\.pdmodel is not a Paddle program"):
        create_engine("auto", tmp_path)


# ---- all engines on the validation list


def compare(run_here, exported, *options):
    options = ["-c", exported.config, "--inference_model_dir", exported.model, *options]
    return run_here("tools/compare_engines.py", *options)


def test_all_engines_are_compared(exported, run_here):
    outcome = compare(run_here, exported, "--engines", "all")
    assert outcome.status == 0, outcome
    lines = dict(line.split(": ", 1) for line in outcome.out.splitlines() if re.match(r"[a-z_]+: ", line))
    assert set(lines) == {"strict", *NAMES} - {"auto", "training"}
    for name in ("strict", "training_export"):
        assert lines[name].startswith("largest difference 0 (bitwise equality required), 7 of 7 images bitwise equal")
    for name, reason in available_engines().items():
        if reason:
            assert lines[name] == f"not compared: {reason}"
    assert all(
        "7 of 7 with the same top-5, 7 of 7 with the same top-1, accuracy top1 0." in lines[name]
        for name in ("strict", "paddle", "onednn", "openvino")
    )


def test_accuracy_is_that_of_the_evaluation(exported, run_here):
    outcome = compare(run_here, exported, "--engines", "openvino")
    (stated,) = re.findall(r"openvino: .* accuracy top1 ([\d.]+), top5 1.00000: agrees", outcome.out)
    evaluated = run_here("tools/eval.py", "-c", exported.config).out
    assert re.search(rf"top1: {re.escape(stated)}, top5: 1.00000", evaluated)


@pytest.mark.parametrize("change", [lambda scores: scores + np.float32(2e-4), swapped, broken])
def test_an_engine_that_differs_is_seen(exported, run_here, monkeypatch, change):
    plant(monkeypatch, change)
    outcome = compare(run_here, exported, "--engines", "onednn,openvino")
    assert_one_line(outcome, "its predictions are not those of the trained network")
    verdicts = [line.rpartition(": ")[2] for line in outcome.out.splitlines() if "largest difference" in line]
    assert verdicts == ["agrees", "agrees", "DISAGREES"]


def test_lists_without_labels_have_no_accuracy(exported, run_here, tmp_path):
    names = tmp_path / "list.txt"
    names.write_text("".join(f"{path}\n" for path in sorted((ROOT / "test_images").glob("*.jpg"))))
    for source in (names, ROOT / "test_images"):
        outcome = compare(run_here, exported, "--engines", "openvino", "--images", source)
        assert outcome.status == 0, outcome
        assert "5 of 5 with the same top-1: agrees" in outcome.out
        assert "accuracy" not in outcome.out


@pytest.mark.parametrize(
    ("engines", "message"),
    [
        ("openvin", "--engines: unknown engine 'openvin' (did you mean 'openvino'?)"),
        ("auto", "--engines: 'auto' is not an engine to compare"),
        ("gpu", "engine gpu: this Paddle is the CPU build"),
    ],
)
def test_wrong_engines(exported, run_here, engines, message):
    status = 77 if engines == "gpu" else 1
    assert_one_line(compare(run_here, exported, "--engines", engines), message, status=status)
