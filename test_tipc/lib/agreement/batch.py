"""Does an image of a batch get the answer that it gets alone? An engine or an export may mix the rows of a batch, or be
made for a batch of one size."""

import numpy as np

from agreement import limits
from agreement.boxes import Pairs, is_boxes
from agreement.rows import model_inputs, parts_of


def why_not_alone(exported, call, order, found):
    """Why the recorded outputs `found` of a call of several images are not those of its images alone in strict mode; ""
    where they are, or where that cannot be told: the model was exported for one size of batch, as it states."""
    if call.images < 2 or exported.fixed_batch is not None:
        return ""
    arrays, is_batched = model_inputs(call, order)
    for row in range(call.images):
        try:
            alone = exported.run([array[row : row + 1] if cut else array for array, cut in zip(arrays, is_batched)])
        except RuntimeError as error:
            return f"an image of its batch of {call.images} cannot be computed alone: {error}"
        for expected, output in zip(alone, found):
            parts = parts_of(output, call)
            if parts is None:
                continue
            if expected.ndim == output.ndim and expected.shape[0] != 1:
                return f"an image of its batch of {call.images} gets {expected.shape[0]} rows of answers alone"
            if expected.shape[1:] == parts[row].shape:
                words = _difference(expected[0], parts[row], limits.scale(output))
                if words:
                    return f"image {row + 1} of a batch of {call.images} {words} the same image alone"
    return ""


def _difference(expected, found, scale):
    """`differs by 0.3 (at most 0.0001) from`; "" where it does not. `scale`: of the outputs of the whole batch."""
    if is_boxes(expected):
        pairs = Pairs(limits.ENGINE)
        pairs.add(expected, found)
        return f"has {pairs.unmatched} boxes without a partner in those of" if pairs.unmatched else ""
    if expected.dtype.kind != "f":
        share = float(np.mean(expected != found)) if expected.size else 0.0
        return f"has {share:.1%} other elements than" if share > limits.ELEMENTS else ""
    difference, limit = limits.largest_difference(expected, found), limits.ENGINE * max(1.0, scale)
    return f"differs by {difference:.3g} (at most {limit:.3g} allowed) from" if difference > limit else ""
