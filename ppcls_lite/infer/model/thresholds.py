"""PaddleClas's post-processings that decide by a threshold: the only ones of its classifiers beside `Topk`."""

import numpy as np

from ppcls_lite.infer.model.postprocess import DECIMALS, POSTPROCESS, Named, check_outputs, result
from ppcls_lite.utils import checks

_DEFAULT = "PostProcess.default_label_index"


@POSTPROCESS.register
class ThreshOutput(Named):
    """One class of each row of probabilities [N, C], as PaddleClas's post-processing of this name chooses it.

    Of two classes, class 1 (called `label_1`) from `threshold` on, else class 0 (`label_0`). Of more, the best one if
    its probability is above `threshold`, else `default_label_index`; these have the names of `class_id_map_file`.
    """

    def __init__(
        self,
        threshold=0.0,
        default_label_index=0,
        label_0="0",
        label_1="1",
        class_id_map_file=None,
        delimiter=None,
        label_list=None,
    ):
        super().__init__(class_id_map_file, delimiter, label_list)
        self.threshold = checks.real("PostProcess.threshold", threshold, 0, 1)
        self.default_label_index = checks.whole(_DEFAULT, default_label_index, low=0)
        self.label_0, self.label_1 = str(label_0), str(label_1)

    def __call__(self, scores, decimals=DECIMALS):
        """One dict per row, as `Topk` returns them, with one class each."""
        check_outputs(scores, "scores")
        count = scores.shape[1]
        if count == 2:
            self.names = {0: self.label_0, 1: self.label_1}
        else:
            self.check_classes(count)
            if self.default_label_index >= count:
                raise checks.wrong(_DEFAULT, f"a class below {count}", self.default_label_index)
        return [result(self, *self._chosen(row), decimals) for row in scores]

    def _chosen(self, row):
        """(class ids, their scores), one of each."""
        if len(row) == 2:
            label = int(row[1] >= self.threshold)
            return [label], row[1:] if label else 1 - row[1:]
        best = int(np.argsort(-row, kind="stable")[0])
        label = best if row[best] > self.threshold else self.default_label_index
        return [label], row[[label]]


@POSTPROCESS.register
class MultiLabelThreshOutput(Named):
    """All classes of each row of scores [N, C] that have at least `threshold`, in the order of their ids.

    For networks that end in a sigmoid, whose images may have several labels or none.
    """

    def __init__(self, threshold=0.5, class_id_map_file=None, delimiter=None, label_list=None):
        super().__init__(class_id_map_file, delimiter, label_list)
        self.threshold = checks.real("PostProcess.threshold", threshold, 0, 1)

    def __call__(self, scores, decimals=DECIMALS):
        """One dict per row, as `Topk` returns them."""
        check_outputs(scores, "scores")
        self.check_classes(scores.shape[1])
        chosen = [(row, np.flatnonzero(row >= self.threshold)) for row in scores]
        return [result(self, ids.tolist(), row[ids], decimals) for row, ids in chosen]
