"""From a detector's rows to readable boxes: their post-processing and the formats of their predictions."""

from pathlib import Path

import numpy as np

from ppcls_lite.infer.model.postprocess import DECIMALS, POSTPROCESS, Named, check_outputs
from ppcls_lite.utils import checks

CORNER_DECIMALS = 2  # of a printed corner, in pixels


@POSTPROCESS.register
class DetectionBoxes(Named):
    """The boxes of each image that score at least `threshold`, best first, cut at the image's border.

    `class_id_map_file` has a line `<id> <name>` for each class; without it no names are given.
    """

    def __init__(self, threshold=0.3, class_id_map_file=None):
        super().__init__(class_id_map_file)
        self.threshold = checks.real("PostProcess.threshold", threshold, 0, 1)

    def __call__(self, boxes, sizes, exact=False):
        """One dict per image: class_ids, scores, boxes (x1, y1, x2, y2 in pixels), label_names.

        `boxes` is [N, K, 6] of (label, score, x1, y1, x2, y2), `sizes` has (width, height) of each image. Numbers are
        `rounded` for people and their logs; with `exact` they are the float32 numbers themselves. UserError for boxes
        that are not finite, and for a class without a name.
        """
        check_outputs(boxes, "boxes")
        results = [self._of_image(rows, *size) for rows, size in zip(boxes, sizes)]
        return results if exact else [rounded(result) for result in results]

    def _of_image(self, rows, width, height):
        rows = rows[rows[:, 1] >= self.threshold]
        ids = rows[:, 0].astype(int).tolist()
        corners = np.clip(rows[:, 2:].astype(np.float64), 0, [width, height, width, height])
        return {
            "class_ids": ids,
            "scores": rows[:, 1].tolist(),
            "boxes": corners.tolist(),
            "label_names": [self.name(number) for number in ids] if self.names else [],
        }


def rounded(result):
    """The exact prediction of an image with scores of 5 decimals and corners of 2."""
    return {
        **result,
        "scores": np.around(result["scores"], DECIMALS).tolist(),
        "boxes": np.around(result["boxes"], CORNER_DECIMALS).tolist(),
    }


def format_det_record(result, path):
    """A prediction as the training engine's script prints it (a dict), with the full path of the file."""
    return {**result, "file_name": str(path)}


def format_det_line(result, path):
    """A prediction as `predict_det.py` prints it, one line per image."""
    names = result["label_names"] or result["class_ids"]
    shown = [
        f"{name} {score:.2f} [{', '.join(f'{side:.1f}' for side in box)}]"
        for name, score, box in zip(names, result["scores"], result["boxes"])
    ]
    return f"{Path(path).name}: {len(shown)} box(es){': ' if shown else ''}{'; '.join(shown)}"
