"""Training, evaluation and their entry points, from a config alone."""

from contextlib import nullcontext
from pathlib import Path

import paddle

from ppcls_lite.arch.from_config import load_network, network_to_train
from ppcls_lite.data.loader import build_loader
from ppcls_lite.train.accumulation import Accumulation
from ppcls_lite.train.changes import Changes
from ppcls_lite.train.checkpoint import load_checkpoint, read_states, save_checkpoint
from ppcls_lite.train.data_warnings import warn_of_data
from ppcls_lite.train.distillation import deployed, save_student
from ppcls_lite.train.ema import build_ema
from ppcls_lite.train.evaluate import describe, headline
from ppcls_lite.train.history import now
from ppcls_lite.train.live_line import LiveLine
from ppcls_lite.train.losses import WeightedLosses
from ppcls_lite.train.metrics import build_metric
from ppcls_lite.train.optimizer_scopes import build_optimizers, optimizer_name
from ppcls_lite.train.precision import Precision
from ppcls_lite.train.processes import (
    average_buffers,
    average_gradients,
    check_alike,
    check_same_weights,
    explain_lost_process,
    wait_for_all,
)
from ppcls_lite.train.progress import Progress
from ppcls_lite.train.records import Records
from ppcls_lite.train.setup import choose_seed, seed_epoch, start_processes, synchronise_batch_norm
from ppcls_lite.train.task import task_of
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import require
from ppcls_lite.utils.device import choose_device
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.ignored import warn_of_ignored
from ppcls_lite.utils.log import logger, setup_logging
from ppcls_lite.utils.machine import describe_processor
from ppcls_lite.utils.safe_load import check_finite


@explain_lost_process()
def train(config, overrides=()):
    """Train as the config says; leaves checkpoints, `log_train.txt` and `history.jsonl` in `Global.output_dir`.

    With several processes, process 0 writes these, and each further one its own log, `log_train_rank1.txt` and so on.
    None of them is touched before the first step is done.
    """
    options = config["Global"]
    output_dir = Path(options.get("output_dir") or "./output")
    rank, world = start_processes()
    resume = options.get("checkpoints")
    with Records(output_dir, bool(resume), rank, world, options.get("use_visualdl")) as records, LiveLine() as live:
        logger.info(f"processor: {describe_processor()}")
        warn_of_ignored(config)
        trainer = Trainer(config, choose_device(config, overrides), rank, world)
        trainer.progress.live = live
        if trainer.done < trainer.epochs:
            trainer.run(output_dir, records)
        else:
            logger.info(f"{resume} has all {trainer.epochs} epochs already: nothing left to train")
            records.open()


