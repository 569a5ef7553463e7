"""The training log's lines, in the form that checkers of the Training and Inference Pipeline Certification parse."""

import datetime
import time
from typing import Any, NamedTuple

import numpy as np

from ppcls_lite.train.live_line import SHOWN_LIVE, LiveLine
from ppcls_lite.train.losses import check_finite
from ppcls_lite.train.processes import mean_over_processes, sum_over_processes
from ppcls_lite.train.records import Records
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
        self.records, self.live = Records(), LiveLine()  # they do nothing until the training puts its own here
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

        UserError names the first iteration whose loss is not finite: at once on a CPU, and with the next line of the
        log on a GPU, which would have to wait for each step to know its loss.
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
        known = float(losses["loss"]) if losses["loss"].place.is_cpu_place() else None
        if known is not None:
            _check_loss(known, epoch, step)
        self.records.open()  # config and data have come through a step
        if self.metric and judged is not None:
            self._outputs.append(judged)
        if (step + 1) % self.every == 0 or step + 1 == self.steps_per_epoch:
            self._log(epoch, step, lr, self._samples / self._batch)
        else:
            self._show(epoch, step, known, self._samples / self._batch)
        self._clock = time.perf_counter()

    def epoch_done(self, epoch, loader):
        """Call after an epoch: says how many of its images could not be read, where `loader` leaves those out."""
        if loader.unreadable is None:
            return
        (count,) = sum_over_processes(np.array([len(loader.unreadable.of_epoch)], np.float64))
        if count:
            logger.warning(f"epoch {epoch}: {count:.0f} images that cannot be read were left out")
        self.records.add("unreadable", epoch=epoch, images=int(count))

    def _show(self, epoch, step, loss, speed):
        title = f"Epoch {epoch}/{self.epochs}"
        self.live.show(title, step + 1, self.steps_per_epoch, loss, speed, self._time_left(epoch, step))

    def _time_left(self, epoch, step):
        left = (self.epochs - epoch) * self.steps_per_epoch + self.steps_per_epoch - step - 1
        return datetime.timedelta(seconds=round(left * self._run_seconds / self._run_steps))

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

    def _log(self, epoch, step, lr, speed):
        first = step + 1 - self._steps
        for number, losses in enumerate(self._losses):
            _check_loss(float(losses["loss"]), epoch, first + number)
        means = {
            name: sum(float(losses[name]) for losses in self._losses) / len(self._losses) for name in self._losses[0]
        }
        means = mean_over_processes(means)
        loss = means.pop("loss")
        figures = {**self._judge(), **means}
        shown = "".join(f"{name}: {value:.5f}, " for name, value in figures.items())
        reader, batch = self._reader / self._steps, self._batch / self._steps
        samples, eta = self._samples / self._steps, self._time_left(epoch, step)
        logger.info(
            f"[Train][Epoch {epoch}/{self.epochs}][Iter: {step + 1}/{self.steps_per_epoch}] "
            f"lr: {lr:.8f}, {shown}loss: {loss:.5f}, avg_reader_cost: {reader:.5f} sec, "
            f"avg_batch_cost: {batch:.5f} sec, avg_samples: {samples:.5g}, "
            f"avg_ips: {speed:.5f} images/sec, eta: {eta}",
            extra=SHOWN_LIVE,
        )
        self._show(epoch, step, loss, speed)
        costs = {"avg_reader_cost": reader, "avg_batch_cost": batch, "avg_samples": samples, "avg_ips": speed}
        self.records.add("train", epoch=epoch, iteration=step + 1, lr=lr, loss=loss, **figures, **costs)
        self._reset()


def _check_loss(loss, epoch, step):
    check_finite(loss, f"the loss became {loss} in epoch {epoch}, iteration {step + 1}:")
