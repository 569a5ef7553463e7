"""Filters pruned by their geometric median: FPGM (He et al., "Filter Pruning via Geometric Median for Deep
Convolutional Neural Networks Acceleration", 2018, arXiv 1811.00250).

Of each layer, the filters with the smallest sum of distances to all others are removed: those that the others can take
the place of best (equation 6 of the paper). They are really removed, so the network and its export become smaller.
Pruned are the layers inside a block, which no shortcut adds to another one's: a block says in `inner_layers` which.
"""

import numpy as np
import paddle

from ppcls_lite.utils.errors import UserError


def prune(network, ratio, weights=None):
    """Remove `ratio` of the filters of each layer that can be pruned, in the network's place.

    `weights` {name: ndarray}: those of the plain network are loaded, and choose the filters; those of a pruned one are
    not, and say how many filters are left, whatever the ratio. None: the network's own choose. Raises UserError for a
    network without a layer that can be pruned.
    """
    chains = list(chains_of(network))
    if not chains:
        raise UserError(
            f"Slim.prune: {type(network).__name__} has no layers that can be pruned; ResNet has, for example"
        )
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    is_pruned = weights is not None and any(list(one.shape) != shapes.get(name) for name, one in weights.items())
    if weights is not None and not is_pruned:
        network.set_state_dict(weights)
    for name, layers in chains:
        weight = layers[0].conv.weight.numpy()
        left = weights.get(name) if is_pruned else None
        kept = to_keep(weight, ratio) if left is None else np.arange(min(len(left), len(weight)))
        for layer, part, axis in _parts_of(layers):
            _take(layer, part, axis, kept)


def chains_of(network):
    """(name of the first one's weight, layers) of each chain: the filters of its first layer are removed, those between
    have something for each of these filters, and its last one reads them."""
    for prefix, block in network.named_sublayers():
        for names in getattr(block, "inner_layers", ()):
            layers = [getattr(block, name) for name in names]
            yield f"{prefix}.{names[0]}.conv.weight", [layer for layer in layers if layer is not None]


def to_keep(weight, ratio):
    """The numbers of the filters [out, ...] to keep, in their order; one at least."""
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    squares = (flat**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0)).sum(axis=1)
    removed = min(int(round(len(weight) * ratio)), len(weight) - 1)
    return np.sort(np.argsort(distances, kind="stable")[removed:])


def with_own_shapes(weights, network):
    """`weights` {name: ndarray} of the plain network that the pruned `network` was made with, cut as it is."""
    own = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return {name: own.get(name, array) for name, array in weights.items()}


def _parts_of(layers):
    """(layer, name of its parameter, axis) of all that has an entry for each filter of the first of the layers."""
    *makers, last = layers
    for layer in makers:
        if hasattr(layer, "per_channel"):  # a gate
            yield from layer.per_channel()
            continue
        yield layer.conv, "weight", 0
        for name in ("weight", "bias", "_mean", "_variance"):
            yield layer.bn, name, 0
    yield last.conv, "weight", 1


def _take(layer, part, axis, kept):
    """Leave the entries `kept` of a parameter, which keeps its name, as optimizers and checkpoints know it."""
    tensor = getattr(layer, part)
    value = np.ascontiguousarray(np.take(tensor.numpy(), kept, axis=axis))
    tensor.get_tensor().set(value, paddle.framework._current_expected_place())
    if hasattr(layer, "_num_features"):
        layer._num_features = len(kept)
    elif axis == 1:
        layer._in_channels = len(kept)
    else:
        layer._out_channels = len(kept)
        if layer._groups > 1:  # a depthwise one reads them, too
            layer._groups = layer._in_channels = len(kept)
