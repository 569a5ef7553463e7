"""How far rounding alone moves the outputs of a network.

Every engine rounds in other places: sums are made in another order, batch norm is merged into a convolution. What that
may do to the outputs is measured in strict mode: the inputs are changed by their last bit. Networks with random
weights, MixNet above all, magnify that a million times.
"""

import numpy as np

from diagnosis.engines.difference import Difference

TIMES = 3  # directions in which the last bits are changed
# An engine rounds in each layer, and not the input alone. Of 14 networks (MobileNetV3_small, MixNet S, M and L,
# ShuffleNetV2, ResNet50_vd and PPHGNetV2_B0, untrained and with filled weights) IR passes, oneDNN, OpenVINO and two
# threads moved the outputs by up to 6.8 times as much as the last bits of the input did; bfloat16 by 1,150 and more.
FACTOR = 16


def magnified(exported, samples, expected, images):
    """The `Difference` of the strict outputs `expected` and those for inputs with other last bits, TIMES over, FACTOR
    as large; None where no input has last bits (bytes, words), or they cannot be computed."""
    if not any(array.dtype in (np.float32, np.float64) for sample in samples for array in sample):
        return None
    largest = None
    for seed in range(TIMES):
        rng = np.random.default_rng(seed)
        try:
            found = [exported.run([_nudged(array, rng) for array in sample]) for sample in samples]
        except RuntimeError:
            return None
        largest = _larger(largest, Difference(expected, found, images))
    return largest


def last_bit(magnified_difference):
    """How far the last bits of the input move an output, at most."""
    return max(one.largest for one in magnified_difference.outputs) / FACTOR


def _nudged(array, rng):
    if array.dtype not in (np.float32, np.float64):
        return array
    towards = np.where(rng.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
    return np.where(array == 0, array, np.nextafter(array, towards))


def _larger(first, second):
    """Of each output the larger figures; the second one's are enlarged before."""
    for output in second.outputs:
        output.largest *= FACTOR
        output.different *= FACTOR
        output.pairs.alone *= FACTOR
        output.pairs.tied *= FACTOR
    if first is None:
        return second
    for own, other in zip(first.outputs, second.outputs):
        own.largest, own.different = max(own.largest, other.largest), max(own.different, other.different)
        own.pairs.alone = max(own.pairs.alone, other.pairs.alone)
        own.pairs.tied = max(own.pairs.tied, other.pairs.tied)
    return first
