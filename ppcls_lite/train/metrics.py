"""Accuracy, counted in whole images so that a stated figure can be met exactly."""

import numpy as np

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

METRICS = Registry("metric")


@METRICS.register
class TopkAcc:
    """Top-k accuracy: the share of images whose label is among the k best scores.

    `update` takes logits [N, C] and labels [N] (NumPy); ties go to the lower class id, as everywhere here.
    """

    def __init__(self, topk=(1, 5)):
        ks = [topk] if isinstance(topk, int) else list(topk)
        if not ks or not all(isinstance(k, int) and k > 0 for k in ks):
            raise UserError(f"TopkAcc.topk: expected positive whole numbers, found {topk!r}")
        self.topk = ks
        self.reset()

    def reset(self):
        self.correct = np.zeros(len(self.topk), dtype=np.int64)
        self.count = 0

    def update(self, logits, labels):
        order = np.argsort(-logits, axis=1, kind="stable")
        hits = order == labels.reshape(-1, 1)
        self.correct += np.array([hits[:, :k].any(axis=1).sum() for k in self.topk], dtype=np.int64)
        self.count += len(labels)

    def values(self):
        """{"top1": 0.98, …} over all images since the last reset."""
        return {f"top{k}": c / self.count if self.count else 0.0 for k, c in zip(self.topk, self.correct)}


def build_metric(items, where):
    """The metric of a config's `Metric.Train` or `Metric.Eval` list; None when there is none."""
    for index, item in enumerate(items or []):
        if not isinstance(item, dict) or len(item) != 1 or next(iter(item)) not in METRICS:
            raise UserError(f"{where}[{index}]: expected 'TopkAcc: {{topk: [1, 5]}}', found {item!r}")
        ((name, params),) = item.items()
        return METRICS.build(name, params, f"{where}[{index}]")
    return None
