"""The training log's lines, in the form that checkers of the Training and Inference Pipeline Certification parse."""

import datetime
import time
from typing import Any, NamedTuple

from ppcls_lite.train.history import History
from ppcls_lite.train.losses import check_finite
from ppcls_lite.train.processes import mean_over_processes
from ppcls_lite.utils.log import logger


class Judged(NamedTuple):
    """The part of a step that the training metric judges: logits [N, C] and labels [N]."""

    outputs: Any
    labels: Any


class Progress:
    """Averages since the last line: reader cost is waiting for data, batch cost is that plus the step itself.

    With several processes, the loss and the metric are those of all their images; samples, costs and images per second
    are of one process, as the certification wants them ("per card").
    """

    def __init__(self, steps_per_epoch, epochs, every, metric=None):
        self.steps_per_epoch, self.epochs, self.every, self.metric = steps_per_epoch, epochs, every, metric
        self.history = History()  # writes nothing until the training puts its own here
        self._run_seconds, self._run_steps = 0.0, 0
        self._reset()

    def _reset(self):
        self._reader = self._batch = 0.0
        self._samples = self._steps = 0
        self._losses = []
        self._outputs = []

    def start(self):
        """Call before an epoch's first batch is loaded."""
        self._clock = time.perf_counter()

    def data_ready(self):
        """Call when a batch has arrived."""
        self._waited = time.perf_counter() - self._clock

    def step_done(self, epoch, step, lr, losses, samples, judged=None):
        """Call after each step; logs every `every` steps and at the epoch's end.

        `losses` maps "loss" and, where it is a sum, its parts to tensors; `samples` is the number of images;
        `judged` is a `Judged` for the metric, or None where it cannot judge, as with mixed labels.
        """
        now = time.perf_counter()
        self._reader += self._waited
        self._batch += now - self._clock
        self._run_seconds += now - self._clock
        self._run_steps += 1
        self._samples += samples
        self._steps += 1
        self._losses.append(losses)
        if self.metric and judged is not None:
            self._outputs.append(judged)
        if (step + 1) % self.every == 0 or step + 1 == self.steps_per_epoch:
            self._log(epoch, step, lr)
        self._clock = time.perf_counter()

    def _judge(self):
        """The metric's figures over the images of all processes since the last line; none where none was judged."""
        judged = mean_over_processes({"parts": len(self._outputs)})["parts"] if self.metric else 0
        if not judged:
            return {}
        self.metric.reset()
        for part in self._outputs:
            self.metric.update(part.outputs, part.labels)
        self.metric.share()
        return self.metric.values()

    def _log(self, epoch, step, lr):
        means = {
            name: sum(float(losses[name]) for losses in self._losses) / len(self._losses) for name in self._losses[0]
        }
        means = mean_over_processes(means)
        loss = means.pop("loss")
        check_finite(loss, f"the loss became {loss} in epoch {epoch}, iteration {step + 1}:")
        figures = {**self._judge(), **means}
        shown = "".join(f"{name}: {value:.5f}, " for name, value in figures.items())
        reader, batch = self._reader / self._steps, self._batch / self._steps
        samples, speed = self._samples / self._steps, self._samples / self._batch
        left = (self.epochs - epoch) * self.steps_per_epoch + self.steps_per_epoch - step - 1
        eta = datetime.timedelta(seconds=round(left * self._run_seconds / self._run_steps))
        logger.info(
            f"[Train][Epoch {epoch}/{self.epochs}][Iter: {step + 1}/{self.steps_per_epoch}] "
            f"lr: {lr:.8f}, {shown}loss: {loss:.5f}, avg_reader_cost: {reader:.5f} sec, "
            f"avg_batch_cost: {batch:.5f} sec, avg_samples: {samples:.5g}, "
            f"avg_ips: {speed:.5f} images/sec, eta: {eta}"
        )
        costs = {"avg_reader_cost": reader, "avg_batch_cost": batch, "avg_samples": samples, "avg_ips": speed}
        self.history.add("train", epoch=epoch, iteration=step + 1, lr=lr, loss=loss, **figures, **costs)
        self._reset()
