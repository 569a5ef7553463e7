"""A training config for commands that name a network and its weights, and nothing else, as `--m` and `--p` do."""

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError
from ppcls_lite.utils.files import REPO
from ppcls_lite.utils.safe_load import load_arrays

_CONFIGS = REPO / "ppcls_lite/configs/ImageNet"
IMAGENET_LABELS = REPO / "ppcls_lite/utils/imagenet1k_label_list.txt"
_COMMON = "ResNet50_vd"  # its preprocessing is what nearly all networks were trained with


def named_config(model, weights, class_num=None):
    """The training config of the network `model` with `weights`.

    Args:
        model: a network's name; its ImageNet config gives the preprocessing, or that of ResNet50_vd where it has none.
            A path that ends in .yaml is a config of its own.
        weights: a `.pdparams` file (the ending may be left out) or a folder with one file per variable.
        class_num: the number of classes; None: as the weights have it.
    Raises UserError when the weights cannot be read, or when their number of classes is not clear.
    """
    if str(model).endswith((".yaml", ".yml")):
        config = load_config(model)
        config["Arch"]["class_num"] = class_num or config["Arch"].get("class_num")
    else:
        config = imagenet_config(model)
        config["Arch"]["class_num"] = class_num or count_classes(load_arrays(weights), weights)
        if config["Arch"]["class_num"] != 1000:  # ImageNet's names would be wrong
            config["Infer"]["PostProcess"].pop("class_id_map_file", None)
    config["Arch"]["pretrained"] = False
    config["Global"]["pretrained_model"] = str(weights)
    return config


def count_classes(arrays, source):
    """The classes of a network's weights {name: array}: the columns of its only matrix, the classifier."""
    matrices = [array.shape for array in arrays.values() if array.ndim == 2]
    if len(matrices) != 1:
        raise UserError(f"{source}: expected one matrix, the classifier's, found {len(matrices)}: use --class_num")
    return matrices[0][1]


def imagenet_transforms():
    """The preprocessing of an image for nearly all of ImageNet's networks, as a list of a config's `transform_ops`."""
    return load_config(_config_file(_COMMON))["Infer"]["transforms"]


def imagenet_config(name):
    """The config of the network `name` for ImageNet, or one with the usual preprocessing where it has none of its own.

    UserError for an unknown network.
    """
    from ppcls_lite.arch import ARCH
    from ppcls_lite.arch.registry import canonical_name

    ARCH.get(canonical_name(name), "--m")
    path = _config_file(name)
    config = load_config(path or _config_file(_COMMON))
    if not path:
        config["Arch"] = {"name": name}
    return config


def _config_file(name):
    return next((path for path in _CONFIGS.glob("*/*.yaml") if path.stem == name), None)
