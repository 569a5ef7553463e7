"""Does an exported detector give the trained network's raw maps and boxes, with every engine?"""

from dataclasses import asdict, dataclass
from typing import NamedTuple, Optional

import numpy as np

from ppcls_lite.data.detection import build_det_transforms
from ppcls_lite.infer.compare.engines import USUAL, compare_all
from ppcls_lite.infer.compare.exact import box_rows
from ppcls_lite.infer.detect import create_detector, run_detector
from ppcls_lite.infer.engines.agreement import TOLERANCE, allowed, is_constant, verdict
from ppcls_lite.infer.engines.spread import Spread, key_of
from ppcls_lite.infer.engines.training import DetectorTrainingEngine
from ppcls_lite.infer.images import read_detector_image

LEAST_SCORE = 0.05  # boxes with a lower score are not compared where maps may differ
MAP_TOLERANCE = 1e-2  # of raw maps, in scores and cells; the tolerance of boxes is stricter
_HEAT, _MAPS = 2, slice(2, 5)  # among the outputs: the heat-map; heat-map, size and offset


@dataclass
class DetectionAgreement:
    """How far an engine's maps and boxes are from the training engine's, over a whole list of images.

    Differences of maps are of their numbers (scores; cells), those of boxes of their scores and of their corners as
    shares of the image's longer side.
    """

    engine: str
    tolerance: float  # 0.0 requires equality bit by bit, of maps and boxes
    images: int = 0
    largest: float = 0.0  # of all below
    largest_map: float = 0.0
    largest_box: float = 0.0
    bitwise_mismatches: int = 0  # images with any bit differing
    boxes: int = 0
    unmatched: int = 0  # boxes that only one of the engines found, and that no tie explains
    ties: int = 0  # boxes that only one of them found, because two scores are within the tolerance of each other
    different: int = 0  # images with different inputs of the network
    spread: Optional[float] = None  # the largest difference of a cell's score between them; None: fewer than two
    share: Optional[float] = None  # the same as a share of the score

    def __post_init__(self):
        self._spread = Spread()

    def add(self, expected, found, sides, keys=()):
        """Count one batch: outputs of the deployed network; `sides` [N] is each image's longer side in pixels.

        `keys` are those of the images' inputs (`key_of`); without them it is not seen that maps are constant.
        """
        self.images += len(sides)
        if [(a.shape, a.dtype) for a in expected] != [(b.shape, b.dtype) for b in found]:
            self.largest, self.bitwise_mismatches, self.unmatched = np.inf, self.images, self.images
            return
        for key, heat in zip(keys, found[_HEAT]):
            self._spread.add(key, heat)
        self.different = self._spread.different
        self.spread, self.share = self._spread.largest, self._spread.share
        bits = np.zeros(len(sides), bool)
        for a, b in zip([expected[0], *expected[_MAPS]], [found[0], *found[_MAPS]]):
            bits |= (a.view(np.uint32) != b.view(np.uint32)).any(axis=tuple(range(1, a.ndim)))
        self.bitwise_mismatches += int(bits.sum())
        self.largest_map = max(self.largest_map, *(_largest(a, b) for a, b in zip(expected[_MAPS], found[_MAPS])))
        heats = zip(expected[_HEAT], found[_HEAT])
        for rows, others, side, (heat, other_heat) in zip(expected[0], found[0], sides, heats):
            self._add_boxes(rows, others, side, heat, other_heat)
        self.largest = max(self.largest_map, self.largest_box)

    def _add_boxes(self, rows, others, side, heat, other_heat):
        """Pair the boxes of one image, [K, 6] each: every one with the nearest of its label; heat-maps [C, h, w]."""
        scale = np.array([1, *[side] * 4])
        least = LEAST_SCORE if self.tolerance else 0.0
        counted = rows[rows[:, 1] >= least]
        self.boxes += len(counted)
        # `rows` and `others` are not cut at `least`: a box just below it on one side only would seem to be missing
        pairs = ((counted, others, heat, other_heat), (others[others[:, 1] >= least], rows, other_heat, heat))
        for first, second, own, other in pairs:
            for row in first:
                same = second[second[:, 0] == row[0]]
                apart = np.abs((same[:, 1:] - row[1:]).astype(np.float64) / scale).max(axis=1, initial=0)
                nearest = apart.min(initial=np.inf)
                if nearest <= max(self.tolerance, TOLERANCE):
                    self.largest_box = max(self.largest_box, float(nearest))
                elif self.tolerance and _is_tie(row, second, own, other, self.tolerance):
                    self.ties += 1
                else:
                    self.unmatched += 1

    @property
    def limit(self):
        """The difference that is allowed of a box: of its score, and of its corners as a share of the longer side."""
        return self.tolerance

    @property
    def details(self):
        """`str(self)`: there is nothing more to say."""
        return str(self)

    @property
    def agrees(self):
        """Whether the engine passes: some boxes, the same and close enough, of maps that are about the same.

        Maps that do not depend on the image do not pass.
        """
        if is_constant(self.share):
            return False
        close = self.largest_map <= MAP_TOLERANCE if self.tolerance else self.bitwise_mismatches == 0
        return self.boxes > 0 and close and self.unmatched == 0 and self.largest_box <= self.tolerance

    def as_dict(self):
        return {**asdict(self), "agrees": self.agrees}

    def __str__(self):
        return (
            f"{self.engine}: largest difference {self.largest_box:.3g} of boxes ({allowed(self.tolerance)}), "
            f"{self.largest_map:.3g} of raw maps, {self.images - self.bitwise_mismatches} of {self.images} images "
            f"bitwise equal, {self.boxes} boxes, {self.unmatched} without a partner"
            f"{f' ({self.ties} more in ties of two scores)' if self.ties else ''}: "
            f"{verdict(self)}"
        )


