"""Predict images from disk with any engine: read, transform, run, post-process; reading overlaps running."""

import time

import numpy as np

from ppcls_lite.data.image_lists import list_images
from ppcls_lite.infer.error_lines import ErrorLines
from ppcls_lite.infer.images import read_image, stack_images
from ppcls_lite.infer.read_ahead import read_ahead
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.machine import usable_cores


def find_images(source):
    """The paths of the images at `source` (an image, a folder or a list file); logs how many files are not images."""
    paths, skipped = list_images(source)
    if skipped:
        logger.info(f"{source}: skipped files that are not images: {skipped}")
    return paths


class Predictor:
    """An engine with its transforms and post-processing; counts images, batches and times for the timing summary.

    `workers` threads read and transform images while the engine computes (None: as many as there are CPU cores); 0
    reads each batch when its turn comes. The predictions are the same bit by bit. At most two batches and one image
    per thread wait in memory, however many images there are.

    `seconds` is the time in each part. With workers, `preprocess` is the sum over the threads, so that the parts
    together may exceed `elapsed`, the seconds from the first image to the last.

    `listed` are the images of all processes that share a list, where this is one of them.
    """

    listed = None

    def __init__(self, engine, transforms, postprocess, batch_size=1, workers=None):
        self.engine, self.transforms, self.postprocess = engine, transforms, postprocess
        self.batch_size = checks.whole("batch_size", batch_size)
        self.workers = usable_cores() if workers is None else checks.whole("num_workers", workers, 0)
        self.images = self.batches = 0
        self.failed, self._errors = [], ErrorLines()
        self.seconds = {"preprocess": 0.0, "inference": 0.0, "postprocess": 0.0}
        self.elapsed = 0.0

    def predict(self, source):
        """Yield a list of (path, result) for each batch of the images at `source` (file, folder or list file)."""
        for batch in self.predict_all(find_images(source)):
            if kept := [(path, result) for path, result in batch if not isinstance(result, UserError)]:
                yield kept

    def predict_all(self, paths):
        """Yield a list of (path, result) for each batch of the images `paths`, all of them and in their order.

        The result of a file that is not an image is the UserError that says so; standard error gets the first ones too,
        the path is kept in `self.failed`, and the run goes on.
        """
        began = time.perf_counter()
        workers = self.workers if len(paths) > 1 else 0
        stream = read_ahead(self._read, paths, workers, 2 * self.batch_size + workers)
        try:
            batch = []
            for path, image in stream:
                batch.append((path, image))
                if len(batch) == self.batch_size:
                    yield self._run(batch)
                    batch = []
            if batch:
                yield self._run(batch)
            self._errors.end()
        finally:
            stream.close()
            self.elapsed += time.perf_counter() - began

    def read(self, path):
        """What the network needs of one image; raises UserError for a file that is not an image."""
        return np.ascontiguousarray(read_image(path, self.transforms))

    def compute(self, inputs):
        """The engine's outputs for a list of inputs, as `read` returns them."""
        return self.engine.run(stack_images(inputs))

    def finish(self, found, inputs):
        """One result for each of the `inputs`, from the engine's outputs."""
        return self.postprocess(found)

    def _read(self, path):
        """(image or UserError, seconds that it took); runs in a thread."""
        clock = time.perf_counter()
        try:
            image = self.read(path)
        except UserError as error:
            image = error
        return image, time.perf_counter() - clock

    def _run(self, batch):
        self.seconds["preprocess"] += sum(spent for _, (_, spent) in batch)
        results = [image for _, (image, _) in batch]
        good = [number for number, image in enumerate(results) if not isinstance(image, UserError)]
        for path, (image, _) in batch:
            if isinstance(image, UserError):
                self.failed.append(path)
                self._errors.show(image)
        if good:
            inputs = [results[number] for number in good]
            self._warm_up(inputs[:1])
            clock = time.perf_counter()
            found = self.compute(inputs)
            clock = self._lap("inference", clock)
            for number, result in zip(good, self.finish(found, inputs)):
                results[number] = result
            self._lap("postprocess", clock)
            self.images += len(good)
            self.batches += 1
        return [(path, result) for (path, _), result in zip(batch, results)]

    def _warm_up(self, inputs):
        """Let the engine prove what is in effect before its time is taken."""
        if self.engine.effects is None:
            clock = time.perf_counter()
            self.compute(inputs)
            self.elapsed -= time.perf_counter() - clock

    def _lap(self, part, since):
        now = time.perf_counter()
        self.seconds[part] += now - since
        return now

    def timing(self):
        """One line: milliseconds per image for each part, and images per second of the whole."""
        parts = ", ".join(f"{part} {1000 * spent / max(self.images, 1):.2f}" for part, spent in self.seconds.items())
        return (
            f"{self.images} images, batch size {self.batch_size}, milliseconds per image: {parts}; "
            f"{self.images / (self.elapsed or 1):.1f} images/s, reading threads: {self.workers}"
        )
