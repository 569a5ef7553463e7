"""Compare the answers of a detector's service with the predictions of Paddle Inference."""

import math

import numpy as np

from ppcls_lite.infer.compare.exact import box_rows
from ppcls_lite.infer.detect import run_detector
from ppcls_lite.infer.engines.spread import Spread
from ppcls_lite.serving.compare import RankedAnswers

_HEAT = 2  # among a detector's outputs: the heat-map [N, C, h, w]
_EXPECTED = ("peaks", "size")  # what `predict_boxes` adds to an answer


def predict_boxes(engine, image, results_of):
    """What is expected of a `DetectorImage`: the exact answer, the size of the image, and each class's best score."""
    outputs = run_detector(engine, [image])
    (result,) = results_of(outputs[0], sizes=[image.size])
    return {**result, "size": image.size, "peaks": outputs[_HEAT][0].max(axis=(1, 2))}


class BoxAnswers(RankedAnswers):
    """Whether the boxes that one client was answered are those of `predict_det.py`, over all its images.

    Identical is: as many boxes of the same classes and names in the same order, and every score and corner the very
    float32 number. With a `limit`, corners may differ by so much as a share of the image's longer side.
    """

    ranked = "classes"
    answered = "scores"

    def __init__(self, client, limit=0.0):
        super().__init__(client, limit)
        self.boxes = 0  # that are expected
        self._spread = Spread()

    def add(self, expected, found, key=None):
        """Count one image: what `predict_boxes` makes of it, and what was answered, which may be any JSON value.

        `key` is that of the image's input (`key_of`); without it, it is not seen that answers are constant.
        """
        self.images += 1
        self.boxes += len(expected["class_ids"])
        if key is not None:  # where the heat-map is the same for all images, so are the boxes
            self._spread.add(key, expected["peaks"])
        if not _has_form(found) or len(found["class_ids"]) != len(expected["class_ids"]):
            self.topk_mismatches += 1
            self.largest = float("inf")
            return
        self.identical += found == {name: value for name, value in expected.items() if name not in _EXPECTED}
        self.topk_mismatches += any(found[name] != expected[name] for name in ("class_ids", "label_names"))
        apart = np.abs(_numbers(expected) - _numbers(found)) / np.array([1, *[max(expected["size"])] * 4])
        self.largest = max(self.largest, float(apart.max(initial=0)))

    @property
    def agrees(self):
        """As of `RankedAnswers`; and some box was found, without which nothing is compared."""
        return super().agrees and self.boxes > 0

    def as_dict(self):
        return {**super().as_dict(), "boxes": self.boxes}

    @property
    def more(self):
        return f", {self.boxes} boxes"

    @property
    def different(self):
        """The number of images with different inputs of the network."""
        return self._spread.different

    @property
    def spread(self):
        """The largest difference of a class's best score between different images; None for fewer than two."""
        return self._spread.largest

    @property
    def share(self):
        """As `spread`, of the score itself."""
        return self._spread.share

    @staticmethod
    def entry(result, expected):
        """The entry of a result in a file of full precision; `expected` is that of the same image."""
        rows = np.empty((0, 6), np.float32)
        if _has_form(result):
            rows = np.column_stack([result["class_ids"], _numbers(result)]).astype(np.float32)
        return box_rows(rows, max(expected["size"]))


def _numbers(result):
    """[K, 5] of score and corners."""
    return np.column_stack([result["scores"], np.reshape(result["boxes"], (-1, 4))])


def _has_form(found):
    keys = ("class_ids", "scores", "boxes", "label_names")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in keys):
        return False
    ids, scores, boxes = found["class_ids"], found["scores"], found["boxes"]
    if not len(ids) == len(scores) == len(boxes) or not all(type(label) is int for label in ids):
        return False
    corners = [number for box in boxes for number in (box if isinstance(box, list) and len(box) == 4 else [None])]
    return all(type(number) in (int, float) and math.isfinite(number) for number in [*scores, *corners])
