"""Prediction of boxes with any engine that runs detectors, and drawings of them."""

from pathlib import Path

import numpy as np

from ppcls_lite.data.detection.targets import MULTIPLE
from ppcls_lite.infer.drawing import draw_on_file, drawing_paths, write_image
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.options import EngineOptions
from ppcls_lite.infer.engines.training import DETECTOR_INPUTS
from ppcls_lite.infer.images import read_detector_image, stack_images
from ppcls_lite.infer.predict import Predictor
from ppcls_lite.utils.errors import UserError


def create_detector(name, model_dir, engine_options=None):
    """As `create_engine`, for an exported detector; UserError for a model that is not a detector."""
    engine_options = engine_options or EngineOptions()
    if "auto" in (name, engine_options.engine):
        raise UserError("engine auto: it tries classifiers only; name one of the others for a detector")
    engine = create_engine(name, model_dir, engine_options)
    if sorted(engine.input_names) != sorted(DETECTOR_INPUTS):
        raise UserError(
            f"{model_dir}: not a detector: its inputs are {', '.join(engine.input_names)}, not "
            f"{' and '.join(DETECTOR_INPUTS)}"
        )
    return engine


def run_detector(engine, images):
    """The deployed network's outputs for a list of `DetectorImage`s: boxes [N, K, 6], their numbers, and the raw maps.

    UserError when the images differ in size, or do not fit the network.
    """
    pixels = stack_images([image.image for image in images])
    if any(side % MULTIPLE for side in pixels.shape[2:]):
        raise UserError(f"the transforms make {list(pixels.shape[1:])}: expected multiples of {MULTIPLE} pixels")
    scales = np.stack([image.scale_factor for image in images])
    boxes, *others = engine.run_all(dict(zip(DETECTOR_INPUTS, (pixels, scales))))
    return [boxes.reshape(len(images), -1, 6), *others]


class DetectionPredictor(Predictor):
    """A Predictor of boxes; draws them on copies of the images in the folder `output_dir`, if it is given.

    The drawings are JPEG files, named and in folders as the images are.
    """

    def __init__(self, engine, transforms, postprocess, batch_size=1, workers=None, output_dir=None):
        super().__init__(engine, transforms, postprocess, batch_size, workers)
        self.output_dir = Path(output_dir) if output_dir else None

    def read(self, path):
        return read_detector_image(path, self.transforms)

    def compute(self, inputs):
        return run_detector(self.engine, inputs)[0]

    def finish(self, found, inputs):
        return self.postprocess(found, [image.size for image in inputs])

    def predict_all(self, paths):
        targets = drawing_paths(self.listed or paths, self.output_dir) if self.output_dir else {}
        for batch in super().predict_all(paths):
            for path, result in batch:
                if path in targets and not isinstance(result, UserError):
                    write_image(draw_on_file(Path(path).read_bytes(), result), targets[path])
            yield batch
