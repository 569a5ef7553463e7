"""How a service's network is fed: what it takes of an image, and how an engine computes several of them together."""

import numpy as np

from ppcls_lite.infer.detect import create_detector, run_detector
from ppcls_lite.infer.engines import create_engine
from ppcls_lite.infer.engines.training import DETECTOR_INPUTS
from ppcls_lite.infer.images import DetectorImage, prepare_detector_image, read_detector_image, read_image


class ImageNetwork:
    """A network that takes nothing but an image [3, H, W] float32: a classifier or a recogniser."""

    takes_tensors = True  # whether such an array is all that a client has to send

    def create(self, model_dir, options):
        """The engine of the exported model; UserError for a model of another kind."""
        return create_engine(None, model_dir, options)

    def read(self, path, transforms):
        """What the network takes of the image file at `path`; UserError for a file that is not an image."""
        return np.ascontiguousarray(read_image(path, transforms))

    def prepare(self, content, transforms):
        """What the network takes of an image: the bytes of its file, or an array [H, W, 3] (uint8, RGB)."""
        return transforms(content)

    def pixels(self, prepared):
        """The image [3, H, W] in what `prepare` made."""
        return prepared

    def probe(self, images):
        """As `prepare`, of images [N, 3, H, W] that are transformed already: something to try engines with."""
        return images

    def inputs(self, engine, prepared):
        """{name: array} of what `prepare` made of several images, as the engine is fed."""
        return {engine.input_names[0]: np.stack(prepared)}

    def run(self, engine, prepared):
        """The outputs [N, ...] of what `prepare` made of several images."""
        return engine.run(np.stack(prepared))

    def facts(self, prepared):
        """{name: array [N, ...]}: what the post-processing has to know of each image besides the outputs."""
        return {}


class DetectorNetwork(ImageNetwork):
    """A detector: it takes a `DetectorImage`, and its boxes need the size of the image in the file."""

    takes_tensors = False

    def create(self, model_dir, options):
        return create_detector(None, model_dir, options)

    def read(self, path, transforms):
        return read_detector_image(path, transforms)

    def prepare(self, content, transforms):
        return prepare_detector_image(content, transforms)

    def pixels(self, prepared):
        return prepared.image

    def probe(self, images):
        return [DetectorImage(image, np.ones(2, np.float32), image.shape[:0:-1]) for image in images]

    def inputs(self, engine, prepared):
        arrays = (np.stack([one.image for one in prepared]), np.stack([one.scale_factor for one in prepared]))
        return dict(zip(DETECTOR_INPUTS, arrays))

    def run(self, engine, prepared):
        """The boxes [N, K, 6]."""
        return run_detector(engine, prepared)[0]

    def facts(self, prepared):
        """{"sizes": [N, 2]}: width and height of each image in its file, in pixels."""
        return {"sizes": np.array([one.size for one in prepared])}
