"""What the section `Slim` of a training config makes of a network, before its weights are loaded."""

from ppcls_lite.slim.settings import pruner_of, quanter_of
from ppcls_lite.utils.errors import UserError


def slim_down(network, config, weights=None):
    """The network with the quanters of `Slim.quant` and without the filters that `Slim.prune` removes, in its place.

    `weights` {name: ndarray} is None or says which filters those are: weights of the plain network, or of the pruned
    one. Without, the network's own first weights decide.
    """
    pruner, ratio = pruner_of(config)
    if pruner:
        from ppcls_lite.slim.fpgm import prune

        prune(network, ratio, weights)
    if quanter_of(config):
        _check_dygraph(config)
        from ppcls_lite.slim.pact import add_quanters  # Paddle's own part of it, which others need not wait for

        add_quanters(network)
    return network


def with_own_entries(weights, network, config):
    """`weights` {name: ndarray} of a plain network, completed and cut so that they fit the slim `network`."""
    if pruner_of(config)[0]:
        from ppcls_lite.slim.fpgm import with_own_shapes

        weights = with_own_shapes(weights, network)
    if quanter_of(config):
        from ppcls_lite.slim.pact import with_own_ranges

        weights = with_own_ranges(weights, network)
    return weights


def trained_form(weights, config, source):
    """`weights`, which a training with the config's `Slim` may have left; UserError where that cannot be."""
    if quanter_of(config):
        from ppcls_lite.slim.pact import check_begun

        check_begun(weights, source)
    return weights


def check_pruned(weights, network, config, source):
    """UserError where `weights` {name: ndarray} are those of the plain network, and `network` is the pruned one."""
    if pruner_of(config)[0]:
        state = network.state_dict()
        if any(name in state and list(array.shape) != state[name].shape for name, array in weights.items()):
            raise UserError(f"{source}: expected weights of a pruned network, found those of a plain one")


def _check_dygraph(config):
    if config["Global"].get("to_static"):
        raise UserError("Global.to_static=True with Slim.quant: a training for INT8 runs in dygraph only; set it False")
