"""Networks as a config's `Arch` section describes them, with or without trained weights."""

import paddle

from ppcls_lite.arch.registry import DETECTORS, build_model
from ppcls_lite.slim.apply import check_pruned, slim_down, trained_form, with_own_entries
from ppcls_lite.utils import checks
from ppcls_lite.utils.config import require
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays, set_weights


def class_count(config):
    """The number of classes: `Arch.class_num`, or `Global.class_num` in older configs, or ImageNet's 1000."""
    for section in ("Arch", "Global"):
        count = config[section].get("class_num")
        if count is not None:
            return checks.whole(f"{section}.class_num", count)
    return 1000


def build_network(config, weights=None, **changes):
    """The network of `Arch`, in the form that `Slim` gives it. Its parameters get the same names in every process, as
    `.pdopt` files need.

    `weights` {name: ndarray} is needed for a pruned network: those to choose its filters by, or its own, which say how
    many are left. They are not loaded.
    """
    options = {**require(config, "Arch"), "class_num": class_count(config), **changes}
    with paddle.utils.unique_name.guard():
        if options.get("name") in DETECTORS:
            network = DETECTORS.build(options.pop("name"), options, "Arch")
        else:
            network = build_model(**options)
        return slim_down(network, config, weights)


def begin_network(config):
    """The network that a training begins with: with the weights of `Global.pretrained_model`, where there are some.

    A training for INT8, or of a pruned network, may begin with the weights of the plain one. Of `Global.checkpoints`
    it has the shapes only. Raises UserError when an entry of the weights does not fit.
    """
    source, checkpoint = (config["Global"].get(key) for key in ("pretrained_model", "checkpoints"))
    if not source:
        return build_network(config, load_arrays(checkpoint) if checkpoint and config.get("Slim") else None)
    arrays = load_arrays(source)
    network = build_network(config, arrays)
    set_weights(network, with_own_entries(arrays, network, config), source)
    return network


def without_downloads(options):
    """The changes to an `Arch` section that avoid a download of official weights, which would only be overwritten."""
    if "Backbone" in options:
        return {"Backbone": {**options["Backbone"], "pretrained": False}}
    return {"pretrained": False}


def load_network(config):
    """The network in evaluation mode with the weights of `Global.pretrained_model`.

    Raises UserError when no weights are named or when any entry of them does not fit.
    """
    weights = config["Global"].get("pretrained_model")
    if weights:
        arrays = load_arrays(weights)
        model = build_network(config, trained_form(arrays, config, weights), **without_downloads(config["Arch"]))
        check_pruned(arrays, model, config, weights)
        set_weights(model, arrays, weights)
    elif config["Arch"].get("pretrained"):
        model = build_network(config)
    else:
        raise UserError("Global.pretrained_model: no weights given; try -o Global.pretrained_model=output/best_model")
    model.eval()
    return model
