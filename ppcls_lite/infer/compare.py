"""Do two engines predict the same? The one place where predictions are compared."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from ppcls_lite.data.transforms import build_transforms
from ppcls_lite.infer.model_config import build_processing
from ppcls_lite.infer.paddle_engine import EngineOptions, PaddleEngine
from ppcls_lite.infer.postprocess import build_postprocess
from ppcls_lite.infer.predict import read_image, stack_images
from ppcls_lite.infer.training_engine import TrainingEngine
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError

TOLERANCE = 1e-4
TOP = 5


@dataclass
class Agreement:
    """How far an engine's probabilities are from the training engine's, over a whole list of images."""

    engine: str
    tolerance: float  # 0.0 asks for equality bit by bit
    images: int = 0
    largest: float = 0.0
    differing_bits: int = 0  # images with any bit differing
    other_top: int = 0  # images whose top-5 ids differ by more than a tie explains

    def add(self, reference, scores):
        """Count one batch; both arrays are [N, C] probabilities."""
        self.images += len(reference)
        if reference.shape != scores.shape or reference.dtype != scores.dtype:
            self.largest, self.differing_bits, self.other_top = np.inf, self.images, self.images
            return
        difference = np.abs(reference.astype(np.float64) - scores).max(axis=1)
        difference[np.isnan(difference)] = np.inf
        self.largest = max(self.largest, float(difference.max()))
        self.differing_bits += int((reference.view(np.uint32) != scores.view(np.uint32)).any(axis=1).sum())
        self.other_top += sum(not same_top(a, b, self.tolerance) for a, b in zip(reference, scores))

    @property
    def agrees(self):
        """Whether the engine passes: some images, close enough, the same best classes."""
        bits = self.tolerance > 0 or self.differing_bits == 0
        return self.images > 0 and bits and self.largest <= self.tolerance and self.other_top == 0

    def as_dict(self):
        return {**asdict(self), "agrees": self.agrees}

    def __str__(self):
        wanted = f"at most {self.tolerance:g}" if self.tolerance else "bitwise equality"
        return (
            f"{self.engine}: largest difference {self.largest:.3g} ({wanted} asked for), "
            f"{self.images - self.differing_bits} of {self.images} images bitwise equal, "
            f"{self.images - self.other_top} of {self.images} with the same top-{TOP}: "
            f"{'agrees' if self.agrees else 'DISAGREES'}"
        )


def same_top(reference, scores, tolerance):
    """Whether the best classes of two rows are the same, in the same order.

    Two ids may change places only where the reference scores them within `tolerance` of each other.
    """
    first = np.argsort(-reference, kind="stable")[:TOP]
    second = np.argsort(-scores, kind="stable")[:TOP]
    return bool((np.abs(reference[first] - reference[second]) <= tolerance)[first != second].all())


def check_names(expected, found, model_dir):
    """Raise UserError unless both engines print the same name for every class (dicts of class id to name)."""
    for label in sorted({*expected, *found}):
        if expected.get(label) != found.get(label):
            raise UserError(
                f"{model_dir}: class {label} is {found.get(label)!r} there and {expected.get(label)!r} in the "
                "training config's class_id_map_file"
            )


def compare_engines(config, model_dir, inference_config, images, batch_size=8):
    """One `Agreement` each for Paddle Inference without optimisations and as people use it.

    Args:
        config: the training config; its network with `Global.pretrained_model` is the reference.
        model_dir: folder of the exported model.
        inference_config: config of `predict_cls.py`.
        images: paths of the images.
    Every way reads the files with its own transforms, so a difference there shows too; class names that differ
    raise UserError.
    """
    if batch_size < 1:
        raise UserError(f"batch_size: expected a whole number of at least 1, found {batch_size}")
    transforms = build_transforms(require(config, "Infer.transforms"), "Infer.transforms")
    deployed, postprocess = build_processing(model_dir, inference_config)
    check_names(build_postprocess(config["Infer"].get("PostProcess")).names, postprocess.names, model_dir)
    expected = list(_scores(TrainingEngine(config), transforms, images, batch_size))
    options = replace(EngineOptions.from_config(inference_config["Global"]), use_gpu=False)
    usual = "usual_onednn" if options.enable_mkldnn else "usual"
    agreements = []
    # One engine after the other: Paddle's number of threads is one for the whole process, and a change of it in
    # between would change the last bits of the next engine's results.
    for name, tolerance, setting in (("strict", 0.0, options.strict()), (usual, TOLERANCE, options)):
        agreement = Agreement(name, tolerance)
        for reference, scores in zip(
            expected, _scores(PaddleEngine(model_dir, setting), deployed, images, batch_size)
        ):
            agreement.add(reference, scores)
        agreements.append(agreement)
    return agreements


def _scores(engine, transforms, images, batch_size):
    """The engine's probabilities, batch by batch."""
    for start in range(0, len(images), batch_size):
        yield engine.run(stack_images([read_image(path, transforms) for path in images[start : start + batch_size]]))
