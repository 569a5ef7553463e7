"""Does a model in ONNX's format give what the exported model that it was made of gives?"""

from dataclasses import replace

import numpy as np

from ppcls_lite.infer.compare.detections import DetectionComparison
from ppcls_lite.infer.compare.embeddings import EmbeddingComparison
from ppcls_lite.infer.compare.scores import ScoreComparison
from ppcls_lite.infer.engines.base import ENGINES
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.model.config import build_processing, choose_processing
from ppcls_lite.infer.model.files import find_model, find_onnx

LIMIT = 1e-5  # of a probability
MOST = 1e-4  # for a network that the last bit of its images moves far
_KINDS = {"DetectionBoxes": DetectionComparison, "Embedding": EmbeddingComparison}  # all others have scores
LAST_BITS = 5  # each layer rounds, not the images alone


def onnx_engines(onnx):
    """{name: why it cannot run here, "" when it can} of the engines that read ONNX's format."""
    names = [name for name in ENGINES.names() if ENGINES.get(name).takes_onnx]
    return {name: ENGINES.get(name).why_not(None, find_onnx(onnx)) for name in names}


def is_detector(model):
    """Whether the exported model's predictions are boxes."""
    return choose_processing(model)[1].get("name") == "DetectionBoxes"


def compare_onnx(model, onnx, images, batch_sizes=(1, 8), engines=("onnxruntime",)):
    """Yield an agreement for each engine and batch size, named `<engine>_batchsize_<n>`.

    Args:
        model: folder of the exported model, which Paddle computes in strict mode, or its `OnnxComparison`.
        onnx: the ONNX file, or a folder with inference.onnx; its engines read the images as the exported model does.
        images: paths.
    The limit is 1e-5, or for a network that is more sensitive 5 times `last_bit`, up to 1e-4.
    """
    comparison = model if isinstance(model, OnnxComparison) else OnnxComparison(model, images)
    files = find_onnx(onnx)
    for size in batch_sizes:
        expected = comparison.of_paddle(size)
        for name in engines:
            found = comparison.of_engine(name, files, size)
            agreement = comparison.agreement(f"{name}_batchsize_{size}", LIMIT, expected, found, size)
            if not agreement.agrees and comparison.limit > LIMIT:
                agreement = comparison.agreement(agreement.engine, comparison.limit, expected, found, size)
            yield agreement


class OnnxComparison:
    """The exported model in the folder `model`, and what it gives for the images at the paths `images`."""

    def __init__(self, model, images):
        self.files, self.images, self._moved, self._paddle = find_model(model), images, None, {}
        self.kind = _KINDS.get(choose_processing(self.files)[1].get("name"), ScoreComparison)(images)
        self.transforms = build_processing(self.files)[0]

    def of_paddle(self, size):
        """[outputs of a batch] of Paddle in strict mode."""
        if size not in self._paddle:
            self._paddle[size] = self._compute(size)
        return self._paddle[size]

    def _compute(self, size, wrap=None):
        """The same, computed; `wrap` replaces the engine."""
        with self.kind.create_engine(None, self.files, replace(EngineOptions().strict(), batch_size=size)) as engine:
            return self._outputs(wrap(engine) if wrap else engine, size)

    def of_engine(self, name, onnx, size):
        """The same of the ONNX file, computed by an engine."""
        with self.kind.create_engine(name, onnx, EngineOptions(batch_size=size)) as engine:
            return self._outputs(engine, size)

    def agreement(self, title, tolerance, expected, found, size):
        """The agreement of two lists of outputs."""
        result = self.kind.agreement(title, tolerance)
        for batch, first, second in zip(self._batches(size), expected, found):
            self.kind.add(result, first, second, batch)
        return result

    @property
    def last_bit(self):
        """How far Paddle's own outputs move when every number of the images moves by its last bit."""
        if self._moved is None:
            expected, found = self.of_paddle(1), self._compute(1, _Moved)
            self._moved = self.agreement("last bit", LIMIT, expected, found, 1).largest
        return self._moved

    @property
    def limit(self):
        """The difference that is allowed where it is more than `LIMIT`."""
        return min(LAST_BITS * self.last_bit, MOST)

    def _outputs(self, engine, size):
        return [self.kind.outputs(engine, self.transforms, batch) for batch in self._batches(size)]

    def _batches(self, size):
        return [slice(start, start + size) for start in range(0, len(self.images), size)]


class _Moved:
    """An engine whose images are moved by their last bits."""

    def __init__(self, engine):
        self.engine, self.input_names = engine, engine.input_names

    def run(self, images):
        return self.engine.run(_next(images))

    def run_all(self, inputs):
        return self.engine.run_all({name: _next(one) if one.ndim == 4 else one for name, one in inputs.items()})


def _next(images):
    return np.nextafter(images, np.float32(np.inf))
