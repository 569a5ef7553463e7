"""The precision in which a training computes: FP32, or automatic mixed precision (`AMP` of a config).

What Paddle does with `paddle.amp.auto_cast` depends on device, build and version, and where it can do nothing it only
warns. So the precision that is in effect is found by computing something, and that is what the log and the history say.
"""

import inspect
import warnings
from contextlib import nullcontext

import paddle

from ppcls_lite.utils import checks
from ppcls_lite.utils.log import logger

_LEVELS = ("O1", "O2")


def type_in_effect(dtype, level):
    """The type ("float32", "float16", …) that Paddle gives a product of matrices under `auto_cast(dtype, level)`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with paddle.amp.auto_cast(level=level, dtype=dtype):
            product = paddle.matmul(paddle.ones([8, 8]), paddle.ones([8, 8]))
    return str(product.dtype).rpartition(".")[2]


class Precision:
    """Mixed precision as the `AMP` section says, where the device has it; FP32 otherwise.

    `AMP.level` O1 computes convolutions and products of matrices in FP16, O2 nearly everything, with FP32 copies of the
    weights in the optimizer. `scale_loss` and `use_dynamic_loss_scaling` are those of `paddle.amp.GradScaler`. As in
    PaddleClas, a section without `use_amp` means mixed precision, and `use_fp16_test` evaluates in it too, which a
    training in O2 always does. UserError for a wrong option.
    """

    def __init__(self, section, device):
        self.required = bool(section) and section.get("use_amp", True) is True
        self.level = section.get("level") or "O1"
        if self.level not in _LEVELS:
            raise checks.wrong("AMP.level", "O1 or O2", self.level)
        self.scale = checks.positive("AMP.scale_loss", _value(section, "scale_loss", 1.0))
        self.promote = bool(section.get("use_promote"))
        self.evaluates = bool(section.get("use_fp16_test"))
        self.device = "GPU" if device.startswith("gpu") else "CPU"
        # float16 is what PaddleClas trains in; the only short type that any CPU computes in is bfloat16
        wanted = "float16" if self.device == "GPU" else "bfloat16"
        self.dtype = type_in_effect(wanted, self.level) if self.required else "float32"
        self.active = self.dtype != "float32"
        # bfloat16 has the range of float32: Paddle's scaler has nothing to adapt
        self.dynamic = bool(section.get("use_dynamic_loss_scaling")) and self.dtype == "float16"
        if self.active:
            self.scaler = paddle.amp.GradScaler(init_loss_scaling=self.scale, use_dynamic_loss_scaling=self.dynamic)

    @property
    def name(self):
        """`FP32`, or for example `mixed float16 O1`: what is in effect."""
        return f"mixed {self.dtype} {self.level}" if self.active else "FP32"

    def report(self):
        """Log the precision that is in effect, and why it is another one than the config requires."""
        if self.active:
            scaling = f"the loss is scaled by {self.scale:g}, {'changed as needed' if self.dynamic else 'always'}"
            logger.info(f"precision: {self.name}; {scaling}")
        elif self.required:
            logger.info(
                "precision: FP32; AMP.use_amp is set, but mixed precision needs a GPU: Paddle "
                f"{paddle.__version__} computes in float32 on this {self.device}"
            )
        else:
            logger.info("precision: FP32")

    def prepare(self, model, *optimizers):
        """For O2: FP16 weights in `model`, FP32 copies of them in the optimizers; to be called once all are filled."""
        if self.active and self.level == "O2":
            self.evaluates = True  # its weights are in FP16 now
            options = {"level": "O2", "dtype": self.dtype, "save_dtype": "float32"}
            paddle.amp.decorate(models=model, optimizers=list(optimizers), **options)

    def autocast(self, evaluation=False):
        """The context to compute outputs and loss in."""
        if not self.active or (evaluation and not self.evaluates):
            return nullcontext()
        options = {"level": self.level, "dtype": self.dtype}
        if "use_promote" in inspect.signature(paddle.amp.auto_cast).parameters:
            options["use_promote"] = self.promote
        return paddle.amp.auto_cast(**options)

    def backward(self, loss):
        """Add the gradients of `loss` to those that are there."""
        (self.scaler.scale(loss) if self.active else loss).backward()

    def update(self, *optimizers):
        """Change the parameters by their gradients, and forget the gradients.

        Where gradients of a scaled loss are not finite, the optimizer's parameters stay as they are and the scale is
        halved.
        """
        # the first update names the moments; without the guard a second training in this process would give them
        # other names, and its checkpoints and those of the first would not fit each other
        with paddle.utils.unique_name.guard():
            for optimizer in reversed(optimizers):  # the scale follows the last one: the network's, which is first
                if self.active:
                    self.scaler.step(optimizer)
                else:
                    optimizer.step()
            if self.active:
                self.scaler.update()
        for optimizer in optimizers:
            optimizer.clear_grad()

    def state(self):
        """What the scaling of the loss has come to, as plain values; empty in FP32."""
        found = self.scaler.state_dict() if self.active else {}
        return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in found.items()}

    def load_state(self, state, checkpoint):
        """Go on with a `state` (None: the checkpoint has none); a change of precision is said in the log."""
        if self.active and state:
            try:
                self.scaler.load_state_dict(state)
            except (KeyError, TypeError, IndexError, ValueError) as error:
                raise checks.wrong(f"{checkpoint}.pdstates: scaler", "the state of a GradScaler", state) from error
        elif self.active:
            logger.warning(f"{checkpoint} was trained in FP32: the scaling of the loss begins here")
        elif state:
            logger.warning(f"{checkpoint} was trained in mixed precision: it goes on in FP32, with other last bits")


def _value(section, key, default):
    return default if section.get(key) is None else section[key]
