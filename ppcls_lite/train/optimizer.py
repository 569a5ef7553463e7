"""Optimizers and learning-rate schedules under PaddleClas's names.

A schedule is a pure function of the step, so a resumed run needs no schedule state to go on bit for bit.
"""

import math
from bisect import bisect_right

import paddle

from ppcls_lite.utils import checks
from ppcls_lite.utils.errors import UserError, nearest
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.registry import Registry, options_of

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
def Linear(learning_rate, steps, warmup_steps, end_lr=0.0, power=1.0):
    """From `learning_rate` to `end_lr` over the steps after the warm-up: along a straight line, or a power of it."""
    span = steps - warmup_steps
    return lambda step: end_lr + (learning_rate - end_lr) * (1 - min(step, span) / span) ** power


@SCHEDULES.register
def Step(learning_rate, steps, warmup_steps, step_size, gamma, steps_per_epoch=1):
    """Times `gamma` every `step_size` epochs, counted from the end of the warm-up."""
    size = int(checks.positive("Optimizer.lr.step_size", step_size) * steps_per_epoch)
    if size < 1:
        raise checks.wrong("Optimizer.lr.step_size", "at least one step", step_size)
    return lambda step: learning_rate * gamma ** (step // size)


@SCHEDULES.register
def MultiStepDecay(learning_rate, steps, warmup_steps, milestones, gamma=0.1, steps_per_epoch=1):
    """Times `gamma` at each of the `milestones`, in epochs counted from the end of the warm-up."""
    bounds = [epoch * steps_per_epoch for epoch in milestones]
    if bounds != sorted(bounds):
        raise checks.wrong("Optimizer.lr.milestones", "epochs in rising order", milestones)
    return lambda step: learning_rate * gamma ** bisect_right(bounds, step)


@SCHEDULES.register
def Constant(learning_rate, steps, warmup_steps):
    """The same learning rate at every step."""
    return lambda step: learning_rate


SCHEDULES.register(Constant, "ConstLR")  # PaddleClas's name
_IN_EPOCHS = ("Piecewise", "Step", "MultiStepDecay")  # schedules that have to know how many steps an epoch has


def build_schedule(section, epochs, steps_per_epoch):
    """`lr(step) -> float` for the config's `Optimizer.lr`, step 0 being the first; a step is an update of the weights.

    The warm-up is linear from `warmup_start_lr` to `learning_rate` over `warmup_epoch` epochs; with `by_epoch`
    the rate changes between epochs only. A trial of fewer epochs than the warm-up has is the beginning of the long
    training: it stays on the slope. `last_epoch` is PaddleClas's: 0 begins one update later than -1 does, or one epoch
    with `by_epoch`. Piecewise has no need of a `learning_rate`.
    """
    params = dict(section)
    name = params.pop("name", "Constant")
    if name == "Piecewise" and params.get("learning_rate") is None and params.get("values"):
        params["learning_rate"] = params["values"][0]
    base = checks.real("Optimizer.lr.learning_rate", params.get("learning_rate"), low=0)
    warmup_epoch = checks.real("Optimizer.lr.warmup_epoch", params.pop("warmup_epoch", 0) or 0, low=0)
    start = params.pop("warmup_start_lr", 0.0) or 0.0
    by_epoch = params.pop("by_epoch", False)
    last = params.pop("last_epoch", None)
    begun = 0 if last is None else checks.whole("Optimizer.lr.last_epoch", last, low=-1) + 1
    begun *= steps_per_epoch if by_epoch else 1
    if params.pop("verbose", False):
        logger.warning("Optimizer.lr.verbose=True is ignored: the training log has the learning rate")
    warmup_steps = int(round(warmup_epoch * steps_per_epoch))
    steps = max(epochs * steps_per_epoch, warmup_steps + 1)
    if name in _IN_EPOCHS:
        params["steps_per_epoch"] = steps_per_epoch
    after = SCHEDULES.build(name, {**params, "steps": steps, "warmup_steps": warmup_steps}, "Optimizer.lr")

    def lr(step):
        step += begun
        if by_epoch:
            step -= step % steps_per_epoch
        if step < warmup_steps:
            return start + (base - start) * step / warmup_steps
        return after(step - warmup_steps)

    return lr


@OPTIMIZERS.register
def SGD(parameters, weight_decay=None, grad_clip=None, multi_precision=False):
    """Stochastic gradient descent: weight - rate * gradient."""
    return paddle.optimizer.SGD(
        learning_rate=0.0,
        parameters=parameters,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
        multi_precision=multi_precision,
    )


@OPTIMIZERS.register
def Momentum(parameters, weight_decay=None, grad_clip=None, momentum=0.9, use_nesterov=False, multi_precision=True):
    """Stochastic gradient descent with momentum; velocity and decay as paddle.optimizer.Momentum has them."""
    return paddle.optimizer.Momentum(
        learning_rate=0.0,
        momentum=momentum,
        parameters=parameters,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
        use_nesterov=use_nesterov,
        multi_precision=multi_precision,
    )


@OPTIMIZERS.register
def Adam(
    parameters,
    weight_decay=None,
    grad_clip=None,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    lazy_mode=False,
    multi_precision=False,
):
    """Adam (Kingma & Ba, 2014); weight decay is added to the gradient."""
    return paddle.optimizer.Adam(
        learning_rate=0.0,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        parameters=parameters,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
        lazy_mode=lazy_mode,
        multi_precision=multi_precision,
    )


@OPTIMIZERS.register
def AdamW(
    parameters,
    weight_decay=0.01,
    grad_clip=None,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    multi_precision=False,
    without_decay=(),
):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2017): the weight itself shrinks by rate * decay.

    `without_decay` are parameters whose weights do not shrink.
    """
    names = {parameter.name for parameter in without_decay}
    return paddle.optimizer.AdamW(
        learning_rate=0.0,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        parameters=parameters,
        weight_decay=checks.real("Optimizer.weight_decay", weight_decay, low=0),
        grad_clip=grad_clip,
        multi_precision=multi_precision,
        apply_decay_param_fun=lambda name: name not in names,
    )


@OPTIMIZERS.register
def RMSProp(parameters, weight_decay=None, grad_clip=None, momentum=0.0, rho=0.95, epsilon=1e-6):
    """RMSProp (Hinton, lecture 6e): the gradient over the root of its mean square plus epsilon, then momentum."""
    return paddle.optimizer.RMSProp(
        learning_rate=0.0,
        momentum=momentum,
        rho=rho,
        epsilon=epsilon,
        parameters=parameters,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
    )


def build_optimizer(section, parameters, named=()):
    """The optimizer of the config's `Optimizer` section; its learning rate is set before every update.

    `named` are the network's (name, parameter) pairs, for `no_weight_decay_name` and `one_dim_param_no_weight_decay`:
    those parameters are left out of the weight decay. Keys set to null keep their default. As in PaddleClas,
    `regularizer` comes before `weight_decay`, and `clip_norm` limits the gradient of each parameter by itself.
    """
    params = {key: value for key, value in section.items() if key != "lr" and value is not None}
    name = params.pop("name", None)
    without_decay = _without_decay(params, named)
    regularizer = params.pop("regularizer", None)
    clip_norm = params.pop("clip_norm", None)
    if regularizer:
        params["weight_decay"] = _regularizer(regularizer, name)
    if clip_norm is not None:
        params["grad_clip"] = paddle.nn.ClipGradByNorm(checks.positive("Optimizer.clip_norm", clip_norm))
    if name == "AdamW":
        params["without_decay"] = without_decay
    for parameter in without_decay:
        parameter.regularizer = paddle.regularizer.L2Decay(0.0)  # a parameter's own comes before the optimizer's
    known = options_of(OPTIMIZERS.get(name, "Optimizer"))
    for option in params:
        if option not in known:
            raise UserError(
                f"Optimizer: {name}: no option '{option}'{nearest(option, known)}; "
                f"take it out with -o '~Optimizer.{option}'"
            )
    return OPTIMIZERS.build(name, {**params, "parameters": parameters}, "Optimizer")


def _regularizer(section, optimizer):
    kind, coeff = section.get("name"), section.get("coeff")
    if kind not in _REGULARIZERS or coeff is None:
        raise UserError(f"Optimizer.regularizer: expected name L1 or L2 and a coeff, found {section!r}")
    if optimizer == "AdamW":
        raise UserError(
            "Optimizer.regularizer: AdamW shrinks the weights itself: use weight_decay, and -o '~Optimizer.regularizer'"
        )
    return _REGULARIZERS[kind](checks.real("Optimizer.regularizer.coeff", coeff))


def _without_decay(params, named):
    """Take the two options out of `params`; the parameters that they leave out of the weight decay."""
    parts = (params.pop("no_weight_decay_name", None) or "").split()
    one_dim = params.pop("one_dim_param_no_weight_decay", False)
    if not parts and not one_dim:
        return []
    named = [(name, parameter) for name, parameter in named if not parameter.stop_gradient]
    for part in parts:
        if not any(part in name for name, _ in named):
            logger.warning(f"Optimizer.no_weight_decay_name: '{part}' is in no parameter's name")
    chosen = [
        parameter
        for name, parameter in named
        if any(part in name for part in parts) or (one_dim and len(parameter.shape) == 1)
    ]
    logger.info(f"weight decay leaves out {len(chosen)} of {len(named)} parameters")
    return chosen