class Trainer:
    """Everything that one training holds, built from the config; epochs count from 1.

    With `Global.checkpoints` it is as that checkpoint left it, `done` epochs trained.
    """

    def __init__(self, config, device, rank=0, world=1):
        options = config["Global"]
        self.config, self.device, self.rank, self.world = config, device, rank, world
        self.task = task_of(config)
        self.processor = describe_processor()
        self.epochs = checks.whole("Global.epochs", options.get("epochs"))
        self.every = checks.whole("Global.print_batch_step", options.get("print_batch_step", 10))
        self.save_interval = checks.whole("Global.save_interval", options.get("save_interval", 1))
        self.eval_interval = checks.whole("Global.eval_interval", options.get("eval_interval", 1))
        self.evaluates = options.get("eval_during_train", True)
        check_image_shape(options)
        checkpoint = options.get("checkpoints")
        states = read_states(checkpoint) if checkpoint else {}
        self.seed = choose_seed(states.get("seed", options.get("seed")), rank, world)
        if options.get("seed") not in (None, self.seed):
            logger.warning(f"Global.seed is ignored: {checkpoint} was begun with seed {self.seed}")
        self.optimizer_name = optimizer_name(require(config, "Optimizer"))
        begun_with = states.get("optimizer", self.optimizer_name)
        if begun_with != self.optimizer_name:
            raise UserError(f"Optimizer.name is {self.optimizer_name}: {checkpoint} was begun with {begun_with}")
        self.done, self.best = states.get("epoch", 0), states.get("best")
        seed_epoch(self.seed, 0)
        self.model = network_to_train(config)
        if config["Arch"].get("use_sync_bn"):
            self.model = synchronise_batch_norm(self.model, world, device)
        self.loss = WeightedLosses(require(config, "Loss").get("Train"), "Loss.Train")
        self._build_loaders()
        self.updates = Accumulation(options.get("update_freq"), self.loader)
        self.optimizers = build_optimizers(
            config["Optimizer"], config["Arch"]["name"], self.model, self.loss, self.epochs, self.updates.per_epoch
        )
        self.progress = Progress(
            self.steps_per_epoch,
            self.epochs,
            self.every,
            build_metric((config.get("Metric") or {}).get("Train"), "Metric.Train"),
        )
        self.amp = Precision(config.get("AMP") or {}, device)
        self.amp.report()
        self.ema = build_ema(config.get("EMA"), self.model)
        if checkpoint:
            load_checkpoint(checkpoint, self.model, self.optimizers, self.ema, self.loss.layers)
            self.amp.load_state(states.get("scaler"), checkpoint)
            logger.info(f"resumed from {checkpoint} after epoch {self.done}")
            if states.get("processor", self.processor) != self.processor:
                logger.info(f"it was begun on {states['processor']}: the last bits of the weights may differ")
        self.amp.prepare(self.model, *self.optimizers)
        self.network = self._trained_form(options)

    def _build_loaders(self):
        section = require(self.config, "DataLoader.Train")
        known = self.task.known_labels(self.loss)
        self.loader = build_loader(section, "Train", self.seed, self.rank, self.world, known, "DataLoader.Train")
        self.steps_per_epoch = len(self.loader)
        if self.steps_per_epoch == 0:
            raise UserError("DataLoader.Train.sampler: drop_last leaves no batch; use a smaller batch_size")
        self.task.check(self.loss, self.model, self.loader.dataset)
        self.batch_size = require(self.config, "DataLoader.Train.sampler.batch_size")
        self.evaluator = None
        if self.evaluates:
            self.evaluator = self.task.evaluator(self.seed, self.rank, self.world)
            if not self.evaluator.metric:
                logger.warning("Metric.Eval names no metric: best_model will be the network with the lowest loss")
        warn_of_data(self.config, self.loader.dataset, self.evaluator and self.evaluator.datasets[0], known)

    def _trained_form(self, options):
        """The model as the loop calls it; its weights are always reached through `self.model`."""
        network = self.model
        if options.get("to_static"):
            network = paddle.jit.to_static(network)
        if self.world > 1:
            network = paddle.DataParallel(network)  # its gradients are the mean over the processes
        return network

    def run(self, output_dir, records):
        """Train the epochs that are left; checkpoints go to `output_dir`, figures to the log and to `records`."""
        model, first = require(self.config, "Arch.name"), self.done + 1
        logger.info(
            f"training {model} on {self.device}: epochs {first} to {self.epochs} of {self.steps_per_epoch} iterations, "
            f"batch size {self.batch_size} x {self.world}, seed {self.seed}"
        )
        records.add(
            "start",
            model=model,
            epochs=self.epochs,
            first_epoch=first,
            iterations=self.steps_per_epoch,
            images=len(self.loader.dataset),
            batch_size=self.batch_size,
            world_size=self.world,
            seed=self.seed,
            device=self.device,
            precision=self.amp.name,
            processor=self.processor,
            paddle=paddle.__version__,
            time=now(),
        )
        self.progress.records = records
        self._check_processes()
        changes = Changes(self.model)
        for epoch in range(first, self.epochs + 1):
            self.run_epoch(epoch)
            self.evaluate_and_save(epoch, output_dir, records)
        changes.check()
        logger.info(f"training ended, {'best: ' + describe(self.best) if self.best else 'no evaluation was required'}")
        records.add("end", epoch=self.epochs, best=self.best)

    def _check_processes(self):
        """Before the first step: what does not fit would let the processes wait for each other for ever."""
        check_alike(
            last_epoch=self.epochs,
            epochs_done=self.done,
            iterations_per_epoch=self.steps_per_epoch,
            images=len(self.loader.dataset),
            batch_size=self.batch_size,
            images_to_evaluate=sum(map(len, self.evaluator.datasets)) if self.evaluator else 0,
        )
        check_same_weights("before the first step", self.model, self.loss.layers)

    def run_epoch(self, epoch):
        """One pass over the training list."""
        wait_for_all()  # process 0 may still be writing the last checkpoints
        self.network.train()
        self.loader.batch_sampler.set_epoch(epoch)
        seed_epoch(self.seed, epoch, self.rank)
        self.progress.start()
        for step, batch in enumerate(self.loader):
            self.progress.data_ready()
            lr = self.optimizers.set_rates((epoch - 1) * self.updates.per_epoch + self.updates.number(step))
            with self.amp.autocast():
                outputs = self.task.outputs(self.network, batch)
                loss = self.loss(outputs, batch.target)
            self.amp.backward(loss * self.updates.share(step))
            if self.updates.is_due(step):
                average_gradients(self.loss.layers.parameters())
                self.amp.update(*self.optimizers)
                if self.ema:
                    self.ema.update()
            parts = {"loss": loss.detach(), **(self.loss.parts if len(self.loss.parts) > 1 else {})}
            judged = self.task.judged(outputs, batch.target)
            self.progress.step_done(epoch, step, lr, parts, len(batch.images), judged)
        self.progress.epoch_done(epoch, self.loader)

    def evaluate_and_save(self, epoch, output_dir, records):
        """Evaluate when it is time, then write `best_model` and `epoch_N` when they are due, and `latest`."""
        improved = False
        wait_for_all()
        average_buffers(self.model)
        check_same_weights(f"after epoch {epoch}", self.model, self.loss.layers)
        if self.ema:
            self.ema.share()
        if self.evaluator and (epoch % self.eval_interval == 0 or epoch == self.epochs):
            results = self._evaluate(epoch)
            improved = self.best is None or headline(results) > headline(self.best)
            if improved:
                self.best = results
            best = headline(self.best)
            logger.info(f"[Eval][Epoch {epoch}] {describe(results)}, best: {best:.5f}")
            records.add("eval", epoch=epoch, **results, best=best)
        if self.rank > 0:
            return
        for layer in (self.model, self.loss.layers):
            arrays = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
            check_finite(arrays, f"the weights after epoch {epoch}, which are not saved")
        names = ["best_model"] if improved else []
        if epoch % self.save_interval == 0:
            names.append(f"epoch_{epoch}")
        states = {
            "epoch": epoch,
            "seed": self.seed,
            "best": self.best,
            "optimizer": self.optimizer_name,
            "processor": self.processor,
        }
        if scaler := self.amp.state():
            states["scaler"] = scaler
        parts = (self.model, self.optimizers, states, self.ema, self.loss.layers)
        for name in names:
            save_checkpoint(output_dir, name, *parts)
        if improved:
            with self.ema.in_use() if self.ema else nullcontext():
                save_student(output_dir, "best_model", self.model)
        # last: a training that is killed before it repeats the epoch, and would not make the others behind it
        save_checkpoint(output_dir, "latest", *parts)

    def _evaluate(self, epoch):
        """The figures of the weights that are saved: with EMA the averages; those of the others are logged only."""
        network = deployed(self.model, self.network)
        with self.amp.autocast(evaluation=True):
            results = self.evaluator.run(network)
            if self.ema:
                logger.info(f"[Eval without EMA][Epoch {epoch}] {describe(results)}")
                with self.ema.in_use():
                    results = self.evaluator.run(network)
        return results