def _is_tie(row, others, heat, other_heat, tolerance):
    """Whether the other engine has the peak of the box `row` too, and drops it for another one of the same score.

    A box is the largest score among its cell's neighbours (3x3), and among the K largest of the image. In either place
    two scores within `tolerance` of each other may change their order.
    """
    label = int(row[0])
    for y, x in np.argwhere(heat[label] == row[1]):
        around = other_heat[label, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        score = other_heat[label, y, x]
        suppressed = score < around.max() <= score + tolerance
        cut = abs(float(score) - float(others[:, 1].min())) <= tolerance
        if abs(float(score) - float(row[1])) <= tolerance and (suppressed or cut):
            return True
    return False


def _largest(a, b):
    difference = np.abs(a.astype(np.float64) - b)
    return float(np.nan_to_num(difference, nan=np.inf).max())


def compare_detectors(
    config, model_dir, inference_config, images, batch_size=8, engines=(USUAL,), labels=None, watch=None, exact=None
):
    """Yield a `DetectionAgreement` for `strict`, then for each of `engines`; see `compare_all`.

    `images` are paths. `labels` is not used: eval.py counts what is right. `watch` gets the deployed network's outputs,
    `exact` (an `ExactPredictions`) the boxes of each engine.
    """
    comparison = DetectionComparison(images)
    return compare_all(comparison, config, model_dir, inference_config, batch_size, engines, watch, exact)


class DetectorInputs(NamedTuple):
    """What is kept of a batch's inputs: the images themselves would fill the memory."""

    sides: list  # each image's longer side in pixels
    scales: np.ndarray  # [N, 2], pixels of the network's image per pixel of the file, (y, x)
    keys: list  # see `key_of`


class DetectionComparison:
    """How detectors are compared: by raw maps and boxes; the members are those of ScoreComparison."""

    build_transforms = staticmethod(build_det_transforms)
    training_engine = DetectorTrainingEngine
    create_engine = staticmethod(create_detector)
    agreement = DetectionAgreement

    def __init__(self, images):
        self.images = images

    def outputs(self, engine, transforms, batch):
        images = [read_detector_image(path, transforms) for path in self.images[batch]]
        return run_detector(engine, images), DetectorInputs(
            [max(image.size) for image in images],
            np.stack([image.scale_factor for image in images]),
            [key_of(image.image) for image in images],
        )

    def rows(self, outputs):
        arrays, inputs = outputs
        places = [slice(number, number + 1) for number in range(len(inputs.keys))]
        return [([array[one] for array in arrays], DetectorInputs(*(part[one] for part in inputs))) for one in places]

    def entries(self, outputs):
        arrays, inputs = outputs
        everything = [arrays[0], *arrays[_MAPS]]
        return [
            box_rows(arrays[0][number], side, [array[number] for array in everything])
            for number, side in enumerate(inputs.sides)
        ]

    def add(self, agreement, expected, found, batch):
        (reference, _), (outputs, inputs) = expected, found
        agreement.add(reference, outputs, inputs.sides, inputs.keys)
