"""What the loop has to know of a task: how its network is called, what it needs of its data, and who judges it."""

import paddle

from ppcls_lite.arch.from_config import class_count
from ppcls_lite.data.loader import build_loader
from ppcls_lite.train import recognition_losses  # noqa: F401 (they register)
from ppcls_lite.train.distillation import detached, needs_labels
from ppcls_lite.train.evaluate import Evaluator
from ppcls_lite.train.progress import Judged
from ppcls_lite.train.retrieval import RetrievalEvaluator
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.recognition import is_recognition, is_retrieval

_MODES = ("classification", "retrieval")


class Task:
    """Classification, detection, and distillations."""

    metric = "TopkAcc: {topk: [1, 5]}"  # an example for those who have named none

    def __init__(self, config):
        self.config = config
        mode = config["Global"].get("eval_mode")
        if mode is not None and mode not in _MODES:
            raise UserError(f"Global.eval_mode: expected {' or '.join(_MODES)}, found {mode!r}")

    def outputs(self, network, batch):
        """What the losses get, of a `Batch`."""
        return network(batch.images)

    def judged(self, outputs, target):
        """The `Judged` for the training metric, or None where it cannot judge."""
        # accuracy needs one label per image: not mixed ones, and not boxes
        return Judged(detached(outputs), target) if paddle.is_tensor(target) else None

    def known_labels(self, losses):
        """The number that all labels of the training have to be below, or None where they may be any."""
        return class_count(self.config) if needs_labels(losses) else None

    def check(self, losses, model, dataset):
        """UserError for losses or data that the network cannot learn from."""

    def evaluator(self, seed=0, rank=0, world=1):
        """Who judges the network, on the config's `DataLoader.Eval`."""
        where = "DataLoader.Eval"
        section = require(self.config, where)
        for part in ("Query", "Gallery"):
            if section.get(part) is not None:
                raise UserError(f"{where}.{part}: is for Arch.name: RecModel with Global.eval_mode: retrieval")
        loader = build_loader(section, "Eval", seed, rank, world, class_count(self.config), where)
        return Evaluator(self.config, loader)


class Recognition(Task):
    """A RecModel: it gets the labels too, since a margin is the label's; a search judges it, or an accuracy."""

    @property
    def metric(self):
        return "Recallk: {topk: [1, 5]}" if is_retrieval(self.config) else super().metric

    def outputs(self, network, batch):
        return network(batch.images, batch.target if paddle.is_tensor(batch.target) else None)

    def judged(self, outputs, target):
        # logits with their margin, as PaddleClas judges them: an accuracy that is lower than the network's own
        return super().judged(outputs["logits"], target) if "logits" in outputs else None

    def known_labels(self, losses):
        return super().known_labels(losses) if self.config["Arch"].get("Head") else None

    def check(self, losses, model, dataset):
        head = (self.config["Arch"].get("Head") or {}).get("name")
        if require(self.config, "DataLoader.Train.dataset").get("batch_transform_ops") and head not in (None, "FC"):
            where = "DataLoader.Train.dataset.batch_transform_ops"
            raise UserError(f"{where}: {head} needs one label per image, not mixed ones: remove the option")
        taken = {getattr(loss, "takes", "logits") for _, weight, loss in losses.terms if weight}
        if head and "logits" not in taken:
            raise UserError("Loss.Train: no loss takes the scores of Arch.Head: add CELoss, or remove the head")
        if not head and (self.config.get("Metric") or {}).get("Train"):
            raise UserError("Metric.Train: needs scores of classes, and the network has no Arch.Head")
        if self.config["Arch"].get("Neck") and not taken & self._reaching_the_neck(head):
            raise UserError("Loss.Train: no loss takes the features of Arch.Neck: add one, or remove the neck")
        for _, _, loss in losses.terms:
            count = getattr(loss, "num_classes", None)
            if count is not None and dataset.labels.max() >= count:
                raise UserError(
                    f"{type(loss).__name__}.num_classes: label {dataset.labels.max()} of {dataset.cls_label_path} is "
                    f"not below {count}"
                )

    def _reaching_the_neck(self, head):
        past = self.config["Arch"].get("head_feature_from") == "backbone"
        return {"features"} if past or not head else {"features", "logits"}

    def evaluator(self, seed=0, rank=0, world=1):
        if is_retrieval(self.config):
            return RetrievalEvaluator(self.config, seed, rank, world)
        return super().evaluator(seed, rank, world)


def task_of(config):
    """The `Task` of a config; UserError for a retrieval of a network without features."""
    if is_recognition(config):
        return Recognition(config)
    if is_retrieval(config):
        raise UserError("Global.eval_mode: retrieval needs a network of features: Arch.name: RecModel")
    return Task(config)