def check_image_shape(options):
    """UserError unless `Global.image_shape` is [3, height, width]; only an export needs it to be there."""
    if options.get("image_shape") is not None:
        checks.image_shape("Global.image_shape", options["image_shape"])


@explain_lost_process()
def evaluate(config, overrides=()):
    """Evaluate `Global.pretrained_model` on `DataLoader.Eval`; logs and returns {"loss": …, "top1": …}, or
    {"recall1": …} of a retrieval.

    Raises UserError without a `Metric.Eval`: a loss alone does not say how many images are right.
    """
    rank, world = start_processes()
    setup_logging(quiet=rank > 0)
    warn_of_ignored(config)
    device = choose_device(config, overrides)
    check_image_shape(config["Global"])
    task = task_of(config)
    if not (config.get("Metric") or {}).get("Eval"):
        raise UserError(f"Metric.Eval: expected a metric such as '- {task.metric}', found none")
    model = load_network(config)
    evaluator = task.evaluator(0, rank, world)
    with Precision(config.get("AMP") or {}, device).autocast(evaluation=True):
        results = evaluator.run(model)
    for note in evaluator.notes():
        logger.info(f"[Eval] {note}")
    logger.info(f"[Eval][Avg] {describe(results)}, {evaluator.amount()}")
    return results
