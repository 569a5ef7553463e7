"""Classifiers without their last layer: what it takes are the features that recognition compares."""

from ppcls_lite.arch.network import Network
from ppcls_lite.utils.errors import UserError

# The names of PaddleClas's BackboneStopLayer for "all but the classifier"; the second ones end before a hidden layer.
_FLAT = ("flatten", "flatten_0")
_POOLED = ("avg_pool", "adaptive_avg_pool2d_0")


def size_of_features(network):
    """The number of features that the last layer of a classifier takes."""
    return getattr(network, network.classifier).weight.shape[0]


def check_stop(name):
    """UserError for a name that PaddleClas has for another place in a network, and for any other."""
    if name not in (*_FLAT, *_POOLED):
        raise UserError(f"expected one of {', '.join((*_FLAT, *_POOLED))}, found {name!r:.80}")


def stop(network, name):
    """End the Network at the layer `name`, before its classifier, which it loses: a call gives [N, `feature_size`].

    UserError as `check_stop`, for a place with a hidden layer behind it, and for a network that does not say where its
    features are.
    """
    kind = type(network)
    if name in _POOLED and network.hidden_layer:
        raise UserError(f"{kind.__name__} has a hidden layer behind {name}: expected {_FLAT[0]}")
    check_stop(name)
    if kind.embed is Network.embed:
        raise UserError(f"{kind.__name__}: has no features for recognition: it defines `head`, but no `embed`")
    network.feature_size = size_of_features(network)
    delattr(network, network.classifier)
    network.head = network.embed
