"""The engine of a service is that of predict_cls.py, in every bit of its answers."""

import importlib.util
from dataclasses import replace

import cv2
import numpy as np
import pytest

from ppcls_lite.infer.engines import EngineOptions, create_engine
from ppcls_lite.serving.config import STATED, load_service_config
from ppcls_lite.serving.engines import Engines, options_of
from ppcls_lite.serving.load import Outcome
from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.schema import DEPLOY
from tests.helpers.scripts import ROOT

SHAPE = (3, 32, 32)
LOCAL = "op.imagenet.local_service_conf"


def options_with(*overrides, settings=None):
    """`options_of` the delivered config.yml with these values replaced."""
    found = load_service_config(ROOT / "deploy/paddleserving/config.yml", [f"{LOCAL}.{text}" for text in overrides])
    operator = found.config["op"]["imagenet"]
    if settings is None:
        settings = load_config(operator["inference_config"], schema=DEPLOY)["Global"]
    return options_of(operator[STATED], settings)


def test_the_delivered_config_has_the_options_of_predict_cls():
    settings = load_config(ROOT / "deploy/configs/inference_cls.yaml", schema=DEPLOY)["Global"]
    predicted = EngineOptions.from_config(settings)  # with a GPU where there is one; the service states its device
    assert options_with() == (replace(predicted, use_gpu=False), None)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"engine": "openvino"}, EngineOptions(engine="openvino")),
        ({"enable_mkldnn": False, "cpu_num_threads": 6}, EngineOptions(enable_mkldnn=False, cpu_num_threads=6)),
        ({"ir_optim": False, "use_gpu": True, "use_tensorrt": True}, EngineOptions(ir_optim=False)),
        ({}, EngineOptions()),
    ],
)
def test_the_prediction_config_chooses_for_both(settings, expected):
    """All but the device, which a service has in its own config."""
    assert options_with(settings=settings) == (expected, None)


def test_what_the_service_states_is_another_engine():
    assert options_with("engine=paddle") == (EngineOptions(engine="paddle"), None)
    assert options_with("ir_optim=False", "thread_num=3") == (EngineOptions(ir_optim=False), 3)
    gpu = EngineOptions(use_gpu=True, gpu_id=1)
    assert options_with("device_type=-1", "devices=1")[0] == gpu
    assert options_with("device_type=2", "devices=1", "precision=fp16")[0] == replace(
        gpu, use_tensorrt=True, use_fp16=True
    )
    with pytest.raises(UserError, match="devices: expected the number of a GPU, found 'first'"):
        options_with("device_type=1", "devices=first")


def test_what_paddle_serving_fills_in_is_not_stated():
    """It puts ir_optim False and two threads where a config has none."""
    assert options_of({"model_config": "x"}, {}) == (EngineOptions(), None)


# ------------------------------------------------------------------------------------------------ the same bits


def images(count):
    return np.random.default_rng(1).standard_normal((count, *SHAPE), dtype=np.float32)


def one_by_one(model, options, batch):
    with create_engine(None, model, options) as engine:
        return np.concatenate([engine.run(batch[number : number + 1]) for number in range(len(batch))])


@pytest.mark.parametrize("engine", [None, "paddle", "openvino"])
def test_images_together_have_the_bits_of_one_by_one(exported, engine):
    options = EngineOptions(engine=engine)
    try:
        expected = one_by_one(exported.model, options, images(7))
    except UserError as error:
        pytest.skip(str(error))
    engines = Engines(exported.model, options, count=2, together=4, shape=SHAPE)
    assert engines.threads in (1, 2)
    for _ in range(2):  # each engine of the pool, one after the other
        assert engines.predict(images(7)).tobytes() == expected.tobytes()
        engines._free.queue.reverse()


class Faulty:
    """An engine whose last bits depend on its threads, or on the number of images in a batch."""

    name, device, input_names = "faulty", "cpu", ["x"]

    def __init__(self, threads, by_threads, largest):
        self.threads, self.by_threads, self.largest, self.sizes = threads, by_threads, largest, set()

    def prove(self, inputs, say):
        assert not say

    def say_effects(self):
        pass

    def run(self, batch):
        self.sizes.add(len(batch))
        bits = self.threads * self.by_threads + (len(batch) > self.largest)
        return (np.full((len(batch), 3), 0.25, np.float32).view(np.uint32) + np.uint32(bits)).view(np.float32)

    def close(self):
        self.threads = None


