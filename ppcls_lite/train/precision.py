"""The precision in which a training computes: FP32, or automatic mixed precision (`AMP` of a config)."""

from contextlib import nullcontext

import paddle

from ppcls_lite.utils.log import logger


class Precision:
    """Automatic mixed precision where a GPU can use it; plain FP32 otherwise."""

    def __init__(self, section, device):
        required = section.get("use_amp", False)
        self.active = required and device.startswith("gpu")
        if required and not self.active:
            logger.info("AMP.use_amp is set, but mixed precision needs a GPU: training in FP32")
        self.level = section.get("level", "O1")
        if self.active:
            self.scaler = paddle.amp.GradScaler(
                init_loss_scaling=section.get("scale_loss", 1.0),
                use_dynamic_loss_scaling=section.get("use_dynamic_loss_scaling", False),
            )

    def autocast(self):
        return paddle.amp.auto_cast(level=self.level) if self.active else nullcontext()

    def step(self, loss, optimizer):
        """Backward pass and update."""
        # the first update names the moments; without the guard a second training in this process would give them
        # other names, and its checkpoints and those of the first would not fit each other
        with paddle.utils.unique_name.guard():
            if self.active:
                scaled = self.scaler.scale(loss)
                scaled.backward()
                self.scaler.minimize(optimizer, scaled)
            else:
                loss.backward()
                optimizer.step()
