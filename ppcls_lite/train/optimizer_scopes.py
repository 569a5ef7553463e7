"""All optimizers of a training: one for everything, or one for each part (`scope`), in PaddleClas's two forms.

    Optimizer: {name: Momentum, lr: {…}}

    Optimizer:
      - Adam: {scope: RecModel, lr: {…}}
      - SGD: {scope: CenterLoss, lr: {…}}

A scope is `all`, the network by its name in `Arch`, a part of it (backbone, neck, head), or a loss with parameters.
"""

from typing import Any, Callable, NamedTuple

import paddle

from ppcls_lite.train.optimizer import build_optimizer, build_schedule
from ppcls_lite.utils import schema
from ppcls_lite.utils.config import check_types
from ppcls_lite.utils.errors import UserError, nearest

_ALL = "all"


class Scope(NamedTuple):
    """One optimizer, the parameters that it changes, and its learning rate as a function of the update's number."""

    optimizer: Any
    parameters: list
    rate: Callable


class Optimizers:
    """The `Scope`s of a training as one: what `paddle.optimizer.Optimizer` has for checkpoints, and their rates."""

    def __init__(self, scopes):
        self.scopes = list(scopes)

    def __iter__(self):
        return iter(scope.optimizer for scope in self.scopes)

    def set_rates(self, update):
        """Set the learning rates for an update, counted from 0; returns the first one."""
        rates = [scope.rate(update) for scope in self.scopes]
        for optimizer, rate in zip(self, rates):
            optimizer.set_lr(rate)
        return rates[0]

    def state_dict(self):
        """The entries of all: each is named by its parameter, which is in one scope only."""
        merged, copies = {}, {}
        for optimizer in self:
            state = dict(optimizer.state_dict())
            copies.update(state.pop("master_weights", {}))
            merged.update(state)
        return {**merged, "master_weights": copies} if copies else merged

    def set_state_dict(self, state):
        """Give all of them the entries that `state_dict` gave; each takes those of its parameters."""
        for optimizer in self:
            optimizer.set_state_dict(state)

    def stateless(self):
        """The names of the parameters whose optimizer keeps nothing of them."""
        plain = [scope for scope in self.scopes if isinstance(scope.optimizer, paddle.optimizer.SGD)]
        return {parameter.name for scope in plain for parameter in scope.parameters}


def optimizer_name(section):
    """The name of the config's optimizer, or `Adam (RecModel), SGD (CenterLoss)`; UserError for another form."""
    if isinstance(section, dict):
        return section.get("name")
    return ", ".join(f"{options['name']} ({scope})" for scope, options in _entries(section))


def build_optimizers(section, arch_name, model, losses, epochs, updates_per_epoch):
    """The `Optimizers` of a config's `Optimizer` for the parameters of `model` and of the `WeightedLosses`.

    Raises UserError for what `build_optimizer` and `build_schedule` refuse, for a scope that does not exist or has no
    parameters, and where a parameter to be trained is in two scopes or in none.
    """
    scopes, taken = [], {}
    for scope, options in _entries(section):
        named = _named_parameters(scope, arch_name, model, losses)
        for name, parameter in named:
            if parameter.name in taken:
                raise UserError(f"Optimizer: {name} is in scope {scope} and in scope {taken[parameter.name]}")
            taken[parameter.name] = scope
        if "lr" not in options:
            raise UserError(f"config: '{_place(section, options)}.lr' is missing")
        parameters = [parameter for _, parameter in named]
        rate = build_schedule(options["lr"], epochs, updates_per_epoch)
        scopes.append(Scope(build_optimizer(options, parameters, named), parameters, rate))
    for name, parameter in _named_parameters(_ALL, arch_name, model, losses):
        if parameter.name not in taken and not parameter.stop_gradient:
            raise UserError(f"Optimizer: {name} is in no scope, and would never be trained")
    return Optimizers(scopes)


def _place(section, options):
    return "Optimizer" if isinstance(section, dict) else f"Optimizer.{options['name']}"


def _entries(section):
    """(scope, options with the optimizer's name) of each optimizer."""
    if isinstance(section, dict):
        return [(_ALL, section)]
    if not isinstance(section, list) or not section:
        raise UserError(f"Optimizer: expected a mapping, or a list of optimizers with a scope, found {section!r:.80}")
    found = []
    for index, item in enumerate(section):
        place = f"Optimizer[{index}]"
        if not isinstance(item, dict) or len(item) != 1 or not isinstance(next(iter(item.values())), dict):
            raise UserError(f"{place}: expected one such as 'Adam: {{scope: RecModel, lr: …}}', found {item!r:.80}")
        ((name, options),) = item.items()
        options = {**options, "name": name}
        scope = options.pop("scope", None)
        if not isinstance(scope, str):
            raise UserError(f"{place}.{name}.scope: expected all, or a part such as RecModel, found {scope!r:.80}")
        check_types({"Optimizer": options}, schema.TRAIN, place)
        found.append((scope, options))
    return found


def _named_parameters(scope, arch_name, model, losses):
    """(name, parameter) of all in a scope."""
    parts = {_ALL: None, arch_name: model, **dict(model.named_children()), **dict(losses.layers.items())}
    if scope not in parts:
        raise UserError(f"Optimizer: unknown scope '{scope}'{nearest(scope, parts)}; known: {', '.join(parts)}")
    if scope == _ALL:
        return [*model.named_parameters(), *losses.layers.named_parameters()]
    named = list(parts[scope].named_parameters())
    if not named:
        raise UserError(f"Optimizer: the scope {scope} has no parameters")
    return [(f"{scope}.{name}", parameter) for name, parameter in named]
