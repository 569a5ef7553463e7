"""What an engine's options set on `paddle.inference.Config`: the configured object is asked, which needs no device.

For a GPU and TensorRT that works in the GPU build of Paddle only, GPU or not: bash tests/run.sh --gpu-package.
"""

import functools

import pytest

from ppcls_lite.infer.engines import EngineOptions, paddle_inference, tensorrt
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.utils.errors import UserError

PRECISIONS = {"fp32": {}, "fp16": {"use_fp16": True}, "int8": {"use_int8": True}}


@functools.cache
def why_no_gpu_build():
    """Why this Paddle does not keep the options of a GPU, or an empty string."""
    import paddle

    missing = "this Paddle is the CPU build, which forgets them; bash tests/run.sh --gpu-package has the other one"
    return "" if paddle.is_compiled_with_cuda() else missing


@functools.cache
def why_no_tensorrt():
    """Why `summary()` cannot print TensorRT's options, or an empty string."""
    from paddle import inference

    try:
        return "" if any(inference.get_trt_runtime_version()) else "Paddle finds no TensorRT"
    except RuntimeError:
        return "Paddle finds no TensorRT library, which summary() asks for its version"


@pytest.fixture
def gpu_build():
    reason = why_no_gpu_build()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def configured(exported, monkeypatch):
    """`configured(engine, **options)`: the Config of that engine as it is when Paddle is to load the model with it."""

    def configure(name, **options):
        kept = []

        def keep(inference, config, folder):
            kept.append(config)
            raise UserError("kept")

        monkeypatch.setattr(paddle_inference, "_load", keep)
        monkeypatch.setattr(paddle_inference, "why_no_gpu", lambda paddle: "")  # an option can be set without one
        monkeypatch.setattr(tensorrt, "check_quantised", lambda model: None)
        with pytest.raises(UserError, match="kept"):
            ENGINES.get(name)(exported.model, EngineOptions(**options))
        return kept[0]

    return configure


@pytest.fixture
def build_arguments(monkeypatch):
    """What `enable_tensorrt_engine` was called with, which it was: no getter tells of sizes and modes."""
    from paddle import inference

    enable, seen = inference.Config.enable_tensorrt_engine, {}

    def note(config, **arguments):
        seen.update(arguments)
        enable(config, **arguments)

    monkeypatch.setattr(inference.Config, "enable_tensorrt_engine", note)
    return seen


def summary(config):
    """{option: value}, as texts, of the table that `summary()` draws."""
    rows = [line.split("|") for line in config.summary().splitlines() if line.startswith("| ")]
    return {row[1].strip(): row[2].strip() for row in rows}


def of_cpu(config):
    """{option of ours: its value in the Config}"""
    table = summary(config)
    return {
        "use_gpu": config.use_gpu(),
        "enable_mkldnn": config.mkldnn_enabled(),
        "cpu_num_threads": config.cpu_math_library_num_threads(),
        "ir_optim": config.ir_optim(),
        "memory_optim": table["memory_optim"] == "true",
        "log": not config.glog_info_disabled(),
    }


def of_gpu(config):
    return {
        "use_gpu": config.use_gpu(),
        "gpu_id": config.gpu_device_id(),
        "gpu_mem": config.memory_pool_init_size_mb(),
        "ir_optim": config.ir_optim(),
        "use_tensorrt": config.tensorrt_engine_enabled(),
        "precision": config.tensorrt_precision_mode().name,
        "dynamic_shape": config.tensorrt_dynamic_shape_enabled(),
        "dla": config.tensorrt_dla_enabled(),
        "log": not config.glog_info_disabled(),
    }


CPU = {"use_gpu": False, "cpu_num_threads": 5, "memory_optim": True, "log": False}
GPU = {"use_gpu": True, "gpu_id": 1, "gpu_mem": 1234, "dynamic_shape": False, "dla": False, "log": False}
FP32 = {"use_tensorrt": False, "precision": "Float32"}
NAMES = {"fp32": "Float32", "fp16": "Half", "int8": "Int8"}


# -------------------------------------------------------------------------------------------------------- the CPU


@pytest.mark.parametrize("ir_optim", [True, False])
@pytest.mark.parametrize(("engine", "onednn"), [("paddle", False), ("onednn", True)])
def test_a_cpu_engine_sets_what_its_options_say(configured, engine, onednn, ir_optim):
    config = configured(engine, cpu_num_threads=5, ir_optim=ir_optim)
    assert of_cpu(config) == {**CPU, "enable_mkldnn": onednn, "ir_optim": ir_optim}


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("set_cpu_math_library_num_threads", "cpu_num_threads"),
        ("switch_ir_optim", "ir_optim"),
        ("disable_mkldnn", "enable_mkldnn"),
        ("enable_memory_optim", "memory_optim"),
        ("disable_glog_info", "log"),
    ],
)
def test_an_option_of_the_cpu_that_is_dropped_is_seen(configured, monkeypatch, method, option):
    from paddle import inference

    expected = {**CPU, "enable_mkldnn": False, "ir_optim": False}
    assert of_cpu(configured("paddle", cpu_num_threads=5, ir_optim=False)) == expected
    monkeypatch.setattr(inference.Config, method, lambda *_: None)
    found = of_cpu(configured("paddle", cpu_num_threads=5, ir_optim=False))
    assert {name for name in expected if found[name] != expected[name]} == {option}


# -------------------------------------------------------------------------------------------------------- the GPU


@pytest.mark.parametrize("ir_optim", [True, False])
def test_the_gpu_engine_sets_what_its_options_say(gpu_build, configured, ir_optim):
    config = configured("gpu", gpu_id=1, gpu_mem=1234, ir_optim=ir_optim)
    assert of_gpu(config) == {**GPU, **FP32, "ir_optim": ir_optim}
    table = summary(config)
    assert (table["use_gpu"], table["gpu_device_id"], table["memory_pool_init_size"]) == ("true", "1", "1234MB")
    assert (table["use_tensorrt"], table["memory_optim"], table["mixed_precision_mode"]) == ("false", "true", "fp32")


