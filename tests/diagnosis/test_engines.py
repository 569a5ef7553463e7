"""The stages behind the network in strict mode: faults that engines really have, and healthy networks."""

import importlib.util
import os
import signal
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import inference

from diagnosis.engines.check import Engines
from diagnosis.engines.settings import STRICT
from diagnosis.engines.worker import EngineError, Worker
from diagnosis.stage import DIFFERS, NOT_COMPARED, SAME
from tests.agree import zoo
from tests.diagnosis import networks
from tests.diagnosis.engine_cases import IMAGES, exported, moved, stages_of, subject_of, usual  # noqa: F401 - a fixture

HAS_OPENVINO = hasattr(inference.Config, "enable_openvino_engine")


def has_bfloat16():
    """Whether the processor computes with bfloat16: oneDNN uses it only then."""
    file = Path("/proc/cpuinfo")
    return file.is_file() and "avx512_bf16" in file.read_text()


@pytest.fixture
def plain(exported):  # noqa: F811
    return exported("Classifier")


# ----------------------------------------------------------------------------------------------------- healthy networks


@pytest.mark.parametrize("form", ["pdmodel", "json"])
@pytest.mark.parametrize("name", ["Classifier", "Wide", "Segmenter", "Mixing"])
def test_small_healthy_networks(exported, tmp_path, name, form):  # noqa: F811
    checks = ("memory", "passes", "onednn", "openvino", "precision", "batch")
    stages = stages_of(subject_of(exported(name, form), tmp_path), *checks)
    assert [stage.result for stage in stages[1:3]] == [SAME, SAME]
    assert DIFFERS not in [stage.result for stage in stages], [stage.line for stage in stages]
    assert all(stage.largest <= stage.allowed for stage in stages if stage.largest)


@pytest.mark.parametrize("name", networks.OURS)
def test_healthy_networks_of_ours(exported, tmp_path, name):  # noqa: F811
    """MixNet's random weights magnify rounding, and oneDNN is beyond the usual tolerance of some of them."""
    images = [zoo.images(1, seed, networks.SIZE) for seed in range(3)]
    checks = ("memory", "passes", "onednn", "openvino", "batch")
    stages = stages_of(subject_of(exported(name), tmp_path, images), *checks)
    assert DIFFERS not in [stage.result for stage in stages], [stage.line for stage in stages]


# ------------------------------------------------------------------------------------------------ one fault per engine


@pytest.mark.parametrize("form", ["pdmodel", "json"])
@pytest.mark.parametrize(("name", "kinds"), [("nearest", "nearest_interp"), ("pool_up", "pool2d")])
def test_a_kernel_of_onednn(exported, tmp_path, name, kinds, form):  # noqa: F811
    structure = exported(name, form)
    memory, passes, onednn = stages_of(subject_of(structure, tmp_path), "memory", "passes", "onednn")
    assert DIFFERS not in (memory.result, passes.result)
    assert onednn.result == DIFFERS
    if structure.suffix == ".pdmodel":  # Paddle's new format has no such list
        assert onednn.cause == "onednn_operator"
        assert onednn.why.startswith(f"oneDNN's kernel of the operator {kinds}")
        assert "config.set_mkldnn_op({" in onednn.advice
        assert kinds not in onednn.advice
    else:
        assert (onednn.cause, onednn.advice) == ("onednn", "call `config.disable_mkldnn()` in the inference script")


@pytest.mark.skipif(not HAS_OPENVINO, reason="this Paddle has no OpenVINO engine")
@pytest.mark.parametrize("form", ["pdmodel", "json"])
@pytest.mark.parametrize("name", ["halves", "smallest"])
def test_openvino(exported, tmp_path, name, form):  # noqa: F811
    structure = exported(name, form)
    (stage,) = stages_of(subject_of(structure, tmp_path), "openvino")
    if structure.suffix == ".json":
        assert stage.line == "OpenVINO: not compared (Paddle ignores its OpenVINO engine for .json models)"
        return
    assert (stage.result, stage.cause) == (DIFFERS, "openvino")
    assert stage.largest > 10 * stage.allowed


