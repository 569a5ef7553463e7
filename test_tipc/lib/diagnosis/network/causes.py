"""Why does an operator of the export compute something else? What is often wrong, read from the operator itself."""

import re
from typing import NamedTuple

from diagnosis.network.operators import kind_of, main_output

_RANDOM = re.compile(
    r"(uniform|gaussian|normal|truncated_gaussian|randint|randperm|bernoulli|multinomial|poisson|exponential|binomial"
    r"|standard_gamma|rrelu|gumbel_softmax|shuffle_batch|random_crop)(_random)?(_batch_size_like|_inplace)?_?"
)
_SHAPED = (
    "reshape",
    "expand",
    "tile",
    "interp",
    "slice",
    "strided_slice",
    "full",
    "split",
    "pad",
    "arange",
    "set_value",
)


class Cause(NamedTuple):
    """One word for programs, what a person reads, and what to do."""

    name: str
    words: str
    advice: str


def cause_of(parting, program, takes_export=(0, 0)):
    """The `Cause` of a `Parting`; `takes_export`: in how many of all traced calls the export agrees."""
    operator, counterpart = parting.operator, parting.counterpart
    if operator is None:
        return Cause(
            "missing_operator",
            f"the network goes on with {told(counterpart)}, and the export ends before it",
            f"export a network that ends with {kind_of(counterpart)}, or apply it behind the exported model",
        )
    for look in (_training_mode, _random, _frozen_shape, _attribute):
        cause = look(operator, counterpart, program)
        if cause:
            return cause
    if counterpart is None:
        return Cause(
            "extra_operator",
            f"the export goes on with {named(operator)}, where the network ends",
            f"export the network without {kind_of(operator)}, or evaluate it with it",
        )
    if kind_of(counterpart) != kind_of(operator):
        return _other_operator(operator, counterpart, takes_export)
    return Cause(
        "operator",
        f"{named(operator)} gives other numbers for the same input and the same attributes",
        "compare the Paddle versions that trained and that exported the network",
    )


def told(operator):
    """`batch_norm of layer 'norm'`, of an operator of the network."""
    where = f" of layer '{operator.layer}'" if operator.layer else ""
    return f"{kind_of(operator)}{where}"


def named(operator):
    """`batch_norm 'batch_norm_0.tmp_2'`, of an operator of the program."""
    return f"{operator.type} '{operator.outputs[main_output(operator)].name}'"


_ADVICE = "call model.eval() before paddle.jit.to_static and paddle.jit.save"


def _training_mode(operator, counterpart, program):
    """Dropout and batch norm; Paddle's export cures them unless they are several operators, or have a switch."""
    kind = kind_of(operator)
    if counterpart is not None and kind_of(counterpart) == kind and _trained(counterpart):
        return None
    if ("dropout" in kind and operator.attributes.get("is_test") is False) or _is_masked(operator, program):
        words = f"dropout was left in training mode in the export ({named(operator)}): it sets random numbers to 0"
        return Cause("dropout", words, _ADVICE)
    if "batch_norm" in kind and _uses_batch(operator.attributes):
        words = (
            f"batch norm was left in training mode in the export ({named(operator)}): it uses the batch's statistics"
        )
        return Cause("batch_norm", words, f"{_ADVICE}, and leave use_global_stats alone")
    return None


def _uses_batch(attributes):
    trains = attributes.get("is_test") is False and not attributes.get("use_global_stats")
    return trains or bool(attributes.get("trainable_statistics"))


def _trained(operator):
    """Whether the dynamic call of dropout or batch norm was one of training.

    Dropout's only switch is `is_test`; of batch norm's three (is_test, use_global_stats, trainable_statistics) the last
    one has it use the batch.
    """
    switches = [one for one in operator.arguments if isinstance(one, bool)]
    return bool(switches) and (not switches[0] or (len(switches) == 3 and switches[2]))


def _is_masked(operator, program):
    """Whether it scales what a random mask is multiplied with behind it: dropout of whole channels (Dropout2D)."""
    reached = [operator]
    for _ in range(_NEAR):
        reached += [one for one in _readers(reached, program) if one not in reached]
    for one in reached:
        if kind_of(one) == "multiply":
            made = list(_made_of(one, program))
            if any(map(_is_random, made)) and any(kind_of(other) in _MASKS for other in made):
                return True
    return False


_NEAR = 3  # operators between the scaling and the mask: casts
_MASKS = ("greater_equal", "greater_than", "less_than", "less_equal")


def _readers(operators, program):
    names = {output.name for operator in operators for output in operator.outputs}
    return [one for one in program.operators if any(given["name"] in names for given in one.inputs)]


def training_mode_of(program):
    """The `Cause` of the first operator of a program that was left in training mode, or None."""
    found = (_training_mode(operator, None, program) for operator in program.operators)
    return next(filter(None, found), None)


