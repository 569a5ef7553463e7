"""Networks as a config's `Arch` section describes them, with or without trained weights."""

import paddle

from ppcls_lite.arch.registry import DETECTORS, build_model
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


def build_network(config, **changes):
    """The network of `Arch`. Its parameters get the same names in every process, as `.pdopt` files need."""
    options = {**require(config, "Arch"), "class_num": class_count(config), **changes}
    options.pop("use_sync_bn", None)  # of the training
    with paddle.utils.unique_name.guard():
        if options.get("name") in DETECTORS:
            return DETECTORS.build(options.pop("name"), options, "Arch")
        return build_model(**options)


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
        model = build_network(config, **without_downloads(config["Arch"]))
        set_weights(model, arrays, weights)
    elif config["Arch"].get("pretrained"):
        model = build_network(config)
    else:
        raise UserError("Global.pretrained_model: no weights given; try -o Global.pretrained_model=output/best_model")
    model.eval()
    return model
