"""What an engine was requested is in effect, or it says so: each setting is broken here in turn, and seen."""

import logging
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from ppcls_lite.infer.engines import EngineOptions, create_engine, observe, openvino, paddle_inference, to_onnx
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.engines.effects import Effect, NotInEffect, listed
from ppcls_lite.infer.engines.observe import Result, optimisations
from ppcls_lite.infer.engines.threads import count_threads, openmp_threads, threads_effect
from ppcls_lite.infer.model.files import ModelFiles, find_model
from ppcls_lite.infer.model.storage import Operators
from ppcls_lite.utils import paddle_version
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.machine import usable_cores
from tests.helpers.scripts import ROOT, assert_one_line, run_process

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
PREDICT = "deploy/python/predict_cls.py"
CONFIG = ROOT / "deploy/configs/inference_cls.yaml"


def effects_of(name, model, **options):
    """{setting: (asked, found)} of an engine after its first batch."""
    with create_engine(name, model, EngineOptions(**options)) as engine:
        engine.run(IMAGES)
        return {effect.name: (effect.asked, effect.found) for effect in engine.effects}


def needs_openvino_in_paddle():
    if openvino.why_not_in_paddle():
        pytest.skip(openvino.why_not_in_paddle())


class Deaf:
    """A `paddle.inference.Config` that does nothing when one of its methods is called."""

    def __init__(self, config, method):
        self._config, self._method = config, method

    def __getattr__(self, name):
        return (lambda *words, **more: None) if name == self._method else getattr(self._config, name)


@pytest.fixture
def deaf(monkeypatch):
    """`deaf(method)`: from now on, Paddle ignores this method of its Config."""

    def plant(method):
        make, load = paddle_inference.new_config, paddle_inference._load
        monkeypatch.setattr(paddle_inference, "new_config", lambda *words: Deaf(make(*words), method))
        monkeypatch.setattr(paddle_inference, "_load", lambda one, deaf, folder: load(one, deaf._config, folder))

    return plant


# ---- all that is requested is in effect


def test_the_usual_settings_are_in_effect(exported):
    on = {"IR passes": ("on", "on"), "memory optimisation": ("on", "on")}
    assert effects_of("onednn", exported.model) == {"oneDNN": ("on", "on"), **on, "threads": ("2", "2")}
    assert effects_of("paddle", exported.model) == {"oneDNN": ("off", "off"), **on, "threads": ("2", "2")}


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", ["paddle", "onednn"])
def test_the_threads_are_those_asked_for(exported, name, threads):
    assert effects_of(name, exported.model, cpu_num_threads=threads)["threads"] == (str(threads), str(threads))


def test_strict_is_strict(exported):
    strict = effects_of(None, exported.model, **vars(EngineOptions().strict()))
    assert strict == {
        "oneDNN": ("off", "off"),
        "IR passes": ("off", "off"),
        "memory optimisation": ("on", "on"),
        "threads": ("1", "1"),
    }


def test_openvino_is_in_effect(exported):
    needs_openvino_in_paddle()
    assert effects_of("openvino", exported.model)["OpenVINO"] == ("on", "on")


def test_json_has_other_effects(exported_json):
    """Paddle has no IR passes for a CPU without oneDNN there, and no memory optimisation."""
    off = {"memory optimisation": ("on", "off"), "threads": ("2", "2")}
    assert effects_of("paddle", exported_json) == {"oneDNN": ("off", "off"), "IR passes": ("on", "off"), **off}
    assert effects_of("onednn", exported_json) == {"oneDNN": ("on", "on"), "IR passes": ("on", "on"), **off}


# ---- what Paddle ignores is seen


@pytest.mark.parametrize(
    ("method", "name", "setting", "seen"),
    [
        ("switch_ir_optim", "paddle", "IR passes", ("off", "on")),
        ("enable_memory_optim", "paddle", "memory optimisation", ("on", "off")),
        ("set_cpu_math_library_num_threads", "paddle", "threads", ("2", "1")),
    ],
)
def test_an_ignored_setting_is_seen(exported, deaf, method, name, setting, seen):
    deaf(method)
    assert effects_of(name, exported.model, ir_optim=seen[0] == "on" or setting != "IR passes")[setting] == seen


def test_onednn_that_is_not_in_effect_is_refused(exported):
    """It comes by the IR passes. By name it is refused; as a switch, the log says that it is off."""
    model, off = exported.model, EngineOptions(ir_optim=False)
    with pytest.raises(NotInEffect, match=r"engine onednn: oneDNN is requested, and not in effect: 0 of \d+ results"):
        create_engine("onednn", model, off).run(IMAGES)
    with create_engine(None, model, off) as engine:
        engine.run(IMAGES)
        assert engine.effects[0][:3] == ("oneDNN", "on", "off")


