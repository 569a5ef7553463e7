"""Evaluation of a network on a validation list."""

import numpy as np
import paddle

from ppcls_lite.train import detection_losses, detection_metrics, distillation  # noqa: F401 (they register)
from ppcls_lite.train.losses import WeightedLosses, check_finite
from ppcls_lite.train.metrics import build_metric
from ppcls_lite.train.processes import sum_over_processes, wait_for_all
from ppcls_lite.utils.errors import UserError

_HEADLINES = ("top1", "AP", "recall1", "mAP")  # the figures that decide which network is the best


class Evaluator:
    """Loss and the config's `Metric.Eval` of a model over its `DataLoader.Eval`; `datasets` is what it judges."""

    def __init__(self, config, loader):
        self.loader, self.datasets = loader, [loader.dataset]
        self.loss = WeightedLosses((config.get("Loss") or {}).get("Eval"), "Loss.Eval")
        self.metric = build_metric((config.get("Metric") or {}).get("Eval"), "Metric.Eval")
        if self.metric:
            self.metric.bind(loader.dataset)

    @paddle.no_grad()
    def run(self, model):
        """{"loss": …, "top1": …}: over every image, each counted once also with several processes.

        Raises UserError when the loss is not finite: an accuracy of such outputs would mean nothing. And when the
        loader gave more or fewer images than its list has.
        """
        model.eval()
        loss_sum, count = 0.0, 0
        if self.metric:
            self.metric.reset()
        for batch in self.loader:
            outputs = model(batch.images)
            loss_sum += float(self.loss(outputs, batch.target)) * len(batch.images)
            count += len(batch.images)
            if self.metric:
                self.metric.update(outputs, batch.target)
        return self._over_processes(loss_sum, count)

    def _over_processes(self, loss_sum, count):
        wait_for_all()  # one may have more images, or a slower machine
        loss_sum, count = sum_over_processes(np.array([loss_sum, count], dtype=np.float64))
        if int(count) != len(self.loader.dataset):
            listed = len(self.loader.dataset)
            raise UserError(f"DataLoader.Eval: {int(count)} images were evaluated, and its list has {listed}")
        results = {"loss": float(loss_sum / count)}
        fault = f"the loss on the validation list is {results['loss']}: the weights are not finite, or too large;"
        check_finite(results["loss"], fault)
        if self.metric:
            self.metric.share()
            results.update(self.metric.values())
        return results

    def notes(self):
        """Further lines about the last run, for a person."""
        return self.metric.notes() if self.metric else []

    def amount(self):
        """What was judged, as the last line of an evaluation says it."""
        return f"images: {len(self.loader.dataset)}"


def headline(results):
    """The one number of an evaluation's results that should be large: its accuracy, or else the negative loss, or, of
    a retrieval with other figures, the first of them."""
    chosen = next((results[name] for name in _HEADLINES if name in results), None)
    if chosen is None:
        chosen = -results["loss"] if "loss" in results else next(iter(results.values()))
    return chosen


def describe(results):
    """`loss: 0.12345, top1: 0.98000, top5: 1.00000`, the results as every log prints them."""
    return ", ".join(f"{name}: {value:.5f}" for name, value in results.items())
