"""Which engine a prediction config requests: its own switches are defaults, those of the command line are demands."""

import logging

import pytest

from ppcls_lite.infer.engines import EngineOptions, request
from ppcls_lite.infer.engines.effects import NotInEffect
from ppcls_lite.infer.engines.request import usable_options
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from tests.helpers.scripts import ROOT, assert_one_line

NO_GPU, NO_TENSORRT = "no GPU is visible", "this Paddle finds no TensorRT library"
GPU, TENSORRT, ONEDNN = {"use_gpu": True}, {"use_gpu": True, "use_tensorrt": True}, {"enable_mkldnn": True}


@pytest.fixture
def machine(monkeypatch, caplog):
    """`machine(gpu, tensorrt)`: what there is from now on; returns the log."""

    def plant(gpu, tensorrt=False):
        missing = "" if tensorrt else NO_TENSORRT
        monkeypatch.setattr(request, "_why_no_gpu", lambda: "" if gpu else NO_GPU)
        monkeypatch.setattr(request.TensorRTEngine, "why_not", lambda *_: missing if gpu else NO_GPU)
        monkeypatch.setattr(logger, "propagate", True)
        caplog.set_level(logging.INFO, "ppcls_lite")
        return caplog

    return plant


def chosen(section, demanded=()):
    """The name of the engine, and whether it is demanded by that name."""
    overrides = [f"Global.{name}={value}" for name, value in dict(demanded).items()]
    options = usable_options(EngineOptions.from_config({**section, **dict(demanded)}), overrides)
    return options.engine_name, options.engine is not None


@pytest.mark.parametrize(
    ("gpu", "tensorrt", "section", "engine", "said"),
    [
        (True, True, TENSORRT, "tensorrt", ""),
        (True, False, TENSORRT, "gpu", f"use_tensorrt is True in the config, but {NO_TENSORRT}: predicting without Te"),
        (True, False, GPU, "gpu", ""),
        (False, False, GPU, "onednn", f"use_gpu is True in the config, but {NO_GPU}: the CPU is used"),
        (False, False, {**GPU, "enable_mkldnn": False}, "paddle", f"but {NO_GPU}: the CPU is used"),
        (False, False, TENSORRT, "onednn", f"but {NO_GPU}: the CPU is used"),
        (False, False, {}, "onednn", ""),
    ],
)
def test_the_switches_of_a_config_are_defaults(machine, gpu, tensorrt, section, engine, said):
    log = machine(gpu, tensorrt)
    assert chosen(section) == (engine, False)
    assert (said in log.text) if said else not log.text


@pytest.mark.parametrize(
    ("gpu", "tensorrt", "section", "demanded", "engine"),
    [
        (True, True, {}, GPU, "gpu"),
        (True, True, {}, TENSORRT, "tensorrt"),
        (True, True, GPU, {"use_tensorrt": True}, "tensorrt"),
        (True, False, GPU, ONEDNN, "onednn"),  # a demand goes before a default
        (False, False, GPU, ONEDNN, "onednn"),
        (False, False, {}, ONEDNN, "onednn"),
        (True, False, {}, {**GPU, **ONEDNN}, "gpu"),  # of two demands, the GPU, as in PaddleClas
    ],
)
def test_a_switch_of_the_command_line_names_its_engine(machine, gpu, tensorrt, section, demanded, engine):
    machine(gpu, tensorrt)
    assert chosen(section, demanded) == (engine, True)


@pytest.mark.parametrize(
    ("gpu", "section", "demanded", "message"),
    [
        (False, {}, GPU, f"Global.use_gpu=True: {NO_GPU}; set Global.use_gpu=False"),
        (False, GPU, GPU, f"Global.use_gpu=True: {NO_GPU}; set Global.use_gpu=False"),
        (False, {}, TENSORRT, f"Global.use_tensorrt=True: {NO_GPU}; set Global.use_tensorrt=False"),
        (False, GPU, {"use_tensorrt": True}, f"Global.use_tensorrt=True: {NO_GPU}"),
        (True, GPU, {"use_tensorrt": True}, f"Global.use_tensorrt=True: {NO_TENSORRT}"),
    ],
)
def test_a_demand_that_cannot_be_met_is_refused(machine, gpu, section, demanded, message):
    machine(gpu)
    with pytest.raises(NotInEffect, match=message):
        chosen(section, demanded)


@pytest.mark.parametrize("value", [False, None])
def test_a_switch_that_is_off_on_the_command_line_demands_nothing(machine, value):
    log = machine(False)
    assert chosen({}, {"use_gpu": value, "enable_mkldnn": value})[1] is False
    assert not log.text


def test_an_engine_by_name_is_left_as_it_is(machine):
    log = machine(False)
    assert chosen({**GPU, "engine": "openvino"}, ONEDNN) == ("openvino", True)
    assert not log.text


def test_an_engine_by_name_that_may_run_on_a_gpu(machine):
    """`use_gpu` of the config is a default for it too, and on the command line a demand, which the engine refuses."""
    section = {**GPU, "engine": "training_export"}
    for gpu, overrides, used in ((True, [], True), (False, [], False), (False, ["Global.use_gpu=True"], True)):
        machine(gpu)
        assert usable_options(EngineOptions.from_config(section), overrides).use_gpu is used


def test_tensorrt_without_a_gpu_is_a_fault_of_the_config(machine):
    machine(True)
    with pytest.raises(UserError, match=r"TensorRT needs Global\.use_gpu=True"):
        chosen({"use_tensorrt": True})[0]


@pytest.mark.parametrize("demanded", ["use_gpu", "use_tensorrt"])
def test_a_gpu_that_is_demanded_and_not_there_ends_with_77(exported, run_here, demanded):
    import paddle

    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle can use a GPU")
    options = ["-c", ROOT / "deploy/configs/inference_cls.yaml", "-o", f"Global.inference_model_dir={exported.model}"]
    options += ["-o", f"Global.infer_imgs={ROOT}/test_images", "-o", f"Global.{demanded}=True"]
    outcome = run_here("deploy/python/predict_cls.py", *options)
    assert_one_line(outcome, f"Global.{demanded}=True: this Paddle is the CPU build", status=77)
    assert not outcome.out