def test_openvino_that_is_ignored_is_refused(exported_json):
    """Paddle's own fault: it computes an inference.json itself, whatever it was told."""
    needs_openvino_in_paddle()
    with pytest.raises(NotInEffect, match="engine openvino: OpenVINO is requested, and not in effect: 0 of "):
        openvino.OpenVINOInPaddle(find_model(exported_json), EngineOptions()).run(IMAGES)


def test_openvino_of_json_comes_by_its_package(exported_json, monkeypatch):
    needs_openvino_in_paddle()
    monkeypatch.setattr(openvino, "missing_packages", lambda *names, **_: f"no {names[0]}")
    reason = "engine openvino: Paddle ignores OpenVINO for inference.json, and for its own package there is no openvino"
    with pytest.raises(Exception, match=reason):
        create_engine("openvino", exported_json)


def test_paddle2onnx_has_to_fit_the_paddle(monkeypatch):
    """Version 2 raises when it is imported beside Paddle 2."""
    monkeypatch.setattr(to_onnx.importlib.util, "find_spec", lambda name: name)
    for paddle, found, fits in (("2.6.2", "2.1.0", False), ("2.6.2", "1.3.1", True), ("3.1.1", "2.1.0", True)):
        monkeypatch.setattr(paddle_version, "installed", lambda paddle=paddle: paddle)
        monkeypatch.setattr(to_onnx, "installed", paddle_version.installed)
        monkeypatch.setattr(to_onnx.metadata, "version", lambda name, found=found: found)
        reason = to_onnx.missing_packages("openvino")
        expected = f"no paddle2onnx for Paddle {paddle}, found {found}: pip install paddle2onnx==1.3.1"
        assert reason == ("" if fits else expected)


def test_a_command_that_asks_for_it_ends_with_77(exported):
    """A switch of the config may do nothing; one on the command line may not."""
    options = ["-o", f"Global.inference_model_dir={exported.model}", "-o", "Global.ir_optim=False"]
    options += ["-o", f"Global.infer_imgs={ROOT}/test_images"]
    outcome = run_process(PREDICT, "-c", CONFIG, *options)
    assert outcome.status == 0
    assert "engine onednn: oneDNN on -> off (0 of " in outcome.err
    outcome = run_process(PREDICT, "-c", CONFIG, *options, "-o", "Global.enable_mkldnn=True")
    assert_one_line(outcome, "oneDNN is requested, and not in effect: 0 of ", "IR passes, which are off", status=77)
    assert outcome.out == ""
    outcome = run_process(PREDICT, "-c", CONFIG, *options, "-o", "Global.enable_mkldnn=False")
    assert outcome.status == 0


def test_the_summary_claims_no_precision_that_the_engine_has_not(exported):
    options = ["use_fp16=True", "benchmark=True", f"inference_model_dir={exported.model}"]
    options = [f"-oGlobal.{option}" for option in [*options, f"infer_imgs={ROOT}/test_images"]]
    outcome = run_process(PREDICT, "-c", CONFIG, *options)
    assert "precision: fp32" in outcome.out + outcome.err


# ---- known faults of versions


@pytest.mark.parametrize(
    ("version", "left_out"), [("3.2.2", False), ("3.3.0", True), ("3.3.1", True), ("3.3.2", False)]
)
def test_onednn_is_left_out_where_it_is_faulty(exported, exported_json, monkeypatch, caplog, version, left_out):
    monkeypatch.setattr(paddle_version, "installed", lambda: version)
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.INFO, "ppcls_lite"), create_engine(None, exported_json) as engine:
        engine.run(IMAGES)
        assert engine.name == ("paddle" if left_out else "onednn")
        assert engine.effects[0].asked == "on"
        assert engine.effects[0].found == ("off" if left_out else "on")
    said = f"Paddle {version} has a fault with oneDNN on inference.json (Paddle issue 77340), engine=onednn tries it"
    assert (said in caplog.text) == left_out
    assert create_engine(None, exported.model).name == "onednn"  # the old format is not concerned
    with create_engine("onednn", exported_json) as engine:  # requested by name, it is tried, and seen
        engine.run(IMAGES)
        assert engine.effects[0].found == "on"


def test_a_batch_that_paddle_cannot_run_is_one_line(exported):
    for name in ("paddle", "onednn"):
        with pytest.raises(UserError, match=f"^{exported.model}: engine {name} cannot run it: .{{1,200}}$") as caught:
            create_engine(name, exported.model).run(IMAGES[:, :2])
        assert caught.value.status == 1


