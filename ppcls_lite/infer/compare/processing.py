"""Are the preprocessing and post-processing of the inference engines those of the training config?"""

import inspect
from functools import partial

from ppcls_lite.data.detection import DET_TRANSFORMS
from ppcls_lite.data.transforms import TRANSFORMS
from ppcls_lite.infer.model.config import NAME, choose_processing, read_model_config
from ppcls_lite.infer.model.files import find_model
from ppcls_lite.infer.model.postprocess import build_postprocess
from ppcls_lite.infer.tasks import task_of
from ppcls_lite.utils.arithmetic import number
from ppcls_lite.utils.config import require
from ppcls_lite.utils.distilled import deployed_arch
from ppcls_lite.utils.errors import UserError

_MISSING = "missing"


def check_processing(config, model_dir, inference_config, place):
    """Raise UserError unless the exported model is used as the training config says.

    Args:
        config: the training config.
        model_dir: folder of the exported model; its `inference.yml`, if there is one, has to name the same network
            and the same size of images.
        inference_config: config of `predict_cls.py` or another such script, whose PreProcess and PostProcess take the
            place of those in `inference.yml`; both together have to be `Infer.transforms` and `Infer.PostProcess`.
        place: where `inference_config` comes from, for the message, which names file and key, and both values.
    Other spellings of the same option (left out or its default, 1.0/255.0 or a number) are not a difference.
    """
    own_path = find_model(model_dir).folder / NAME
    stated = read_model_config(own_path.parent).get("Global") or {}
    deployed = {**config, "Arch": deployed_arch(require(config, "Arch"))}
    for key, there in (("model_name", "Arch.name"), ("image_shape", "Global.image_shape")):
        if stated.get(key) is not None:
            _check(own_path, f"Global.{key}", stated[key], there, require(deployed, there))
    ops, post = choose_processing(model_dir, inference_config)
    build = task_of(config).build_transforms
    trained = require(config, "Infer.transforms")
    build(trained, "Infer.transforms"), build(ops, "PreProcess.transform_ops")  # both are usable, or this says why not

    def place_of(section, key):
        return own_path if (inference_config.get(section) or {}).get(key) is None else place

    _check_transforms(trained, ops, place_of("PreProcess", "transform_ops"))
    _check_postprocess(config["Infer"].get("PostProcess"), post, partial(place_of, "PostProcess"))


def names_of(postprocess):
    """{class: name} that a post-processing prints; {} of one without classes."""
    return getattr(postprocess, "names", {})


def check_names(expected, found, where):
    """Raise UserError unless both engines print the same name for every class (dicts of class id to name)."""
    for label in sorted({*expected, *found}):
        if expected.get(label) != found.get(label):
            raise UserError(
                f"{where}: class {label} is {found.get(label)!r} there and {expected.get(label)!r} in the "
                "training config's class_id_map_file"
            )


def _check_postprocess(expected, found, place_of):
    ours, theirs = build_postprocess(expected), build_postprocess(found)
    names = type(theirs).__name__, "Infer.PostProcess.name", type(ours).__name__
    _check(place_of("name"), "PostProcess.name", *names)
    for key in ("topk", "threshold", "default_label_index", "label_0", "label_1", "feature_normalize"):
        if hasattr(ours, key):
            there = f"Infer.PostProcess.{key}"
            _check(place_of(key), f"PostProcess.{key}", getattr(theirs, key), there, getattr(ours, key))
    check_names(names_of(ours), names_of(theirs), place_of("class_id_map_file"))


def _check_transforms(expected, found, place):
    """Raise UserError for the first transform, or option of one, that differs."""
    ours, theirs = _readable(expected), _readable(found)
    # the place in the user's own list, which may not begin with DecodeImage
    shifts = len(theirs) - len(found), len(ours) - len(expected)
    for index, (mine, other) in enumerate(zip(ours, theirs)):
        at, at_ours = (max(index - shift, 0) for shift in shifts)
        here, there = f"PreProcess.transform_ops[{at}]", f"Infer.transforms[{at_ours}]"
        if mine[0] != other[0]:
            _check(place, here, other[0], there, mine[0])
        for option in sorted({*mine[1], *other[1]}):
            values = other[1].get(option, _MISSING), mine[1].get(option, _MISSING)
            _check(place, f"{here}.{mine[0]}.{option}", values[0], f"{there}.{mine[0]}.{option}", values[1])
    if len(ours) != len(theirs):
        names = [", ".join(name for name, _ in ops) for ops in (theirs, ours)]
        _check(place, "PreProcess.transform_ops", names[0], "Infer.transforms", names[1])


def _check(place, key, found, there, expected):
    if _plain(found) != _plain(expected):
        raise UserError(f"{place}: {key} is {found!r:.200}, and {there} of the training config is {expected!r:.200}")


def _readable(ops):
    """[(name, options with their defaults)] of a list of transforms that is known to be usable.

    Without DecodeImage at the head, images are decoded as by its defaults.
    """
    entries = [(op, {}) if isinstance(op, str) else next(iter(op.items())) for op in ops]
    if not entries or entries[0][0] != "DecodeImage":
        entries.insert(0, ("DecodeImage", {}))
    return [(name, {**_defaults(name), **(options or {})}) for name, options in entries]


def _defaults(name):
    builder = TRANSFORMS.get(name) if name in TRANSFORMS else DET_TRANSFORMS.get(name)
    parameters = inspect.signature(builder).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _plain(value):
    """A value of a config in the one spelling in which it is compared."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        try:
            return float(number(value))
        except UserError:
            return value
    return value
