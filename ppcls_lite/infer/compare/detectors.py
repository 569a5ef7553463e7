"""Do two engines detect the same? Raw maps and boxes of the training engine beside those of the others."""

from dataclasses import asdict, dataclass

import numpy as np

from ppcls_lite.data.detection import build_det_transforms
from ppcls_lite.infer.compare.classifiers import USUAL, compare_all
from ppcls_lite.infer.detect import DetectionTrainingEngine, create_detector, read_picture, run_detector
from ppcls_lite.infer.engines.agreement import TOLERANCE, allowed

# below it, boxes are not compared where maps may differ: two cells of nearly the same score may change their places
LEAST_SCORE = 0.05
MAP_TOLERANCE = 1e-2  # of raw maps, in scores and cells; boxes below are what is asked for
_MAPS = slice(2, 5)  # heat-map, size, offset among the outputs


@dataclass
class DetectionAgreement:
    """How far an engine's maps and boxes are from the training engine's, over a whole list of images.

    Differences of maps are of their numbers (scores; cells), those of boxes of their scores and of their corners as
    shares of the picture's longer side.
    """

    engine: str
    tolerance: float  # 0.0 asks for equality bit by bit, of maps and boxes
    images: int = 0
    largest: float = 0.0  # of all below
    largest_map: float = 0.0
    largest_box: float = 0.0
    bitwise_mismatches: int = 0  # images with any bit differing
    boxes: int = 0
    unmatched: int = 0  # boxes that one engine has and the other has not

    def add(self, expected, found, sides):
        """Count one batch: outputs of the deployed network; `sides` [N] is each picture's longer side in pixels."""
        self.images += len(sides)
        if [(a.shape, a.dtype) for a in expected] != [(b.shape, b.dtype) for b in found]:
            self.largest, self.bitwise_mismatches, self.unmatched = np.inf, self.images, self.images
            return
        bits = np.zeros(len(sides), bool)
        for a, b in zip([expected[0], *expected[_MAPS]], [found[0], *found[_MAPS]]):
            bits |= (a.view(np.uint32) != b.view(np.uint32)).any(axis=tuple(range(1, a.ndim)))
        self.bitwise_mismatches += int(bits.sum())
        self.largest_map = max(self.largest_map, *(_largest(a, b) for a, b in zip(expected[_MAPS], found[_MAPS])))
        for rows, others, side in zip(expected[0], found[0], sides):
            self._add_boxes(rows, others, side)
        self.largest = max(self.largest_map, self.largest_box)

    def _add_boxes(self, rows, others, side):
        """Pair the boxes of one image, [K, 6] each: every one with the nearest of its label."""
        scale = np.array([1, *[side] * 4])
        least = LEAST_SCORE if self.tolerance else 0.0
        counted = rows[rows[:, 1] >= least]
        self.boxes += len(counted)
        # what scores just below on one side only would seem to be missing
        for first, second in ((counted, others), (others[others[:, 1] >= least], rows)):
            for row in first:
                same = second[second[:, 0] == row[0]]
                apart = np.abs((same[:, 1:] - row[1:]).astype(np.float64) / scale).max(axis=1, initial=0)
                nearest = apart.min(initial=np.inf)
                if nearest <= max(self.tolerance, TOLERANCE):
                    self.largest_box = max(self.largest_box, float(nearest))
                else:
                    self.unmatched += 1

    @property
    def details(self):
        """`str(self)`: there is nothing more to say."""
        return str(self)

    @property
    def agrees(self):
        """Whether the engine passes: some boxes, the same and close enough, of maps that are about the same."""
        close = self.largest_map <= MAP_TOLERANCE if self.tolerance else self.bitwise_mismatches == 0
        return self.boxes > 0 and close and self.unmatched == 0 and self.largest_box <= self.tolerance

    def as_dict(self):
        return {**asdict(self), "agrees": self.agrees}

    def __str__(self):
        return (
            f"{self.engine}: largest difference {self.largest_box:.3g} of boxes ({allowed(self.tolerance)}), "
            f"{self.largest_map:.3g} of raw maps, {self.images - self.bitwise_mismatches} of {self.images} images "
            f"bitwise equal, {self.boxes} boxes, {self.unmatched} without a partner: "
            f"{'agrees' if self.agrees else 'DISAGREES'}"
        )


def _largest(a, b):
    difference = np.abs(a.astype(np.float64) - b)
    return float(np.nan_to_num(difference, nan=np.inf).max())


def compare_detectors(config, model_dir, inference_config, images, batch_size=8, engines=(USUAL,), labels=None):
    """Yield a `DetectionAgreement` for `strict`, then for each of `engines`; arguments as of `compare_engines`.

    `labels` is not used: eval.py counts what is right. Every way reads the files with its own transforms, so a
    difference there shows too; class names that differ raise UserError.
    """
    return compare_all(MapComparison(images), config, model_dir, inference_config, batch_size, engines)


class MapComparison:
    """How detectors are compared: by raw maps and boxes; the members are those of ScoreComparison."""

    build_transforms = staticmethod(build_det_transforms)
    training_engine = DetectionTrainingEngine
    create_engine = staticmethod(create_detector)
    agreement = DetectionAgreement

    def __init__(self, images):
        self.images = images

    def outputs(self, engine, transforms, batch):
        pictures = [read_picture(path, transforms) for path in self.images[batch]]
        return run_detector(engine, pictures), [max(picture.size) for picture in pictures]

    def add(self, agreement, expected, found, batch):
        (reference, sides), (outputs, _) = expected, found
        agreement.add(reference, outputs, sides)
