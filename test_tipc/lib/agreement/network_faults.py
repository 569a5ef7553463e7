"""What would explain that an exported model does not compute what the network did? Found by trying."""

from typing import NamedTuple

import numpy as np

from agreement import limits
from agreement.behind import NOTHING, steps_for
from agreement.rows import mirrored, model_inputs
from agreement.weights import EQUAL, OTHER

_DEPENDS = 1e-3  # of the scale: more than the rounding of another batch makes


class Reason(NamedTuple):
    """One word for programs, and what a person reads."""

    cause: str
    words: str


def explain(replay, state, step):
    """The `Reason`, the most certain one."""
    call, order = replay.unequal
    arrays, batched = model_inputs(call, order)
    reasons = (
        Reason("random", _changes(replay.exported, arrays)),
        _missing_step(replay),
        Reason("weights", other_weights(state, step)),
        Reason("batch_norm", _depends_on_batch(replay.exported, arrays, batched)),
        Reason("function", _rest(replay, state, step)),
    )
    return next(reason for reason in reasons if reason.words)


def _changes(exported, arrays):
    try:
        first, second = exported.run(arrays), exported.run(arrays)
        exported.reload()  # what does not depend on the input is computed once, when the model is loaded
        third = exported.run(arrays)
    except RuntimeError:
        return ""
    for other, when in ((second, "from call to call"), (third, "each time it is loaded")):
        if not all(limits.same_bits(a, b) or _both_nan(a, b) for a, b in zip(first, other)):
            return f"its outputs change {when}: dropout was left on in the export"
    return ""


def _both_nan(first, second):
    return first.shape == second.shape and limits.largest_difference(first, second) == 0.0


def _missing_step(replay):
    """Softmax, sigmoid or argmax in the network, and not in the export."""
    call, order = replay.unequal
    arrays, _ = model_inputs(call, order)
    try:
        outputs = replay.exported.run(arrays)
    except RuntimeError:
        return Reason("", "")
    for expected in call.arrays("out"):
        for output in outputs:
            for step in steps_for(output, expected):
                if step != NOTHING and _is_near(expected, step.apply(output)):
                    name = step.name
                    words = f"{name} is missing in the exported model: the network's output is {name} of the export's"
                    return Reason(f"{name}_missing", words)
    return Reason("", "")


def _is_near(expected, made):
    made = made.reshape(expected.shape)
    if expected.dtype.kind != "f":
        return bool((expected == made).all())
    return limits.largest_difference(expected, made) <= limits.REWRITTEN * limits.scale(expected)


def other_weights(state, step):
    """The reason in words; "" where the export has the network's weights."""
    if state.state == EQUAL:
        return ""
    cause = "an export of other weights" if state.state == OTHER else "other weights, or a fault in merging them"
    return f"{state.unknown} of {state.total} weights of the exported model are not those that {step} used: {cause}"


def _depends_on_batch(exported, arrays, batched):
    """Batch norm in training mode takes its statistics from the batch."""
    others = mirrored(arrays, batched)
    pairs = [np.concatenate([a[:1], b[:1]]) if cut else a for a, b, cut in zip(arrays, others, batched)]
    alone = [array[:1] if cut else array for array, cut in zip(arrays, batched)]
    try:
        together, single = exported.run(pairs), exported.run(alone)
    except RuntimeError:
        return ""
    if not any(_row_differs(first, second) for first, second in zip(together, single)):
        return ""
    return (
        "its outputs for an image depend on the rest of the batch: batch norm was left in training mode in the export"
    )


def _row_differs(two, one):
    """Whether the first of two images has another output than alone."""
    if two.dtype.kind != "f" or not two.ndim or two.shape[0] != 2 or two[:1].shape != one.shape:
        return False
    return limits.largest_difference(two[:1], one) > _DEPENDS * limits.scale(one)


def _rest(replay, state, step):
    text = f"all {state.total} weights of the export are those that {step} used"
    if all(match.is_near for match in replay.matches.counted):
        return f"{text}, and no number of threads explains the rounding: other operators, or mixed precision"
    return f"{text}: it computes another function of them"
