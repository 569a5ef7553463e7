"""The engine of a service, which its config may name."""

import importlib.util

import cv2
import numpy as np
import pytest

from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.serving.op import engine_name
from tests.helpers.scripts import ROOT


@pytest.mark.parametrize("stated", ["paddle", "auto"])
def test_a_stated_engine_is_taken(exported, stated):
    assert engine_name(stated, EngineOptions(), exported.model) == stated


def test_without_openvino_the_switches_choose(exported, monkeypatch):
    """Not oneDNN by name, which would be refused where it has no effect: Paddle Serving's own ir_optim is False."""
    monkeypatch.setattr(ENGINES.get("openvino"), "why_not", lambda options=None, model=None: "none here")
    options = EngineOptions(ir_optim=False)
    name = engine_name(None, options, exported.model)
    assert name is None
    with create_engine(name, exported.model, options) as engine:
        assert engine.name == "onednn"
        assert engine.run(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 3)


def test_the_benchmark_has_the_engine_of_the_service(exported, tiny_data):
    spec = importlib.util.spec_from_file_location("benchmark_under_test", ROOT / "deploy/paddleserving/benchmark.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    threads = cv2.getNumThreads()
    try:
        bare = benchmark.Bare(exported.model, cv2.imread(str(tiny_data / "val_0.png")), 1)
    finally:
        cv2.setNumThreads(threads)
    bare.predict(0)
