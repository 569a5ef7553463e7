"""Metrics of evaluations, each under its name in a config; accuracy is counted in whole images.

A metric has `bind(dataset)`, called once before it is used for an evaluation; `reset`; `update(outputs, target)` with
the network's outputs for a batch and the target of that `Batch`; `share`, which brings the counts of all processes
together; `values`, a dict of figures; and `notes`, further lines for a person.
"""

import numpy as np

from ppcls_lite.train.losses import logits_of
from ppcls_lite.train.processes import sum_over_processes
from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

METRICS = Registry("metric")


@METRICS.register
class TopkAcc:
    """Top-k accuracy: the share of images whose label is among the k best scores.

    `update` takes logits [N, C], also as a RecModel has them, and labels [N]; ties go to the lower class id, as
    everywhere here.
    """

    def __init__(self, topk=(1, 5)):
        if isinstance(topk, (list, tuple)) and not topk:
            raise checks.wrong("TopkAcc.topk", "one or more whole numbers", topk)
        self.topk = [checks.whole("TopkAcc.topk", k) for k in (topk if isinstance(topk, (list, tuple)) else [topk])]
        self.reset()

    def bind(self, dataset):
        """Refuse a data set of boxes, before a training rather than after its first epoch."""
        if hasattr(dataset, "anno_path"):
            raise UserError(f"TopkAcc: needs images with a class, found a {type(dataset).__name__}: try COCOMetric")

    def reset(self):
        self.correct = np.zeros(len(self.topk), dtype=np.int64)
        self.count = 0

    def update(self, outputs, labels):
        if isinstance(outputs, dict):
            outputs = logits_of(outputs, "TopkAcc")
        logits, labels = np.asarray(outputs), np.asarray(labels)
        order = np.argsort(-logits, axis=1, kind="stable")
        hits = order == labels.reshape(-1, 1)
        self.correct += np.array([hits[:, :k].any(axis=1).sum() for k in self.topk], dtype=np.int64)
        self.count += len(labels)

    def share(self):
        sums = sum_over_processes(np.array([*self.correct, self.count], np.float64))
        self.correct, self.count = sums[:-1].round().astype(np.int64), int(round(sums[-1]))

    def values(self):
        """{"top1": 0.98, …} over all images since the last reset."""
        return {f"top{k}": c / self.count if self.count else 0.0 for k, c in zip(self.topk, self.correct)}

    def notes(self):
        return []


def build_metric(items, where):
    """The metric of a config's `Metric.Train` or `Metric.Eval` list; None when there is none, UserError for several."""
    if len(items or []) > 1:
        raise UserError(f"{where}: expected one metric, found {len(items)}: {items!r:.80}")
    for index, item in enumerate(items or []):
        if not isinstance(item, dict) or len(item) != 1 or next(iter(item)) not in METRICS:
            raise UserError(
                f"{where}[{index}]: expected 'TopkAcc: {{topk: [1, 5]}}' or another of {', '.join(METRICS.names())}, "
                f"found {item!r}"
            )
        ((name, params),) = item.items()
        return METRICS.build_at(name, params, f"{where}[{index}]")
    return None
