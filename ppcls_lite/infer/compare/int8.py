"""Is an INT8 model one, is it that of its network, and what does it lose and gain?

Rounding to 8 bits moves every probability, so nothing can be equal bit by bit. What is compared instead: the weights,
each within half a step of the network's own; the best class of every image of the validation list; the accuracy.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppcls_lite.infer.engines import available_engines, create_engine
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.to_onnx import convert_to_onnx
from ppcls_lite.infer.images import read_image, stack_images
from ppcls_lite.infer.int8 import unrounded
from ppcls_lite.infer.model.config import build_processing
from ppcls_lite.infer.model.files import ONNX, ModelFiles, find_model, find_onnx
from ppcls_lite.slim.onnx_int8 import int8_operators, read_contents, unequal_scales, wrong_weights
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.scratch import ScratchFolder

ENGINE = "onnxruntime"
LEAST_AGREEMENT = 0.9  # of the images, that have the same best class
MOST_BYTES = 0.5  # of the FP32 model's: all weights in INT8 are about a quarter
_BATCH = 8
_WARM_UP = 10


@dataclass
class Measured:
    """An engine's accuracy with a model, the best classes, and the milliseconds for one image."""

    top1: float
    best: np.ndarray
    scores: np.ndarray
    ms: float = 0.0


def fp32_of_exported(model_dir):
    """The bytes, in ONNX's format, of the exported FP32 model."""
    return convert_to_onnx(find_model(model_dir))


def check_is_int8(int8, fp32):
    """What is INT8 in the model `int8`, in words; both are bytes in ONNX's format.

    UserError where weights are not INT8 or not those of `fp32`, and where nothing is computed with integers.
    """
    contents = read_contents(int8)
    if not contents.weights:
        raise UserError(f"{ONNX}: expected INT8 weights, found none: {contents}")
    if len(int8) > MOST_BYTES * len(fp32):
        raise UserError(f"{ONNX}: {contents}, but it has {len(int8)} bytes, and FP32 has {len(fp32)}: it is not INT8")
    if names := wrong_weights(contents, fp32):
        raise UserError(
            f"{ONNX}: {len(names)} of its {len(contents.weights)} INT8 weights are not within half a step of the "
            f"network's, the first is {names[0]}: another network's, or a wrong scale"
        )
    if names := unequal_scales(int8):
        raise UserError(f"{ONNX}: {len(names)} results are quantised and dequantised with other scales, as {names[0]}")
    operators = int8_operators(int8)
    if not set(operators) - {"FP32"}:
        raise UserError(f"{ONNX}: ONNX Runtime computes nothing of it with integers")
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(operators.items(), key=lambda one: one[0] == "FP32"))
    return f"{contents}, each within half a step of the network's; ONNX Runtime computes {listed}"


