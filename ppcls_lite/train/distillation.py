"""What a training needs besides when several networks learn together: outputs for its metric, and the student alone."""

import io

import paddle

from ppcls_lite.arch.distillation import DistillationModel
from ppcls_lite.train.distillation_losses import check_key, output_of
from ppcls_lite.train.metrics import METRICS, TopkAcc
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import atomic_write


@METRICS.register
class DistillationTopkAcc(TopkAcc):
    """TopkAcc of the network `model_key`; an evaluation has the logits of the one network for use, and takes these."""

    def __init__(self, model_key, feature_key=None, topk=(1, 5)):
        super().__init__(topk)
        self.model_key = model_key
        check_key("DistillationTopkAcc.feature_key", feature_key)

    def update(self, outputs, labels):
        if isinstance(outputs, dict):
            outputs = output_of(outputs, self.model_key, "DistillationTopkAcc.model_key")
        super().update(outputs, labels)


def detached(outputs):
    """The network's outputs, one or several by name, without their history."""
    if isinstance(outputs, dict):
        return {name: output.detach() for name, output in outputs.items()}
    return outputs.detach()


def needs_labels(losses):
    """Does any of the `WeightedLosses` use the labels of the list? Where none does, they may be any numbers."""
    return any(weight and getattr(loss, "needs_labels", True) for _, weight, loss in losses.terms)


def deployed(model, network):
    """What is evaluated: `network`, which is `model` as the loop calls it, or a DistillationModel's one for use."""
    return model.deployed if isinstance(model, DistillationModel) else network


def save_student(output_dir, name, model):
    """Write the weights of a DistillationModel's network for use to `output_dir/<name>_student.pdparams`.

    So does PaddleClas with `best_model`: the second stage of SSLD begins with that file. Nothing for other networks.
    Raises UserError when the disk refuses.
    """
    if not isinstance(model, DistillationModel):
        return
    path = f"{output_dir}/{name}_{model.infer_model_name.lower()}.pdparams"
    content = io.BytesIO()  # Paddle writes to nothing else but a path
    paddle.save(model.deployed.state_dict(), content)
    try:
        with atomic_write(path, "wb") as stream:
            stream.write(content.getbuffer())
    except OSError as error:
        raise UserError(f"{path}: not written ({error.strerror})") from error