def test_the_usual_size_of_the_gpus_memory(gpu_build, configured):
    found = of_gpu(configured("gpu"))
    assert (found["gpu_mem"], found["gpu_id"]) == (EngineOptions().gpu_mem, 0) == (8000, 0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensorrt_is_set_as_its_options_say(gpu_build, configured, build_arguments, precision):
    config = configured("tensorrt", gpu_id=1, gpu_mem=1234, batch_size=16, ir_optim=False, **PRECISIONS[precision])
    # an IR pass puts TensorRT there
    assert of_gpu(config) == {**GPU, "use_tensorrt": True, "precision": NAMES[precision], "ir_optim": True}
    assert build_arguments.pop("precision_mode").name == NAMES[precision]
    assert build_arguments == {
        "workspace_size": 1 << 30,
        "max_batch_size": 16,
        "min_subgraph_size": 3,
        "use_static": False,
        "use_calib_mode": False,
    }


TABLE = {  # of Paddle 2.6.2
    "use_gpu": "true",
    "gpu_device_id": "1",
    "memory_pool_init_size": "1234MB",
    "use_tensorrt": "true",
    "tensorrt_precision_mode": "",
    "tensorrt_workspace_size": str(1 << 30),
    "tensorrt_max_batch_size": "16",
    "tensorrt_min_subgraph_size": "3",
    "tensorrt_use_static_engine": "false",
    "tensorrt_use_calib_mode": "false",
    "tensorrt_enable_dynamic_shape": "false",
    "tensorrt_use_dla": "false",
    "ir_optim": "true",
    "memory_optim": "true",
}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensorrts_summary(gpu_build, configured, precision):
    if why_no_tensorrt():
        pytest.skip(why_no_tensorrt())
    table = summary(configured("tensorrt", gpu_id=1, gpu_mem=1234, batch_size=16, **PRECISIONS[precision]))
    assert {name: table[name] for name in TABLE} == {**TABLE, "tensorrt_precision_mode": precision}


@pytest.mark.parametrize("argument", ["max_batch_size", "use_calib_mode", "precision_mode"])
def test_a_size_or_mode_of_tensorrt_that_is_dropped_is_seen(gpu_build, configured, monkeypatch, argument):
    """Of those whose usual value differs from ours."""
    if why_no_tensorrt():
        pytest.skip(why_no_tensorrt())
    from paddle import inference

    build = inference.Config.enable_tensorrt_engine

    def drop(config, **arguments):
        build(config, **{name: value for name, value in arguments.items() if name != argument})

    chosen = {"gpu_id": 1, "gpu_mem": 1234, "batch_size": 16, "use_fp16": True}
    expected = summary(configured("tensorrt", **chosen))
    monkeypatch.setattr(inference.Config, "enable_tensorrt_engine", drop)
    found = summary(configured("tensorrt", **chosen))
    assert {name for name in expected if found[name] != expected[name]} == {f"tensorrt_{argument}"}


@pytest.mark.parametrize("option", ["gpu_mem", "gpu_id", "use_tensorrt", "precision"])
def test_an_option_of_the_gpu_that_is_dropped_is_seen(gpu_build, configured, monkeypatch, option):
    from paddle import inference

    use_gpu, build = inference.Config.enable_use_gpu, inference.Config.enable_tensorrt_engine
    fault = {
        "gpu_mem": ("enable_use_gpu", lambda config, memory, device: use_gpu(config, 100, device)),
        "gpu_id": ("enable_use_gpu", lambda config, memory, device: use_gpu(config, memory)),
        "use_tensorrt": ("enable_tensorrt_engine", lambda config, **arguments: None),
        "precision": ("enable_tensorrt_engine", lambda config, precision_mode, **rest: build(config, **rest)),
    }[option]
    chosen = {"gpu_id": 1, "gpu_mem": 1234, "use_fp16": True}
    expected = {**GPU, "use_tensorrt": True, "precision": "Half", "ir_optim": True}
    assert of_gpu(configured("tensorrt", **chosen)) == expected
    monkeypatch.setattr(inference.Config, *fault)
    found = of_gpu(configured("tensorrt", **chosen))
    assert option in {name for name in expected if found[name] != expected[name]}


# ------------------------------------------------------------------------------------ what is missing is a reason


def test_a_gpu_that_is_missing_is_a_reason(gpu_build, monkeypatch):
    import paddle

    monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: 0)
    assert ENGINES.get("gpu").why_not() == ENGINES.get("tensorrt").why_not() == "no GPU is visible"


@pytest.mark.parametrize("version", [RuntimeError("TensorRT dynamic library is not found"), (0, 0, 0)])
def test_a_missing_tensorrt_is_a_reason(monkeypatch, version):
    """Paddle raises where it cannot load the library, and has zeros where it was built without."""
    from paddle import inference

    def ask():
        if isinstance(version, Exception):
            raise version
        return version

    monkeypatch.setattr(tensorrt, "why_no_gpu", lambda paddle: "")
    monkeypatch.setattr(inference, "get_trt_runtime_version", ask)
    assert ENGINES.get("tensorrt").why_not() == "this Paddle finds no TensorRT library"


def test_without_tensorrt_paddle_itself_raises(gpu_build):
    """What the test above imitates."""
    if not why_no_tensorrt():
        pytest.skip("there is a TensorRT library")
    from paddle import inference

    with pytest.raises(RuntimeError, match="TensorRT dynamic library is not found"):
        inference.get_trt_runtime_version()
