"""Did a training change its network? Check sums of the trainable parameters, in place of a copy of them."""

import zlib

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


class Changes:
    """Compares the trainable parameters of `model` with what they are now; running statistics do not count.

    A parameter that is frozen (`stop_gradient`) is left out. UserError when there is none to train.
    """

    def __init__(self, model):
        self.model = model
        self.before = _sums(model)
        if not self.before:
            raise UserError("the network has no trainable parameter: all of them are frozen")

    def check(self):
        """Log how many parameters have changed; UserError when none has: that was no training."""
        after = _sums(self.model)
        changed, total = sum(after[name] != value for name, value in self.before.items()), len(self.before)
        if not changed:
            raise UserError(
                f"the training changed none of its {total} trainable parameters; is Optimizer.lr.learning_rate 0, or "
                "the training shorter than the first step of its warm-up?"
            )
        logger.info(f"the training changed {changed} of {total} trainable parameters")


def _sums(model):
    named = ((name, parameter) for name, parameter in model.named_parameters() if not parameter.stop_gradient)
    return {name: zlib.crc32(parameter.numpy().tobytes()) for name, parameter in named}
