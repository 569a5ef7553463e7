"""Average precision of detections as COCO defines it, computed by pycocotools."""

import contextlib
import io

import numpy as np
import paddle

from ppcls_lite.arch.centernet import decode
from ppcls_lite.data.detection.coco_file import coco_truth
from ppcls_lite.train.metrics import METRICS
from ppcls_lite.train.processes import gather_rows
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError

# the first six of COCOeval's twelve figures
_FIGURES = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge")


@METRICS.register
class COCOMetric:
    """AP over IoU 0.50 to 0.95, AP50, AP75 and AP by object size (COCO's bounds, 32 and 96 px squared).

    A figure is -1 when no object of that size exists. The best `max_boxes` boxes of an image count.
    """

    def __init__(self, max_boxes=100):
        self.max_boxes = checks.whole("COCOMetric.max_boxes", max_boxes)
        self.reset()

    def bind(self, dataset):
        """Read the annotation file of `dataset`, a COCODataSet, in the same way."""
        if not hasattr(dataset, "anno_path"):
            raise UserError(f"COCOMetric: needs a COCODataSet, found {type(dataset).__name__}")
        from pycocotools.coco import COCO  # only evaluations need it

        self.dataset = dataset
        self.truth = COCO()
        self.truth.dataset = coco_truth(dataset.anno_path, dataset.bad_boxes)
        with contextlib.redirect_stdout(io.StringIO()):
            self.truth.createIndex()

    def reset(self):
        self.rows = np.zeros((0, 7))  # the image's number, label, score, x1, y1, x2, y2
        self.precision = None

    def update(self, outputs, target):
        """Outputs of CenterNet and the `DetectionTarget` of a batch."""
        heat, size, offset = outputs
        boxes = decode(paddle.nn.functional.sigmoid(heat), size, offset, target.scale, self.max_boxes).numpy()
        numbers = np.repeat(np.asarray(target.number), boxes.shape[1])
        rows = np.column_stack([numbers, boxes.reshape(-1, 6).astype(np.float64)])
        self.rows = np.concatenate([self.rows, rows[rows[:, 2] > 0]])

    def share(self):
        self.rows = gather_rows(self.rows)

    def values(self):
        """{"AP": 0.41, "AP50": 0.62, …} over all images since the last reset."""
        self.precision = None
        if not len(self.rows):
            return dict.fromkeys(_FIGURES, 0.0)
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self.truth, self.truth.loadRes(self._results()), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        self.precision = evaluation.eval["precision"]  # IoU, recall, class, size, boxes per image
        return {name: float(figure) for name, figure in zip(_FIGURES, evaluation.stats)}

    def _results(self):
        """Rows of [image, x, y, width, height, score, label], as `loadRes` takes them."""
        number, label, score, x1, y1, x2, y2 = self.rows.T
        return np.column_stack([number, x1, y1, x2 - x1, y2 - y1, score, label])

    def notes(self):
        """One line: AP and AP50 of every class."""
        if self.precision is None:
            return []
        shown = []
        for label, name in enumerate(self.dataset.names):
            every, half = self.precision[:, :, label, 0, -1], self.precision[0, :, label, 0, -1]
            if (every > -1).any():
                shown.append(f"{name} {every[every > -1].mean():.5f} / {half[half > -1].mean():.5f}")
        return ["AP / AP50 by class: " + ", ".join(shown)]