def test_what_plain_paddle_cannot_run_either_is_no_reason_to_skip(exported, monkeypatch):
    """A broken model is a failure (1); only what is requested and fails by itself may be skipped (77)."""
    for batch, fault in ((IMAGES[:, :2], UserError), (IMAGES, NotInEffect)):
        engine = create_engine("onednn", exported.model)
        with monkeypatch.context() as patch:
            patch.setattr(paddle_inference, "observe", Mock(side_effect=RuntimeError("fault")))
            with pytest.raises(UserError, match="cannot run it: fault") as caught:
                engine.run(batch)
        assert type(caught.value) is fault


def test_a_wrong_batch_does_no_harm_to_the_next(exported):
    for name in ("paddle", "onednn"):
        with create_engine(name, exported.model) as engine:
            with pytest.raises(UserError):
                engine.run(IMAGES[:, :2])
            assert engine.effects is None
            with create_engine(name, exported.model) as fresh:
                assert (engine.run(IMAGES) == fresh.run(IMAGES)).all()


def test_a_refused_engine_goes_on_refusing(exported):
    engine = create_engine("onednn", exported.model, EngineOptions(ir_optim=False))
    for _ in range(2):
        with pytest.raises(NotInEffect):
            engine.run(IMAGES)


# ---- what the results of the operators mean


def seen(monkeypatch, results, run, **options):
    """{setting: what is in effect} after these results of a program with `run` operators, None for branches."""
    kinds = ["op"] * (run or 0)
    monkeypatch.setattr(observe, "operators", lambda structure: Operators(kinds, {}, run is None))
    files = ModelFiles(Path("inference.pdmodel"), Path("inference.pdiparams"))
    return {effect.name: effect.found for effect in optimisations(results, files, EngineOptions(**options))}


def result(number, layout="NCHW", address=None):
    return Result("op", f"result{number}", layout, "Place(cpu)", number if address is None else address)


def test_results_without_memory_share_none(monkeypatch):
    """Paddle gives no memory to what is never read, such as the saved means of a batch norm."""
    results = [result(number, address=0 if number % 2 else number + 1) for number in range(20)]
    assert seen(monkeypatch, results, 20)["memory optimisation"] == "off"
    results = [result(number, address=0 if number % 2 else 1 + number % 8) for number in range(20)]
    assert seen(monkeypatch, results, 20)["memory optimisation"] == "on"


def test_a_program_with_branches_has_no_number_of_operators(monkeypatch):
    """A branch that is not taken is no optimisation."""
    for ir_optim in (True, False):
        found = seen(monkeypatch, list(map(result, range(10))), None, ir_optim=ir_optim)
        assert found["IR passes"] == "unknown"


def test_operators_of_onednn_come_by_the_passes(monkeypatch):
    """Also where there is nothing to fuse, so that as many operators run as the file has."""
    assert seen(monkeypatch, list(map(result, range(7))), 7)["IR passes"] == "off"
    assert seen(monkeypatch, [result(number, "ONEDNN") for number in range(7)], 7)["IR passes"] == "on"


# ---- in words


def test_the_line_of_the_log():
    effects = [Effect("oneDNN", "on", "on", "9 of 9 results"), Effect("IR passes", "on", "off"), threads_effect(2, 2)]
    assert listed(effects) == "oneDNN on (9 of 9 results); IR passes on -> off; threads 2"
    assert str(threads_effect(2, None)) == "threads 2 -> unknown"
    many = usable_cores() + 1
    assert str(threads_effect(many, many)) == f"threads {many} (on {usable_cores()} cores)"


def test_an_engine_says_it_once(exported, monkeypatch, caplog):
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.INFO, "ppcls_lite"):
        for _ in range(2):
            with create_engine("paddle", exported.model) as engine:
                engine.run(IMAGES)
                engine.run(IMAGES)
    assert len(caplog.records) == 1


def test_the_proof_changes_no_bit(exported):
    """Before and after it, and without it, the answers are the same."""
    for name in ("paddle", "onednn"):
        first, second = (create_engine(name, exported.model, EngineOptions(cpu_num_threads=1)) for _ in range(2))
        first.effects = []  # no proof
        expected = first.run(IMAGES)
        assert all((second.run(IMAGES) == expected).all() for _ in range(3))
        assert (first.run(IMAGES) == expected).all()


# ---- counting threads


def test_threads_are_counted():
    counted = count_threads(lambda: sum(range(10**5)), 1)
    assert counted in (1, None)  # None: a system without such clocks
    assert openmp_threads() is None or openmp_threads() >= 1


def test_every_engine_for_exported_models_proves_itself():
    """None of them overrides `run`, which is where the proof is."""
    for name in ENGINES.names():
        builder = ENGINES.get(name)
        assert builder.run is ENGINES.get("paddle").run, name
        assert not builder.takes_export or builder.exact or "observe" in dir(builder)
