"""The training config of a network as it lies in PaddleClas: its schema, its places of ImageNet, its layout."""

import copy

import yaml

from ppcls_lite.utils.config import load_config
from ppcls_lite.utils.errors import UserError

CLASSES = 1000
_DATA = "./dataset/ILSVRC2012/"
_LABELS = "ppcls/utils/imagenet1k_label_list.txt"
_IMAGES = "docs/images/inference_deployment"  # a folder of theirs
_HEADS = {
    "Global": "global configs",
    "AMP": "mixed precision",
    "Arch": "model architecture",
    "Loss": "loss function config for training/eval process",
    "DataLoader": "data loader for train and eval",
}
_GLOBAL = {"checkpoints": None, "pretrained_model": None, "output_dir": "./output/", "device": "gpu"}
_GLOBAL_TOO = {"to_static": False}  # what all their files say, where nothing else is said
_OURS = ("export_format",)  # of Global
_AMP = {
    "use_amp": False,
    "use_fp16_test": False,
    "scale_loss": 128.0,
    "use_dynamic_loss_scaling": True,
    "use_promote": False,
    "level": "O1",
}


def read_recipe(path, name, published, overrides=()):
    """(the config for PaddleClas, [what was changed]) of the training config at `path`, for the network `name`.

    `published`: there are weights that `Arch.pretrained: True` can fetch.
    Raises UserError for what the config's reader refuses, and for a detector or a distillation.
    """
    config = load_config(path, overrides)
    for key in ("Backbone", "models"):
        if key in config["Arch"]:
            raise UserError(f"{path}: Arch.{key}: expected the config of one classifier")
    made, changes = copy.deepcopy(config), []

    def put(value, *keys):
        node = made
        for key in keys[:-1]:
            node = node.get(key) or {}
        if keys[-1] in node and node[keys[-1]] != value:
            changes.append(f"{'.'.join(keys)}: {_shown(node[keys[-1]])} -> {_shown(value)}")
        node[keys[-1]] = value

    put(name, "Arch", "name")
    put(CLASSES, "Arch", "class_num")
    for key, value in _GLOBAL.items():
        put(value, "Global", key)
    for part, file in (("Train", "train_list.txt"), ("Eval", "val_list.txt")):
        put(_DATA, "DataLoader", part, "dataset", "image_root")
        put(_DATA + file, "DataLoader", part, "dataset", "cls_label_path")
    if "Infer" in made:
        put(f"{_IMAGES}/whl_demo.jpg", "Infer", "infer_imgs")
        put(_LABELS, "Infer", "PostProcess", "class_id_map_file")
    made["Global"] = {**_GLOBAL_TOO, **made["Global"]}
    unpublished = [] if published and made["Arch"].get("pretrained") in (True, False) else ["pretrained", "use_ssld"]
    for keys in [*(("Global", key) for key in _OURS), ("Slim",), *(("Arch", key) for key in unpublished)]:
        _drop(made, keys, changes)
    made.setdefault("AMP", dict(_AMP))
    return {section: made[section] for section in sorted(made, key=_place)}, changes


def _drop(config, keys, changes):
    for key in keys[:-1]:
        config = config.get(key, {})
    if config.pop(keys[-1], None) is not None:
        changes.append(f"{'.'.join(keys)}: left out, since PaddleClas has it otherwise or not at all")


def _place(section):
    order = ["Global", "AMP", "Arch", "Loss", "EMA", "Optimizer", "DataLoader", "Infer", "Metric"]
    return order.index(section) if section in order else len(order)


def image_size(config):
    """Height and width of the square images that the network of a config is exported for."""
    return int((config["Global"].get("image_shape") or [3, 224, 224])[-1])


def write_recipe(config):
    """The YAML text of a config, in the layout of PaddleClas's files."""
    parts = []
    for section, content in config.items():
        head = f"# {_HEADS[section]}\n" if section in _HEADS else ""
        parts.append(head + yaml.dump({section: content}, Dumper=_Dumper, sort_keys=False, width=1000))
    return "\n".join(parts)


def differences(config, theirs, where=""):
    """[(key, value here, value there)] of two configs; a key that one of them has not is `-` there."""
    if isinstance(config, dict) and isinstance(theirs, dict):
        found = []
        for key in [*config, *(key for key in theirs if key not in config)]:
            place = f"{where}.{key}" if where else key
            found += differences(config.get(key, _MISSING), theirs.get(key, _MISSING), place)
        return found
    if isinstance(config, list) and isinstance(theirs, list) and len(config) == len(theirs):
        pairs = enumerate(zip(config, theirs))
        return [item for number, (a, b) in pairs for item in differences(a, b, f"{where}.{number}")]
    return [] if _plain(config) == _plain(theirs) else [(where, _shown(config), _shown(theirs))]


class _Missing:
    def __repr__(self):
        return "-"


_MISSING = _Missing()


def _plain(value):
    """Numbers that YAML 1.1 reads as text (`1e-3`) as numbers."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _shown(value):
    return "null" if value is None else str(value) if isinstance(value, (str, int, float)) else repr(value)


class _Dumper(yaml.SafeDumper):
    """PaddleClas's hand: lists of settings indented, lists of numbers on one line, True and False, null."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def _sequence(dumper, items):
    flat = all(not isinstance(item, (dict, list)) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flat)


_Dumper.add_representer(list, _sequence)
_Dumper.add_representer(bool, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:bool", str(value)))
_Dumper.add_representer(type(None), lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:null", "null"))