@pytest.fixture
def faulty(monkeypatch):
    """`faulty(by_threads, largest)` replaces every engine; returns the list of those that are made."""

    def plant(by_threads=0, largest=99):
        made = []

        def create(name, model, options):
            made.append(Faulty(options.cpu_num_threads, by_threads, largest))
            return made[-1]

        monkeypatch.setattr("ppcls_lite.serving.network.create_engine", create)
        monkeypatch.setattr(logger, "propagate", True)  # a script that ran in this process may have ended it
        return made

    return plant


def test_threads_that_change_a_bit_are_left_out(faulty, caplog):
    made = faulty(by_threads=1)
    engines = Engines("model", EngineOptions(cpu_num_threads=4), 2, 4, SHAPE)
    assert (engines.threads, engines.together) == (4, 4)
    assert [one.threads for one in made] == [4, None, 4]  # the one with a single thread is closed
    assert "thread_num 1 gives other last bits than cpu_num_threads 4 of the prediction" in caplog.text
    assert "config; in effect: 4" in caplog.text


def test_threads_that_change_no_bit_are_taken(faulty, caplog):
    made = faulty()
    assert Engines("model", EngineOptions(cpu_num_threads=4), 2, 1, SHAPE).threads == 1
    assert [one.threads for one in made] == [None, 1, 1]
    assert caplog.text == ""


def test_stated_threads_are_taken_with_a_warning(faulty, caplog):
    faulty(by_threads=1)
    engines = Engines("model", EngineOptions(), 1, 4, SHAPE, threads=3)
    assert (engines.threads, engines.together) == (3, 4)
    assert "thread_num 3 gives other last bits than cpu_num_threads 2 of the prediction" in caplog.text
    assert "config; in effect: 3" in caplog.text


def test_engines_that_do_not_repeat_their_bits_are_named(faulty, caplog):
    made = faulty(largest=0)
    probe = Engines("model", EngineOptions(cpu_num_threads=1), 1, 1, SHAPE)  # all of its bits are the same
    assert (len(made), caplog.text) == (1, "")
    made[0].by_threads = 1
    probe._same_together(made[0])
    assert "faulty: two engines with the same settings have other last bits" in caplog.text


@pytest.mark.parametrize(("largest", "together"), [(1, 1), (3, 3), (4, 4)])
def test_images_together_that_change_a_bit_are_taken_apart(faulty, largest, together):
    made = faulty(largest=largest)
    engines = Engines("model", EngineOptions(), 2, 4, SHAPE)
    assert engines.together == together
    for one in made:
        one.sizes.clear()
    assert engines.predict(images(9)).shape == (9, 3)
    assert max(set().union(*(one.sizes for one in made))) == together


@pytest.fixture(scope="module")
def benchmark():
    """The script deploy/paddleserving/benchmark.py as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_under_test", ROOT / "deploy/paddleserving/benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_has_the_engine_of_the_service(benchmark, exported, tiny_data):
    threads = cv2.getNumThreads()
    try:
        bare = benchmark.Bare(exported.model, cv2.imread(str(tiny_data / "val_0.png")), 1)
    finally:
        cv2.setNumThreads(threads)
    bare.predict(0)


def test_the_table_of_the_benchmark_compares_round_by_round(benchmark):
    def outcomes(*rates):
        return [Outcome([0.01] * rate, 0, [], 1.0, 0.5) for rate in rates]

    found = {("ours", 4): outcomes(10, 40, 20), ("ours_openvino", 4): outcomes(20, 60, 30)}
    rows = benchmark.summarise(found, {(benchmark.LIMIT, 4): [100, 100, 100]}, 1)
    assert list(benchmark.as_markdown(rows, "about")) == [
        "about",
        "",
        "| service | 4 clients |",
        "| --- | --- |",
        "| `ours` | **1.00** (20/s, p50 10 ms, 0.40 of the limit) |",
        "| `ours_openvino` | **1.50** (30/s, p50 10 ms, 0.60 of the limit) |",
    ]