def test_onnx_runtime(exported, plain, tmp_path):  # noqa: F811
    missing = [name for name in ("paddle2onnx", "onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    (healthy,) = stages_of(subject_of(plain, tmp_path / "healthy"), "onnxruntime")
    if missing:
        assert healthy.result == NOT_COMPARED
        assert healthy.why.startswith(f"no {missing[0]}")
        return
    assert healthy.result == SAME
    structure = exported("smallest")
    (stage,) = stages_of(subject_of(structure, tmp_path / "broken"), "onnxruntime")
    assert (stage.result, stage.cause) == (DIFFERS, "onnxruntime")
    # a Config has no ONNX Runtime: an inference command that was recorded did not use it
    (told,) = stages_of(subject_of(structure, tmp_path / "told", infer=[STRICT]), "onnxruntime")
    assert told.result == NOT_COMPARED
    assert told.why.startswith("not used by infer; it would differ by 0.0")


def test_tensorrt_is_not_here(plain, tmp_path):
    if paddle.is_compiled_with_cuda():
        pytest.skip("a Paddle for GPUs may have it")
    (stage,) = stages_of(subject_of(plain, tmp_path), "tensorrt")
    assert stage.line == "TensorRT: not compared (this Paddle is built without TensorRT)"


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16 (avx512_bf16)")
def test_bfloat16(plain, tmp_path):
    used = usual(plain).but(precision="bfloat16")
    *others, precision = stages_of(subject_of(plain, tmp_path, infer=[used]), "memory", "passes", "onednn", "precision")
    assert DIFFERS not in [stage.result for stage in others]
    assert (precision.result, precision.cause) == (DIFFERS, "bfloat16")
    assert "enable_mkldnn_bfloat16" in precision.advice


def test_images_of_a_batch_that_are_mixed(exported, tmp_path):  # noqa: F811
    structure = exported("Mixing")
    (alone,) = stages_of(subject_of(structure, tmp_path / "alone"), "batch")
    assert alone.result == SAME
    (stage,) = stages_of(subject_of(structure, tmp_path / "batch", [zoo.images(4)]), "batch")
    assert (stage.result, stage.cause) == (DIFFERS, "batch")
    assert "image 1 of a batch of 4 differs by" in stage.why


# -------------------------------------------------------------------------------------------------- what infer recorded


def test_only_what_infer_used_is_blamed(exported, tmp_path):  # noqa: F811
    structure = exported("nearest")
    fine = subject_of(structure, tmp_path / "fine", infer=[STRICT.but(ir=True)])
    (told,) = stages_of(fine, "onednn")
    assert told.result == NOT_COMPARED
    assert told.why.startswith("not used by infer; it would differ by ")
    assert told.more["would_differ"]
    wrong = subject_of(structure, tmp_path / "wrong", infer=[STRICT.but(ir=True), usual(structure)])
    passes, onednn, inferred = stages_of(wrong, "passes", "onednn", "inferred")
    assert (passes.result, onednn.result) == (SAME, DIFFERS)
    assert inferred.line == "outputs of infer: not compared (explained by oneDNN)"


def test_nothing_is_blamed_where_the_recorded_outputs_agree(exported, tmp_path):  # noqa: F811
    structure = exported("nearest")
    exported_model = subject_of(structure, tmp_path / "first").exported
    left = iter([exported_model.run([image]) for image in IMAGES])
    lucky = subject_of(structure, tmp_path / "lucky", infer=[usual(structure)], outputs=lambda arrays: next(left))
    onednn, inferred = stages_of(lucky, "onednn", "inferred")
    assert onednn.result == NOT_COMPARED
    assert onednn.why.startswith("the recorded outputs of infer agree; it would differ by ")
    assert inferred.line == "outputs of infer: same, within the tolerance of strict mode"


def test_outputs_that_no_setting_explains(plain, tmp_path):
    subject = subject_of(plain, tmp_path, infer=[usual(plain)], outputs=moved)
    *others, inferred = stages_of(subject, "memory", "passes", "onednn", "precision", "batch", "inferred")
    assert DIFFERS not in [stage.result for stage in others]
    assert (inferred.result, inferred.cause) == (DIFFERS, "unexplained")
    assert "0.1" in inferred.line


def test_without_arrays(plain, tmp_path):
    stages = stages_of(subject_of(plain, tmp_path, kept=False))
    assert {stage.result for stage in stages} == {NOT_COMPARED}
    assert stages[1].line == "IR passes: not compared (no arrays of the model's inputs were kept)"


# ----------------------------------------------------------------------------------------------------------- the worker


@pytest.fixture
def worker(plain, tmp_path):
    with Worker(subject_of(plain, tmp_path).exported) as made:
        yield made


def is_there(pid):
    """Whether a process is there, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_child_is_a_crash(worker):
    samples = [[image] for image in IMAGES]
    first = worker.run(STRICT, samples).outputs
    pid = worker.pid
    os.kill(pid, signal.SIGSEGV)
    with pytest.raises(EngineError, match=r"the engine crashed with signal 11 \(SIGSEGV\)") as caught:
        worker.run(STRICT.but(ir=True), samples)
    assert caught.value.cause == "crash"
    assert not is_there(pid)
    again = worker.run(STRICT, samples).outputs
    assert worker.starts == 2
    assert all((one[0] == two[0]).all() for one, two in zip(first, again))


def test_a_crash_is_a_finding(plain, tmp_path):
    """An engine that ends its process for every request but strict ones."""
    subject = subject_of(plain, tmp_path)
    with Engines(subject) as engines:
        run = engines.worker.run

        def crash(settings, samples):
            if settings.onednn:
                run(STRICT, samples)
                os.kill(engines.worker.pid, signal.SIGSEGV)
            return run(settings, samples)

        engines.worker.run = crash
        passes, onednn = engines.check_passes(), engines.check_onednn()
    assert passes.result == SAME
    assert (onednn.result, onednn.cause) == (DIFFERS, "crash")
    assert "signal 11" in onednn.why


def test_an_answer_that_does_not_come(worker):
    samples = [[image] for image in IMAGES]
    worker.run(STRICT, samples)
    pid = worker.pid
    os.kill(pid, signal.SIGSTOP)
    worker.limit = 0.2
    with pytest.raises(EngineError, match=r"no answer within 0\.2 seconds") as caught:
        worker.run(STRICT, samples)
    assert caught.value.cause == "timeout"
    assert not is_there(pid)
    worker.limit = 300
    assert worker.run(STRICT, samples).outputs


def test_what_the_engine_refuses(worker):
    with pytest.raises(EngineError) as caught:
        worker.run(STRICT, [[np.zeros((1, 5, 16, 16), np.float32)]])
    assert caught.value.cause == "refused"
    assert worker.starts == 1


@pytest.mark.skipif(not HAS_OPENVINO, reason="this Paddle has no OpenVINO engine")
def test_openvino_keeps_no_memory(worker):
    for _ in range(2):
        worker.run(STRICT.but(ir=True, openvino=True), [[IMAGES[0]]])
        assert worker.pid is None
    assert worker.starts == 2


def test_nothing_stays(plain, tmp_path):
    worker = Worker(subject_of(plain, tmp_path).exported)
    worker.run(STRICT, [[IMAGES[0]]])
    pid, folder = worker.pid, worker.folder
    worker.close()
    assert not is_there(pid)
    assert not Path(folder).exists()
