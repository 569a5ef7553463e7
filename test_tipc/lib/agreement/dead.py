"""Do the outputs depend on the image? Where they do not, that two networks give the same ones means nothing."""

import numpy as np

from agreement.limits import Spread
from agreement.rows import mirrored, model_inputs, negated, parts_of

_MOST_IMAGES = 4


def spreads_of(calls, keys_of_call, outputs_of_call):
    """[Spread] of the outputs of each network, over the kept calls: `keys_of_call(call)` are the images' keys."""
    spreads = {}
    for call in calls:
        keys = keys_of_call(call)
        for position, output in enumerate(outputs_of_call(call)):
            parts = parts_of(output, call)
            for key, part in zip(keys, parts or ()):
                spreads.setdefault((call.network, position), Spread()).add(key, part)
    return list(spreads.values())


def constant_words(spreads):
    """What is wrong with outputs that are the same for all images, or "" where one of them is not."""
    judged = [spread for spread in spreads if spread.share is not None]
    if not judged or not all(spread.is_constant for spread in judged):
        return ""
    most = max(judged, key=lambda spread: spread.largest)
    return (
        f"the outputs of {most.different} different images differ by at most {most.largest:.1g}: "
        "they do not depend on the image"
    )


def is_dead(exported, call, order):
    """Whether the exported model gives the same outputs for a recorded image, its mirror image and its negative.

    None where that is not known: its outputs are integers, or of another size each time; or its inputs are no images,
    but numbers of words, whose order may not matter.
    """
    arrays, batched = _first_image(exported, call, order)
    if not any(array.dtype.kind == "f" or array.dtype == np.uint8 for array in arrays):
        return None
    return _are_the_same(exported, (arrays, mirrored(arrays, batched), negated(arrays)))


def ignores_image(exported, calls):
    """Whether a model of several inputs gives the same outputs when the largest of them, the image, is another one.

    `calls` are (call, order of inputs). None where that is not known.
    """
    if len(exported.feeds) < 2:
        return None
    arrays, _ = _first_image(exported, *calls[0])
    image = max(range(len(arrays)), key=lambda position: arrays[position].size)
    others = (_first_image(exported, *pair)[0][image] for pair in calls[1:_MOST_IMAGES])
    tried = [arrays]
    for other in others:
        if other.shape == arrays[image].shape and not (other == arrays[image]).all():
            tried.append([other if position == image else array for position, array in enumerate(arrays)])
    return _are_the_same(exported, tried) if len(tried) > 1 else None


def _first_image(exported, call, order):
    """(inputs of the first image of a call, whether each is cut along the batch); of all where the batch is fixed."""
    arrays, batched = model_inputs(call, order)
    if exported.fixed_batch in (None, 1):
        arrays = [array[:1] if cut else array for array, cut in zip(arrays, batched)]
    return arrays, batched


def _are_the_same(exported, tried):
    """Whether the outputs for all these inputs are the same; None where that is not known."""
    spreads = {}
    for number, inputs in enumerate(tried):
        try:
            outputs = exported.run(inputs)
        except RuntimeError:
            return None
        for position, output in enumerate(outputs):
            spreads.setdefault(position, Spread()).add(number, output)
    judged = [spread for spread in spreads.values() if spread.share is not None]
    return all(spread.is_constant for spread in judged) if judged else None
