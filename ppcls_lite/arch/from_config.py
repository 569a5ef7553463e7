"""Networks as a config's `Arch` section describes them, with or without trained weights."""

from inspect import signature

import paddle

from ppcls_lite.arch.distillation import build_distillation, entries_of, set_pretrained
from ppcls_lite.arch.registry import BACKBONES, DETECTORS, RECOGNIZERS, build_model
from ppcls_lite.slim.apply import check_pruned, slim_down, trained_form, with_own_entries
from ppcls_lite.utils.config import require
from ppcls_lite.utils.distilled import class_count, deployed_arch, deployed_name, is_distillation, members
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.recognition import is_recognition, is_retrieval
from ppcls_lite.utils.safe_load import load_arrays, set_weights

_HEAD = "head."  # of the entries of a recognizer's head


def build_network(config, weights=None, **changes):
    """The network of `Arch`, in the form that `Slim` gives it. Its parameters get the same names in every process, as
    `.pdopt` files need.

    `weights` {name: ndarray} is needed for a pruned network: those to choose its filters by, or its own, which say how
    many are left. They are not loaded.
    """
    options = {**require(config, "Arch"), **changes}
    options.pop("use_sync_bn", None)  # of the training
    if options.get("name") not in RECOGNIZERS:
        options["class_num"] = class_count(config)
    with paddle.utils.unique_name.guard():
        if is_distillation(options):
            if config.get("Slim"):
                raise UserError("Slim: several networks that learn together cannot be quantised or pruned: remove it")
            return build_distillation(options)
        if options.get("name") in RECOGNIZERS:
            options = _with_image_size(options, config)
        for table in (DETECTORS, RECOGNIZERS):
            if options.get("name") in table:
                network = table.build(options.pop("name"), options, "Arch")
                break
        else:
            network = build_model(**options)
        return slim_down(network, config, weights)


def _with_image_size(options, config):
    """`options` of a recognizer: a backbone for images of one size, MobileFaceNet, is made for `Global.image_shape`.

    Its own `input_size` comes first. So one config serves backbones with and without that option.
    """
    backbone, shape = options.get("Backbone"), require(config, "Global").get("image_shape")
    name = backbone.get("name") if isinstance(backbone, dict) else None
    if name not in BACKBONES or "input_size" not in signature(BACKBONES.get(name)).parameters or not shape:
        return options
    return {**options, "Backbone": {"input_size": shape[-1], **backbone}}


def network_to_train(config):
    """The network of `Arch` as a training begins with it, with the weights of `Global.pretrained_model` if it has any.

    A training for INT8, or of a pruned network, may begin with the weights of the plain one, and a recognizer with
    those of one with another head. Of `Global.checkpoints` it has the shapes only. UserError when an entry of the
    weights does not fit, and for a frozen network without weights, unless those of a checkpoint are to follow: a
    teacher that knows nothing, and learns nothing, would be a mistake that no figure of the log shows.
    """
    source, checkpoint = (config["Global"].get(key) for key in ("pretrained_model", "checkpoints"))
    shapes = source or (checkpoint if config.get("Slim") else None)
    arrays = load_arrays(shapes) if shapes else None
    model = build_network(config, _without_head(arrays) if arrays and is_recognition(config) else arrays)
    if is_distillation(config["Arch"]):
        taught = set_pretrained(model, arrays, source) if source else []
        if not checkpoint:
            _check_taught(config, taught)
    elif source:
        arrays = with_own_entries(arrays, model, config)
        arrays = _with_own_head(arrays, model, source) if is_recognition(config) else arrays
        set_weights(model, arrays, source, _named(config))
    return model


def _without_head(arrays):
    """The entries that choose a recognizer's filters: a head of another size would be taken for a pruned one."""
    return {name: array for name, array in arrays.items() if not name.startswith(_HEAD)}


def _with_own_head(arrays, model, source):
    """`arrays` {name: ndarray}, with the head of the recognizer `model` where theirs has other entries or shapes."""
    own, theirs = (
        {name: value for name, value in entries.items() if name.startswith(_HEAD)}
        for entries in (model.state_dict(), arrays)
    )
    found, expected = ({name: list(value.shape) for name, value in entries.items()} for entries in (theirs, own))
    if found == expected:
        return arrays
    logger.warning(f"{source}: the head is left as initialised: expected {expected or 'none'}, found {found or 'none'}")
    return {**_without_head(arrays), **{name: tensor.numpy() for name, tensor in own.items()}}


def _named(config):
    """How the config names its network, of several that of the one for use, with the place of the name in front."""
    arch, where = config["Arch"], "Arch"
    if is_distillation(arch):
        student = next(member for member in members(arch) if member.name == deployed_name(arch))
        arch, where = student.options, student.where
    if isinstance(arch.get("Backbone"), dict):
        arch, where = arch["Backbone"], f"{where}.Backbone"
    return f"{where}.name {arch.get('name')}"


def _check_taught(config, taught):
    """UserError for a frozen network of a distillation without weights; those named in `taught` have some."""
    for member in members(config["Arch"]):
        if member.frozen and not member.options.get("pretrained") and member.name not in taught:
            raise UserError(
                f"{member.where}: is frozen and has no weights: set {member.where}.pretrained to their path"
            )


def without_downloads(options):
    """The changes to an `Arch` section that avoid a download of official weights, which would only be overwritten."""
    if "Backbone" in options:
        return {"Backbone": {**options["Backbone"], "pretrained": False}}
    return {"pretrained": False}


def load_network(config, needs_head=None):
    """The network in evaluation mode with the weights of `Global.pretrained_model`; of a distillation, the student.

    The weights of a distillation may be those of all its networks, or the student's alone. A recognizer's head, which
    is for its training, stays as initialised where the weights have none or another one, unless it `needs_head`; None:
    as the evaluation of the config does, which is a retrieval or that of a classifier. Raises UserError when no weights
    are named or when any other entry of them does not fit.
    """
    weights = config["Global"].get("pretrained_model")
    arch = deployed_arch(require(config, "Arch"))
    if is_distillation(config["Arch"]):
        arch = {**arch, "class_num": class_count(config)}
    single = {**config, "Arch": arch}
    if needs_head is None:
        needs_head = not is_retrieval(config)
    if weights:
        arrays = load_arrays(weights)
        if is_distillation(config["Arch"]):
            names = [member.name for member in members(config["Arch"])]
            arrays = entries_of(arrays, names, deployed_name(config["Arch"]))
        arrays = trained_form(arrays, config, weights)
        of_filters = _without_head(arrays) if is_recognition(config) else arrays
        model = build_network(single, of_filters, **without_downloads(arch))
        if is_recognition(config) and not needs_head:
            arrays = _with_own_head(arrays, model, weights)
        check_pruned(arrays, model, config, weights)
        set_weights(model, arrays, weights, _named(config))
    elif arch.get("pretrained"):
        model = build_network(single)
    else:
        raise UserError("Global.pretrained_model: no weights given; try -o Global.pretrained_model=output/best_model")
    model.eval()
    return model
