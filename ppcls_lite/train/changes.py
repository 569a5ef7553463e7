"""Did a training change its network? Check sums of the trainable parameters, in place of a copy of them."""

import zlib

from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger


class Changes:
    """Compares the trainable parameters of `model` with what they are now; running statistics do not count.

    A parameter that is frozen (`stop_gradient`) is left out. UserError when there is none to train. The frozen networks
    of a DistillationModel are compared with all that they have, running statistics included.
    """

    def __init__(self, model):
        self.model = model
        self.before = _sums(model)
        self.frozen = _frozen_sums(model)
        if not self.before:
            raise UserError("the network has no trainable parameter: all of them are frozen")

    def check(self):
        """Log how many parameters have changed; UserError when none has: that was no training.

        UserError, too, when a frozen network is not what it was.
        """
        after = _sums(self.model)
        changed, total = sum(after[name] != value for name, value in self.before.items()), len(self.before)
        if not changed:
            raise UserError(
                f"the training changed none of its {total} trainable parameters; is Optimizer.lr.learning_rate 0, or "
                "the training shorter than the first step of its warm-up?"
            )
        logger.info(f"the training changed {changed} of {total} trainable parameters")
        for name, sums in _frozen_sums(self.model).items():
            moved = [entry for entry, value in sums.items() if value != self.frozen[name][entry]]
            if moved:
                found = f"{len(moved)} of {len(sums)} entries: {moved[0]}, …"
                raise UserError(f"the frozen network {name} changed in {found}")
            logger.info(f"the frozen network {name} is bit for bit as it was: {len(sums)} entries")


def _sums(model):
    return _crc((name, parameter) for name, parameter in model.named_parameters() if not parameter.stop_gradient)


def _frozen_sums(model):
    """{network: {entry: check sum}} of the whole state of each frozen network."""
    names = getattr(model, "frozen_names", [])
    return {name: _crc(network.state_dict().items()) for name, network in zip(names, model.frozen())} if names else {}


def _crc(named):
    return {name: zlib.crc32(tensor.numpy().tobytes()) for name, tensor in named}