def _random(operator, _, program):
    source = next((one for one in (operator, *_made_of(operator, program)) if _is_random(one)), None)
    if source is None:
        return None
    takes = f", which {named(operator)} takes," if source is not operator else ""
    return Cause("random", f"the export has a random operator: {named(source)}{takes} makes other numbers each time",
                 "take the random operator out of what is exported, or give it a seed")  # fmt: skip


def _is_random(operator):
    return bool(_RANDOM.fullmatch(operator.type))


def _made_of(operator, program):
    """The operators that made an operator's inputs, the nearest first."""
    writers = {output.name: one for one in program.operators for output in one.outputs}
    left, seen = [operator], {operator.number}
    while left:
        for one in left.pop(0).inputs:
            writer = writers.get(one["name"])
            if writer is not None and writer.number not in seen:
                seen.add(writer.number)
                left.append(writer)
                yield writer


def _frozen_shape(operator, counterpart, _):
    if counterpart is None or not kind_of(operator).endswith(_SHAPED) or kind_of(counterpart) != kind_of(operator):
        return None
    sides = [list(one.outputs[0].shape) for one in (counterpart, operator)]
    if sides[0] == sides[1]:
        return None
    return Cause("frozen_shape", f"a shape was frozen at export: {named(operator)} makes {sides[1]}, and the network "
                 f"{sides[0]} for this input", "compute the shape from the tensor (paddle.shape) in forward, or export "
                 "with the input shape that is used")  # fmt: skip


def _attribute(operator, counterpart, _):
    """An attribute of the export that is not what the network called the function with."""
    if counterpart is None or kind_of(counterpart) != kind_of(operator):
        return None
    called = _scaled(counterpart) if kind_of(operator) == "scale" else {}
    plain = list(_leaves(counterpart.arguments))
    for name, value in operator.attributes.items():
        if name in called:
            is_other = not _equal(value, called[name])
        else:
            is_other = (
                name in _STATED
                and kind_of(operator) not in _BINARY
                and not all(any(_equal(one, two) for two in plain) for one in _leaves([value]))
            )
        if is_other:
            said = f"{called[name]:g}" if name in called else _alike(value, counterpart.arguments)
            return Cause("attribute", f"the {name} of {named(operator)} is {_number(value)} in the export, and the "
                         f"network called {told(counterpart)} with {said}",
                         f"export the network with the same {name}")  # fmt: skip
    return None


# attributes that both the program's operator and the function in the dynamic graph have
_STATED = ("epsilon", "k", "strides", "paddings", "dilations", "groups", "ksize", "pooling_type", "kernel_size",
           "interp_method", "axis", "alpha", "beta", "slope", "offset", "threshold")  # fmt: skip


def _number(value):
    return f"{value:.7g}" if isinstance(value, float) else value


_BINARY = ("add", "subtract", "multiply", "divide", "pow")  # a program has them with an axis for broadcasting


def _scaled(call):
    """{"scale", "bias"} of `x + 2` and its like."""
    number = next((one for one in call.arguments if isinstance(one, (int, float))), None)
    if number is None:
        return {}
    inverse = 1 / number if number else 0
    factors = {"__mul__": (number, 0), "__rmul__": (number, 0), "__add__": (1, number), "__radd__": (1, number),
               "__sub__": (1, -number), "__rsub__": (-1, number), "__truediv__": (inverse, 0)}  # fmt: skip
    return dict(zip(("scale", "bias"), factors.get(call.type, ())))


def _leaves(values):
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)
        elif isinstance(value, (int, float, str)) and not isinstance(value, bool):
            yield value


def _equal(first, second):
    if isinstance(first, str) or isinstance(second, str):
        return first == second
    return abs(first - second) <= 1e-6 * max(abs(first), abs(second))


def _alike(value, arguments):
    """The arguments of the type of a value, in words; all of them where there are none."""
    plain = [one for one in arguments if not isinstance(one, dict) and one is not None]
    return ", ".join(map(str, [one for one in plain if type(one) is type(value)] or plain))[:120]


def _other_operator(operator, counterpart, takes_export):
    """Another operator: one branch of an `if`, where the network took that branch for some images, too."""
    same, all_of = takes_export
    words = f"the export has other operators: {named(operator)} where the network ran {told(counterpart)} there"
    if not 0 < same < all_of:
        advice = "let forward, and what is put behind it, be the same in the export as in the training"
        return Cause("other_operator", words, advice)
    return Cause(
        "frozen_if",
        f"{words}; {same} of {all_of} traced images take the export's branch: "
        "one branch of an `if` was frozen at export",
        "write the condition with tensors (paddle.where, static.nn.cond), so that to_static keeps both branches",
    )
