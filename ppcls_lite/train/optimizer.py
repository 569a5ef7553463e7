"""Optimizers and learning-rate schedules under PaddleClas's names.

A schedule is a pure function of the step, so a resumed run needs no schedule state to go on bit for bit.
"""

import math
from bisect import bisect_right

import paddle

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.registry import Registry

SCHEDULES = Registry("learning-rate schedule")
OPTIMIZERS = Registry("optimizer")
_REGULARIZERS = {"L1": paddle.regularizer.L1Decay, "L2": paddle.regularizer.L2Decay}


@SCHEDULES.register
def Cosine(learning_rate, steps, warmup_steps, eta_min=0.0):
    """Cosine annealing (Loshchilov & Hutter, "SGDR", 2016, equation 5) over the steps after the warm-up."""
    span = steps - warmup_steps

    def at(step):
        return eta_min + (learning_rate - eta_min) / 2 * (1 + math.cos(math.pi * step / span))

    return at


@SCHEDULES.register
def Piecewise(learning_rate, steps, warmup_steps, decay_epochs, values, steps_per_epoch=1):
    """`values[i]` until `decay_epochs[i]`, counted in epochs from the end of the warm-up."""
    if len(values) != len(decay_epochs) + 1:
        raise UserError(
            f"Optimizer.lr: {len(decay_epochs)} decay_epochs need {len(decay_epochs) + 1} values, found {len(values)}"
        )
    bounds = [epoch * steps_per_epoch for epoch in decay_epochs]
    return lambda step: values[bisect_right(bounds, step)]


@SCHEDULES.register
def Constant(learning_rate, steps, warmup_steps):
    """The same learning rate at every step."""
    return lambda step: learning_rate


def build_schedule(section, epochs, steps_per_epoch):
    """`lr(step) -> float` for the config's `Optimizer.lr`, step 0 being the first.

    The warm-up is linear from `warmup_start_lr` to `learning_rate` over `warmup_epoch` epochs; with `by_epoch`
    the rate changes between epochs only. A trial of fewer epochs than the warm-up has is the beginning of the long
    training: it stays on the slope.
    """
    params = dict(section)
    name = params.pop("name", "Constant")
    base = checks.real("Optimizer.lr.learning_rate", params.get("learning_rate"), low=0)
    warmup_epoch = checks.real("Optimizer.lr.warmup_epoch", params.pop("warmup_epoch", 0) or 0, low=0)
    start = params.pop("warmup_start_lr", 0.0) or 0.0
    by_epoch = params.pop("by_epoch", False)
    warmup_steps = int(round(warmup_epoch * steps_per_epoch))
    steps = max(epochs * steps_per_epoch, warmup_steps + 1)
    if name == "Piecewise":
        params["steps_per_epoch"] = steps_per_epoch
    after = SCHEDULES.build(name, {**params, "steps": steps, "warmup_steps": warmup_steps}, "Optimizer.lr")

    def lr(step):
        if by_epoch:
            step -= step % steps_per_epoch
        if step < warmup_steps:
            return start + (base - start) * step / warmup_steps
        return after(step - warmup_steps)

    return lr


@OPTIMIZERS.register
def Momentum(parameters, weight_decay=None, grad_clip=None, momentum=0.9, use_nesterov=False):
    """Stochastic gradient descent with momentum; velocity and decay as paddle.optimizer.Momentum has them."""
    return paddle.optimizer.Momentum(
        learning_rate=0.0,
        momentum=momentum,
        parameters=parameters,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
        use_nesterov=use_nesterov,
    )


@OPTIMIZERS.register
def Adam(parameters, weight_decay=None, grad_clip=None, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Adam (Kingma & Ba, 2014)."""
    return paddle.optimizer.Adam(
        learning_rate=0.0,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        parameters=parameters,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
    )


def build_optimizer(section, parameters):
    """The optimizer of the config's `Optimizer` section; its learning rate is set before every step.

    Keys set to null keep their default.
    """
    params = {key: value for key, value in section.items() if key != "lr" and value is not None}
    name = params.pop("name", None)
    regularizer = params.pop("regularizer", None)
    clip_norm = params.pop("clip_norm", None)
    if regularizer:
        kind, coeff = regularizer.get("name"), regularizer.get("coeff")
        if kind not in _REGULARIZERS or coeff is None:
            raise UserError(f"Optimizer.regularizer: expected name L1 or L2 and a coeff, found {regularizer!r}")
        params["weight_decay"] = _REGULARIZERS[kind](coeff)
    if clip_norm is not None:
        params["grad_clip"] = paddle.nn.ClipGradByGlobalNorm(clip_norm)
    return OPTIMIZERS.build(name, {**params, "parameters": parameters}, "Optimizer")
