"""Evaluation of a classifier on a validation list."""

import numpy as np
import paddle

from ppcls_lite.train.losses import WeightedLosses
from ppcls_lite.train.metrics import build_metric


class Evaluator:
    """Loss and top-k accuracy of a model over the config's `DataLoader.Eval`."""

    def __init__(self, config, loader):
        self.loader = loader
        self.loss = WeightedLosses((config.get("Loss") or {}).get("Eval"), "Loss.Eval")
        self.metric = build_metric((config.get("Metric") or {}).get("Eval"), "Metric.Eval")

    @paddle.no_grad()
    def run(self, model):
        """{"loss": …, "top1": …}: means over every image, each counted once also with several processes."""
        model.eval()
        loss_sum, count = 0.0, 0
        if self.metric:
            self.metric.reset()
        for images, labels in self.loader:
            logits = model(images)
            loss_sum += float(self.loss(logits, labels)) * len(labels)
            count += len(labels)
            if self.metric:
                self.metric.update(logits.numpy(), labels.numpy())
        return self._over_processes(loss_sum, count)

    def _over_processes(self, loss_sum, count):
        correct = self.metric.correct if self.metric else np.zeros(0)
        sums = np.array([loss_sum, count, *correct], dtype=np.float64)
        if paddle.distributed.get_world_size() > 1:
            shared = paddle.to_tensor(sums)
            paddle.distributed.all_reduce(shared)
            sums = shared.numpy()
        results = {"loss": float(sums[0] / max(sums[1], 1))}
        if self.metric:
            self.metric.correct, self.metric.count = sums[2:].round().astype(np.int64), int(round(sums[1]))
            results.update(self.metric.values())
        return results


def describe(results):
    """`loss: 0.12345, top1: 0.98000, top5: 1.00000`, the results as every log prints them."""
    return ", ".join(f"{name}: {value:.5f}" for name, value in results.items())
