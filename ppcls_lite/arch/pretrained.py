"""Official ImageNet weights: their addresses, their cache, and how they are put into a network."""

import os
from pathlib import Path

import numpy as np
from paddle import nn

from ppcls_lite.arch.network import Network
from ppcls_lite.utils.download import DownloadError, download
from ppcls_lite.utils.errors import UserError, first_of
from ppcls_lite.utils.log import logger
from ppcls_lite.utils.safe_load import load_arrays

_SERVER = "https://paddle-imagenet-models-name.bj.bcebos.com"
_FILE_NAMES = {"MobileNetV1_x1_0": "MobileNetV1"}  # where the file's name is not the network's
_SSLD = {False: "", True: "_ssld"}
# PP-HGNetV2 has SSLD weights only. The first stage generalises better and is the official default.
_SSLD_ONLY = {False: "_ssld_stage1", True: "_ssld_stage1", "stage1": "_ssld_stage1", "stage2": "_ssld"}
_SSLD_ALWAYS = {False: "_ssld", True: "_ssld"}  # PPHGNet_base was never trained without a teacher


def weights_url(model, name, use_ssld=False, where="Arch"):
    """The address of the official weights of the network `name`, of which `model` is an instance.

    `use_ssld`: True for weights distilled with SSLD, where there are such; PP-HGNetV2 also knows "stage1"
    (its default) and "stage2". Raises UserError for any other value, and for a network that has no official weights;
    `where` is the section of the config that it names.
    """
    if not isinstance(model, Network) or model.weights_folder is None:
        raise UserError(
            f"{where}.pretrained: there are no official weights of {name}: expected false, the path of a .pdparams "
            "file or an address"
        )
    choices = _SSLD_ALWAYS if name == "PPHGNet_base" else _SSLD_ONLY if model.ssld_only else _SSLD
    if use_ssld not in choices:
        raise UserError(f"{where}.use_ssld: {name} takes {', '.join(map(str, choices))}, found {use_ssld!r}")
    stem = _FILE_NAMES.get(name, name)
    return f"{_SERVER}/{model.weights_folder}/{stem}{choices[use_ssld]}_pretrained.pdparams"


def cache_folder():
    """Where downloads are kept: `weights` under $PPCLS_LITE_HOME, or under ~/.cache/ppcls_lite."""
    home = os.environ.get("PPCLS_LITE_HOME") or Path.home() / ".cache" / "ppcls_lite"
    return Path(home) / "weights"


def fetch(url, folder=None):
    """The path in `folder`, or `cache_folder()`, of the file at `url`; fetched once. UserError if it cannot be had."""
    try:
        return download(url, folder or cache_folder(), logger.info)
    except DownloadError as error:
        raise UserError(str(error)) from error


def load_pretrained(model, name, pretrained, use_ssld=False, where="Arch"):
    """Fill `model`, the network `name`, with weights.

    Args:
        pretrained: True for the official ones, an http(s) address, or the path of a .pdparams file.
        use_ssld: as for `weights_url`; only of use with True.
        where: as for `weights_url`.

    Raises UserError when they cannot be fetched, read or fitted.
    """
    if pretrained is True:
        path = fetch(weights_url(model, name, use_ssld, where))
    elif not isinstance(pretrained, (str, os.PathLike)):
        raise UserError(f"{where}.pretrained: expected true, false, a path or an address, found {pretrained!r}")
    elif str(pretrained).startswith(("http://", "https://")):
        path = fetch(str(pretrained))
    else:
        path = pretrained
    load_weights(model, path)
    logger.info("weights of %s read from %s", name, path)


def load_weights(model, path):
    """Set the state dict of `model` from the .pdparams file `path`.

    The classifier stays as it is when it is missing in the file or has another number of classes; a warning says
    so. Raises UserError when anything else is missing or of another shape, naming the first such entry.
    """
    arrays = load_arrays(path)
    state = model.state_dict()
    prefix = f"{classifier_of(model)}."
    problems = {name: _problem(arrays.get(name), list(tensor.shape)) for name, tensor in state.items()}
    problems = {name: problem for name, problem in problems.items() if problem}
    for name, problem in problems.items():
        if not name.startswith(prefix):
            is_whole = f"backbone.{name}" in arrays
            hint = "; they are of a whole RecModel or detector: set Global.pretrained_model to them" if is_whole else ""
            raise UserError(f"{path}: these are not weights of this network: entry '{name}' {problem}{hint}")
    if problems:
        found = first_of([f"{name} {problem}" for name, problem in problems.items()])
        logger.warning("%s: the classifier is left as initialised: %s", path, found)
    unknown = [name for name in arrays if name not in state and not name.startswith(prefix)]  # a stopped one has none
    if unknown:
        logger.warning("%s: %d entries not used, the first is '%s'", path, len(unknown), unknown[0])
    # all or nothing of the classifier: a bias without its weight would mean nothing
    kept = [name for name in state if problems and name.startswith(prefix)]
    model.set_state_dict(
        {name: state[name] if name in kept else np.asarray(arrays[name], dtype="float32") for name in state}
    )


def classifier_of(model):
    """The name of the layer that depends on the number of classes: what a Network says, else the last Linear layer."""
    if isinstance(model, Network):
        return model.classifier
    linear = [name for name, layer in model.named_sublayers() if isinstance(layer, nn.Linear)]
    return linear[-1] if linear else None


def _problem(array, shape):
    if array is None:
        return "is not in the file"
    if list(array.shape) != shape:
        return f"has shape {list(array.shape)}, expected {shape}"
    return None
