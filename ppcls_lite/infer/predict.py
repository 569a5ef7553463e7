"""Predict images from disk with any engine: read, transform, run, post-process."""

import sys
import time
from pathlib import Path

import numpy as np

from ppcls_lite.data.dataset import list_images
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


def read_image(path, transforms):
    """The file at `path` as the network's input [3, H, W] float32; UserError names a file that is no picture."""
    try:
        image = transforms(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != np.float32:
        raise UserError(
            f"{path}: the transforms make {list(image.shape)} {image.dtype}, and a network takes [3, H, W] float32: "
            "is NormalizeImage or ToCHWImage missing?"
        )
    return image


def stack_images(images):
    """One batch [N, 3, H, W] of images; UserError when their sizes differ."""
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise UserError(
            f"images of one batch differ in shape, {shapes[0]} and {shapes[1]}: the transforms lack a crop or a resize "
            "to one size (or use batch_size=1)"
        )
    return np.stack(images)


class Predictor:
    """An engine with its transforms and post-processing; counts what it did for the timing summary."""

    def __init__(self, engine, transforms, postprocess, batch_size=1):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f"batch_size: expected a whole number of at least 1, found {batch_size!r}")
        self.engine, self.transforms, self.postprocess = engine, transforms, postprocess
        self.batch_size = batch_size
        self.images = 0
        self.failed = []
        self.seconds = {"preprocess": 0.0, "inference": 0.0, "postprocess": 0.0}

    def predict(self, source):
        """Yield a list of (path, result) for each batch of the images at `source` (file, folder or list file).

        A file that is no picture is reported on standard error, kept in `self.failed`, and does not end the run.
        """
        paths, skipped = list_images(source)
        if skipped:
            logger.info(f"{source}: skipped what is no image: {skipped}")
        for start in range(0, len(paths), self.batch_size):
            clock = time.perf_counter()
            kept, images = [], []
            for path in paths[start : start + self.batch_size]:
                try:
                    images.append(read_image(path, self.transforms))
                    kept.append(path)
                except UserError as error:
                    self.failed.append(path)
                    print(f"error: {error}", file=sys.stderr)
            clock = self._lap("preprocess", clock)
            if not kept:
                continue
            scores = self.engine.run(stack_images(images))
            clock = self._lap("inference", clock)
            results = self.postprocess(scores)
            self._lap("postprocess", clock)
            self.images += len(kept)
            yield list(zip(kept, results))

    def _lap(self, part, since):
        now = time.perf_counter()
        self.seconds[part] += now - since
        return now

    def timing(self):
        """One line: milliseconds an image for each part."""
        parts = ", ".join(f"{part} {1000 * spent / max(self.images, 1):.2f}" for part, spent in self.seconds.items())
        return f"{self.images} images, batch size {self.batch_size}, milliseconds an image: {parts}"