def compare_int8(int8_dir, fp32, images, labels, reference=None, runs=100):
    """Yield the lines of the comparison; UserError where the model is not the INT8 form of the network.

    Args:
        int8_dir: folder of the INT8 model, with its `inference.yml`.
        fp32: the bytes of the FP32 network in ONNX's format.
        images, labels: paths, and the true classes.
        reference: folder of the exported quantised graph of a training for INT8; None after a post-training
            quantisation: then the FP32 model is the reference of the best classes.
        runs: of one image, for the latency.
    """
    int8 = find_onnx(int8_dir)
    content = int8.structure.read_bytes()
    yield f"int8: {check_is_int8(content, fp32)}"
    transforms, _ = build_processing(int8)
    batches = read_batches(images, transforms)
    with ScratchFolder() as folder:
        plain = ModelFiles(Path(folder, ONNX), None)
        plain.structure.write_bytes(fp32)
        whole, small = measure(plain, batches, labels), measure(int8, batches, labels)
        whole.ms, small.ms = latencies([plain, int8], batches[0][:1], runs)
    expected = whole if reference is None else measure(find_model(reference), batches, labels, "paddle")
    same = int((expected.best == small.best).sum())
    yield f"top1_fp32: {whole.top1:.5f}, top1_int8: {small.top1:.5f}, top1_drop: {whole.top1 - small.top1:.5f}"
    if reference is not None:
        yield f"top1_trained: {expected.top1:.5f} (the quantised graph of the training, computed by Paddle)"
    yield (
        f"top1_agreement: {same / len(images):.5f} ({same} of {len(images)} images have the same best class), "
        f"mean difference of a probability {np.abs(expected.scores - small.scores).mean():.2g}"
    )
    yield f"bytes_fp32: {len(fp32)}, bytes_int8: {len(content)}, bytes_ratio: {len(content) / len(fp32):.3f}"
    yield (
        f"latency: {ENGINE}, one image: FP32 {whole.ms:.2f} ms, INT8 {small.ms:.2f} ms, "
        f"latency_ratio: {small.ms / whole.ms:.2f}, on a processor with {instructions()}"
    )
    for name in other_engines(int8):
        other = measure(int8, batches, labels, name)
        agreed = int((other.best == expected.best).sum())
        yield f"{name}: top1_int8 is {other.top1:.5f}, {agreed} of {len(images)} images have the same best class"
    if len(set(small.best.tolist())) == 1 and len(set(expected.best.tolist())) > 1:
        raise UserError(f"{int8_dir}: INT8 gives class {small.best[0]} for every image")
    if same < LEAST_AGREEMENT * len(images):
        raise UserError(
            f"{int8_dir}: {same} of {len(images)} images have the same best class in INT8, and at least "
            f"{LEAST_AGREEMENT:.0%} are expected: was it calibrated on other images?"
        )


def measure(files, batches, labels, name=ENGINE):
    """The `Measured` accuracy of the engine `name` with a model."""
    options = EngineOptions(batch_size=_BATCH)
    with create_engine(name, files, options.strict() if name == "paddle" else options) as engine:
        scores = np.concatenate([engine.run(batch) for batch in batches])
    best = scores.argmax(axis=1)
    return Measured(float((best == np.asarray(labels)).mean()), best, scores)


def latencies(models, image, runs):
    """[milliseconds for the `image`] of each model, of the fastest tenth of its runs: other processes only add time.

    The models take turns, so that a slow moment meets all alike.
    """
    engines = [create_engine(ENGINE, files, EngineOptions()) for files in models]
    taken = [[] for _ in engines]
    for run in range(runs + _WARM_UP):
        for engine, times in zip(engines, taken):
            began = time.perf_counter()
            engine.compute(image) if engine.effects else engine.run(image)
            if run >= _WARM_UP:
                times.append(1000 * (time.perf_counter() - began))
    for engine in engines:
        engine.close()
    return [sorted(times)[len(times) // 10] for times in taken]


def other_engines(files):
    """The names of further engines that compute a model in ONNX's format here."""
    reasons = available_engines(None, files)
    return [name for name, reason in reasons.items() if not reason and name != ENGINE and ENGINES.get(name).takes_onnx]


def instructions(cpuinfo="/proc/cpuinfo"):
    """The best instructions for INT8 of this processor, in words."""
    try:
        text = Path(cpuinfo).read_text(encoding="utf-8")
    except OSError:
        return "unknown instructions"
    flags = next((line.split() for line in text.splitlines() if line.startswith(("flags", "Features"))), [])
    for flag, name in (
        ("avx512_vnni", "AVX-512 VNNI"),
        ("avx_vnni", "AVX-VNNI"),
        ("asimddp", "dot products of INT8 (ASIMD)"),
        ("avx512bw", "AVX-512 without VNNI"),
        ("avx2", "AVX2 (vpmaddubsw) without VNNI"),
    ):
        if flag in flags:
            return name
    return "no instructions for INT8"


def fp32_of_trained(config, export):
    """The bytes of a network that was trained for INT8, in FP32: its clips without the rounding. See `unrounded`."""
    return unrounded(config, export)


def read_batches(paths, transforms):
    """[N, 3, H, W] for each batch of the images at `paths`."""
    starts = range(0, len(paths), _BATCH)
    return [stack_images([read_image(path, transforms) for path in paths[start : start + _BATCH]]) for start in starts]
