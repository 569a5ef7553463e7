"""Networks as a config's `Arch` section describes them, with or without trained weights."""

import paddle

from ppcls_lite.arch.distillation import build_distillation, entries_of, set_pretrained
from ppcls_lite.arch.registry import DETECTORS, build_model
from ppcls_lite.utils.config import require
from ppcls_lite.utils.distilled import class_count, deployed_arch, deployed_name, is_distillation, members
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.safe_load import load_arrays, set_weights


def build_network(config, **changes):
    """The network of `Arch`. Its parameters get the same names in every process, as `.pdopt` files need."""
    options = {**require(config, "Arch"), "class_num": class_count(config), **changes}
    options.pop("use_sync_bn", None)  # of the training
    with paddle.utils.unique_name.guard():
        if is_distillation(options):
            return build_distillation(options)
        if options.get("name") in DETECTORS:
            return DETECTORS.build(options.pop("name"), options, "Arch")
        return build_model(**options)


def network_to_train(config):
    """The network of `Arch` as a training begins with it, with the weights of `Global.pretrained_model` if it has any.

    UserError for a frozen network without weights, unless those of a checkpoint are to follow: a teacher that knows
    nothing, and learns nothing, would be a mistake that no figure of the log shows.
    """
    model = build_network(config)
    options, taught = config["Global"], []
    if options.get("pretrained_model"):
        taught = set_pretrained(model, load_arrays(options["pretrained_model"]), options["pretrained_model"])
    if is_distillation(config["Arch"]) and not options.get("checkpoints"):
        for member in members(config["Arch"]):
            if member.frozen and not member.options.get("pretrained") and member.name not in taught:
                raise UserError(
                    f"{member.where}: is frozen and has no weights: set {member.where}.pretrained to their path"
                )
    return model


def without_downloads(options):
    """The changes to an `Arch` section that avoid a download of official weights, which would only be overwritten."""
    if "Backbone" in options:
        return {"Backbone": {**options["Backbone"], "pretrained": False}}
    return {"pretrained": False}


def load_network(config):
    """The network in evaluation mode with the weights of `Global.pretrained_model`; of a distillation, the student.

    The weights of a distillation may be those of all its networks, or the student's alone. Raises UserError when no
    weights are named or when any entry of them does not fit.
    """
    weights = config["Global"].get("pretrained_model")
    arch = deployed_arch(require(config, "Arch"))
    single = {**config, "Arch": {**arch, "class_num": class_count(config)}}
    if weights:
        arrays = load_arrays(weights)
        if is_distillation(config["Arch"]):
            names = [member.name for member in members(config["Arch"])]
            arrays = entries_of(arrays, names, deployed_name(config["Arch"]))
        model = build_network(single, **without_downloads(arch))
        set_weights(model, arrays, weights)
    elif arch.get("pretrained"):
        model = build_network(single)
    else:
        raise UserError("Global.pretrained_model: no weights given; try -o Global.pretrained_model=output/best_model")
    model.eval()
    return model
